package indicator

import "testing"

func TestNetwork(t *testing.T) {
	for sentence, c := range map[string]struct {
		value, want string
	}{
		"a network":                    {"10.1.2.3/8", "10.0.0.0/8"},
		"with blanks":                  {" 192.0.2.0/24 ", "192.0.2.0/24"},
		"of IPv6":                      {"2001:DB8::1/32", "2001:db8::/32"},
		"an IPv4 network as IPv6":      {"::ffff:10.0.0.0/104", "10.0.0.0/8"},
		"an address is none":           {"10.0.0.1", ""},
		"too many bits":                {"10.0.0.1/33", ""},
		"a mask instead of the length": {"10.0.0.1/255.0.0.0", ""},
		"a zone":                       {"fe80::1%eth0/64", ""},
		"a path":                       {"/etc", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			network, found := Network(c.value)
			if found != (c.want != "") || found && network.String() != c.want {
				t.Errorf("%v %v", network, found)
			}
		})
	}
}

func FuzzAppendFoldIsNormalize(f *testing.F) {
	f.Add("ABCxyz\xff")
	f.Fuzz(func(t *testing.T, value string) {
		if got := string(AppendFold(nil, value)); got != fold(value) {
			t.Errorf("%q, not %q", got, fold(value))
		}
	})
}
