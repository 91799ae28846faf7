package indicator

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNormalize(t *testing.T) {
	tests := []struct{ name, column, value, want string }{
		{"a hash in capitals is the same hash", "md5", " 44D88612FEA8A8F36DE82E1278ABB02F ", "44d88612fea8a8f36de82e1278abb02f"},
		{"a hash of the wrong length is kept", "md5", "275a71899F", "275a71899f"},
		{"blank is nothing", "sha256", " \t", ""},
		{"a leading dot is ignored", "domain_name", ".www.Google.com", "www.google.com"},
		{"a trailing dot is ignored", "domain_name", "example.org.", "example.org"},
		{"a dot alone is nothing", "domain_name", ".", ""},
		{"letters beyond ASCII stay", "domain_name", "BÜCHER.example", "bÜcher.example"},
		{"an address is itself", "remote_address", "172.31.0.2", "172.31.0.2"},
		{"a mapped address is the plain one", "remote_address", "::FFFF:10.0.0.1", "10.0.0.1"},
		{"zeros are left out", "remote_address", "2001:DB8:0:0::0001", "2001:db8::1"},
		{"a zone is dropped", "address", "fe80::1%eth0", "fe80::1"},
		{"brackets are dropped", "address", "[2001:db8::1]", "2001:db8::1"},
		{"what is no address is a name", "remote_address", "Printer-7.local", "printer-7.local"},
		{"a name that starts with a digit", "host", "3com.example.", "3com.example"},
		{"an address in a column of both", "host", "::ffff:192.0.2.1", "192.0.2.1"},
		{"a path of Windows", "path", `C:\Windows\System32\CMD.exe`, `c:\windows\system32\cmd.exe`},
		{"a column that nobody watches", "pid", "12", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Normalize(test.column, test.value); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestATypeComparesAsItsColumnsDo(t *testing.T) {
	for _, kind := range Types() {
		columns := kind.Columns()
		if len(columns) == 0 || columns[0] != string(kind) {
			t.Errorf("%s is observed in %v", kind, columns)
		}
		for _, value := range []string{" A.b. ", "::ffff:1.2.3.4", "C:\\X", ""} {
			for _, column := range columns {
				if got, want := Normalize(column, value), kind.Normalize(value); got != want {
					t.Errorf("%s in %s: %q is %q and %q", kind, column, value, got, want)
				}
			}
		}
	}
	if Type("color").Columns() != nil || Type("color").Normalize("red") != "" {
		t.Error("an unknown type has columns")
	}
	if !slices.IsSorted(Columns()) || !slices.Contains(Columns(), "sha256") {
		t.Errorf("columns are %v", Columns())
	}
}

func TestSplit(t *testing.T) {
	tests := []struct {
		name, list string
		want       []string
	}{
		{"commas with blanks", "a, b ,c", []string{"a", "b", "c"}},
		{"lines of any system", "a\r\nb\nc\r\n\n", []string{"a", "b", "c"}},
		{"doubles", "a,b\na", []string{"a", "b"}},
		{"a mark of the byte order", "\uFEFFa\nb", []string{"a", "b"}},
		{"nothing", " ,\n ", []string{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Split(test.list)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := Type("path").SplitFile("/a,b\r\n/c"); !slices.Equal(got, []string{"/a,b", "/c"}) {
		t.Errorf("a file of paths is %q", got)
	}
	if got := Type("md5").SplitFile("a,b\nc"); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("a file of hashes is %q", got)
	}
}

func FuzzNormalize(f *testing.F) {
	f.Add("domain_name", ".www.Google.com")
	f.Add("remote_address", "[::ffff:1.2.3.4%x]")
	f.Fuzz(func(t *testing.T, column, value string) {
		once := Normalize(column, value)
		if strings.ContainsAny(once, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
			t.Errorf("%q has capitals", once)
		}
	})
}
