package schedule

import "testing"

// A change is refused, or makes a document that reads back as it is and renders to
// JSON that agents read.
func FuzzConfigChange(f *testing.F) {
	f.Add(`{"users":{"status":true,"interval":60}}`, `{"events":{"disable_subscribers":["x"]}}`)
	f.Add(`{"new":{"status":"t","interval":"60","query":"select 1","shard":null,"startup_priority":3,"x":[1]}}`, `{"yara":{"signature_urls":["a"]}}`)
	f.Add(`{"users":{"remove":1},"b":{"remove":true},"c":5,"d":null}`, `{"packs":{}}`)
	f.Add(`{"a\u0000":{"status":true,"interval":1e3,"query":"\u2028<"}}`, `{"":1,"n":1e999}`)
	before, err := readDocument("config", shippedDocument(linux))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, queries, filters string) {
		var c ConfigChange
		for text, into := range map[string]*map[string]any{queries: &c.Queries, filters: &c.Filters} {
			value, err := decode([]byte(text), maxDepth-4)
			if err != nil {
				t.Skip()
			}
			*into, _ = value.(map[string]any)
		}
		after, err := c.apply(linuxConfig, before, &ConfigChanged{})
		if err != nil {
			return
		}
		again, err := readDocument("config", []byte(after.text()))
		if err != nil || again.text() != after.text() {
			t.Fatalf("%v: %s", err, after.text())
		}
		config := newPlatformConfig(configRow{Platform: linux}, after, additions{signatureURLs: []string{"u"}}).assemble(selection{})
		if _, err := decode(config, maxDepth); err != nil {
			t.Fatalf("%v: %s", err, config)
		}
	})
}
