package httpkit

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAddress(t *testing.T) {
	proxies, err := ParseProxies([]string{"10.0.0.0/8", " 192.0.2.1 ", "fd00::/8"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, remote, forwarded, want string }{
		{"the connection's address without a proxy", "203.0.113.9:1234", "", "203.0.113.9"},
		{"a stranger's header is not believed", "203.0.113.9:1234", "1.1.1.1", "203.0.113.9"},
		{"a trusted proxy's header is believed", "10.1.2.3:1", "198.51.100.7", "198.51.100.7"},
		{"what the client wrote itself is skipped", "10.1.2.3:1", "6.6.6.6, 198.51.100.7", "198.51.100.7"},
		{"a chain of trusted proxies is walked", "10.1.2.3:1", "198.51.100.7, 192.0.2.1, 10.9.9.9", "198.51.100.7"},
		{"a broken header leaves the proxy", "10.1.2.3:1", "198.51.100.7, garbage", "10.1.2.3"},
		{"a mapped address is the plain one", "[::ffff:203.0.113.9]:1", "", "203.0.113.9"},
		{"a zone is dropped", "[fe80::1%eth0]:1", "", "fe80::1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = test.remote
			if test.forwarded != "" {
				r.Header.Set("X-Forwarded-For", test.forwarded)
			}
			if got := proxies.Address(r); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	if _, err := ParseProxies([]string{"nonsense"}); err == nil {
		t.Error("nonsense is a proxy")
	}
}

func TestToken(t *testing.T) {
	tests := []struct{ name, header, value, want string }{
		{"the original's header", "x-access-token", "abc", "abc"},
		{"a bearer", "Authorization", "Bearer abc", "abc"},
		{"a bearer in lower case", "Authorization", "bearer  abc ", "abc"},
		{"another scheme", "Authorization", "Basic abc", ""},
		{"a bare token", "Authorization", "abc", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/?token=fromurl", nil)
			r.Header.Set(test.header, test.value)
			if got := Token(r); got != test.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestCSV(t *testing.T) {
	var out strings.Builder
	err := WriteCSV(&out, []string{"a", "b"}, Listed([][]string{{"=cmd()", "plain"}, {"+1", "-5"}, {"-x", "@y"}, {"\ttab", "a,\"b\""}, {"", "|x"}}))
	want := "a,b\n'=cmd(),plain\n'+1,-5\n'-x,'@y\n'\ttab,\"a,\"\"b\"\"\"\n,'|x\n"
	if err != nil || out.String() != want {
		t.Errorf("%q %v", out.String(), err)
	}
}
