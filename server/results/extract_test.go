package results

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/server/indicator"
)

func extracted(columns string) map[string]string {
	got := map[string]string{}
	newExtractor(indicator.Columns()).each([]byte(columns), func(column, value string) {
		got[strings.Clone(column)] = strings.Clone(value)
	})
	return got
}

func TestExtract(t *testing.T) {
	tests := []struct {
		name, columns string
		want          map[string]string
	}{
		{"what is watched, in its normal form", `{"md5":"ABC","domain_name":".x.org","pid":"7","path":" /bin/SH "}`,
			map[string]string{"md5": "abc", "domain_name": "x.org", "path": "/bin/sh"}},
		{"blank is nothing", `{"md5":"","sha256":" "}`, nil},
		{"a number is its text", `{"md5":1234567890123456789012,"url":1.50}`, map[string]string{"md5": "1234567890123456789012", "url": "1.50"}},
		{"escapes", `{"p\u0061th":"C:\\x\u00e9\u0000\n\"\/","url":"\ud83d\ude00"}`, map[string]string{"path": "c:\\xé\x00\n\"/", "url": "😀"}},
		{"other kinds of values", `{"md5":null,"sha1":true,"sha256":["a"],"url":{"url":"b"}}`, nil},
		{"a list", `["md5"]`, nil},
		{"a text", `"md5"`, nil},
		{"nothing", ``, nil},
		{"half a row", `{"md5":"abc`, nil},
		{"something after it", `{"md5":"abc"}}`, nil},
		{"deep", `{"a":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `,"md5":"abc"}`, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.want == nil {
				test.want = map[string]string{}
			}
			if diff := cmp.Diff(test.want, extracted(test.columns)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzExtract(f *testing.F) {
	f.Add(`{"md5":"ABC","remote_address":"::ffff:1.2.3.4","path":"\u0000\ud800"}`)
	f.Add(`{"url":-1e400,"host":[{}],"domain_name":"."}`)
	f.Fuzz(func(t *testing.T, columns string) {
		once := extracted(columns)
		if again := extracted(columns); !maps.Equal(once, again) {
			t.Errorf("%v and then %v", once, again)
		}
		var plain map[string]string // texts alone: what encoding/json says of them holds here too
		if !strings.Contains(columns, `\u`) && json.Unmarshal([]byte(columns), &plain) == nil && json.Valid([]byte(columns)) {
			for column, value := range once {
				if _, there := plain[column]; !there || value == "" {
					t.Errorf("%s is %q in %q", column, value, columns)
				}
			}
		}
	})
}
