package schedule

import (
	"encoding/json"
	"strings"
	"testing"

	"muster/server/database"
	"muster/server/database/dbtest"
)

func TestSignatureURLs(t *testing.T) {
	ours := []string{"https://muster:9000/yara/.*", "https://muster:9000/other/.*"}
	tests := []struct{ name, filters, want string }{
		{"a config without yara", `{}`, `{"signature_urls":["https://muster:9000/yara/.*","https://muster:9000/other/.*"]}`},
		{"a config with its own", `{"yara":{"signatures":{"g":["/a.yar"]},"signature_urls":["https://else/.*","https://muster:9000/other/.*"]}}`,
			`{"signature_urls":["https://else/.*","https://muster:9000/other/.*","https://muster:9000/yara/.*"],"signatures":{"g":["/a.yar"]}}`},
	}
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{SignatureURLs: ours})
		for _, test := range tests {
			if _, err := s.UpdateConfig(t.Context(), linuxConfig, change(t, `{}`, test.filters)); err != nil {
				t.Fatal(err)
			}
			for _, h := range []string{linux, darwin, windows, freebsd} {
				c := configOf(t, s, host(h, "x86_64"))
				var got struct{ Yara json.RawMessage }
				if err := json.Unmarshal(c.Plain, &got); err != nil || (h == linux && string(got.Yara) != test.want) || (h != linux && string(got.Yara) != tests[0].want) {
					t.Errorf("%s, %s: %s", test.name, h, got.Yara)
				}
				if again := configOf(t, loaded(t, db, Options{SignatureURLs: ours}), host(h, "x86_64")); again.ETag != c.ETag {
					t.Errorf("%s: another replica sends other bytes", h)
				}
			}
			if c := found(t, s, linuxConfig); strings.Contains(test.filters, "yara") == (c.Filters["yara"] == nil) {
				t.Errorf("%s: stored as %v", test.name, c.Filters)
			}
		}
		if plain := configOf(t, loaded(t, db, Options{}), host(darwin, "x86_64")).Plain; strings.Contains(string(plain), "signature_urls") {
			t.Error("without addresses there is a key for them")
		}
	})
}
