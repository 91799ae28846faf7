package schedule

import (
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	const entry = `{"query":"x","interval":60}`
	tests := []struct {
		name, config, says string
	}{
		{"a full config is fine", `{"options":{"a":1,"b":"c","d":true},"schedule":{"q":` + entry + `},"packs":{"p":{"queries":{"q":` + entry + `},"discovery":["x"]}},` +
			`"decorators":{"load":["x"],"interval":{"3600":["x"]}},"file_paths":{"a":["/b"]},"views":{"v":"x"},"unknown":{"any":[1.5,null]}}`, ""},
		{"an empty object wipes the schedule", `{}`, "empty"},
		{"a list is undefined behaviour", `[]`, "no object"},
		{"so is null", `null`, "no object"},
		{"text after the document", `{"options":{}} x`, "cannot be read"},
		{"a comment", "{\"options\":{}} // x", "cannot be read"},
		{"a key given twice", `{"options":{},"options":{}}`, "twice"},
		{"error makes the agent retry", `{"options":{},"error":""}`, "error"},
		{"node_invalid makes the agent enrol", `{"options":{},"node_invalid":false}`, "node_invalid"},
		{"an option that is a list", `{"options":{"a":[1]}}`, "options: a"},
		{"an option with a fraction", `{"options":{"a":1.5}}`, "options: a"},
		{"a schedule that is a list", `{"schedule":[]}`, "schedule"},
		{"an interval with a fraction", `{"schedule":{"q":{"query":"x","interval":60.0}}}`, "interval"},
		{"an interval in a string", `{"schedule":{"q":{"query":"x","interval":"60"}}}`, "interval"},
		{"an interval of more than a week", `{"schedule":{"q":{"query":"x","interval":604801}}}`, "interval"},
		{"no interval", `{"schedule":{"q":{"query":"x"}}}`, "interval is missing"},
		{"no query", `{"schedule":{"q":{"interval":1}}}`, "query is missing"},
		{"an empty query", `{"schedule":{"q":{"query":"","interval":1}}}`, "must be a query"},
		{"a bool in a string", `{"schedule":{"q":{"query":"x","interval":1,"snapshot":"true"}}}`, "snapshot"},
		{"a version that is a number", `{"schedule":{"q":{"query":"x","interval":1,"version":5}}}`, "version"},
		{"a reserved query name", `{"schedule":{"boot_epoch":` + entry + `}}`, "reserved"},
		{"a reserved query name in a pack", `{"packs":{"p":{"queries":{"cache.q":` + entry + `}}}}`, "reserved"},
		{"a pack called main", `{"packs":{"main":{"queries":{}}}}`, "reserved"},
		{"a pack that the plugin would have to load", `{"packs":{"p":"/etc/p.conf"}}`, "queries is missing"},
		{"a discovery query that is a number", `{"packs":{"p":{"queries":{},"discovery":[1]}}}`, "discovery"},
		{"file paths that are a string", `{"file_paths":{"a":"/b"}}`, "file_paths"},
		{"a decorator every ninety seconds", `{"decorators":{"interval":{"90":["x"]}}}`, "multiple of 60"},
		{"a view that is a list", `{"views":{"v":["x"]}}`, "views"},
		{"an event setting that is a string", `{"events":{"disable_subscribers":"x"}}`, "events"},
		{"a number that no double holds", `{"anything":[1e999]}`, "too large"},
		{"32 levels are read", nested(32), ""},
		{"33 levels are not", nested(33), "deeply"},
		{"a mebibyte is read", padded(MaxSize), ""},
		{"a byte more is not", padded(MaxSize + 1), "more than"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := Validate([]byte(test.config))
			switch {
			case test.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)):
				t.Errorf("got %v, want a word of %q", err, test.says)
			}
		})
	}
}

func nested(levels int) string {
	return `{"x":` + strings.Repeat("[", levels-1) + strings.Repeat("]", levels-1) + `}`
}

func padded(size int) string {
	const frame = `{"x":""}`
	return `{"x":"` + strings.Repeat("y", size-len(frame)) + `"}`
}

func TestRunsOn(t *testing.T) {
	tests := []struct {
		platform string
		want     string
	}{
		{"", "linux darwin windows freebsd"},
		{"null", "linux darwin windows freebsd"},
		{"all", "linux darwin windows freebsd"},
		{"any", "linux darwin windows freebsd"},
		{"posix", "linux darwin freebsd"},
		{"ubuntu", "linux"},
		{"centos", "linux"},
		{"linux,windows", "linux windows"},
		{"darwin", "darwin"},
		{"windows", "windows"},
		{"freebsd", "freebsd"},
		{"debian", ""},
		{"Linux", ""},
	}
	for _, test := range tests {
		t.Run("platform "+test.platform, func(t *testing.T) {
			var got []string
			for _, family := range families {
				if runsOn(test.platform, family) {
					got = append(got, family)
				}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("runs on %v, want %s", got, test.want)
			}
		})
	}
}

func TestConfigHash(t *testing.T) {
	// osquery's own test asserts the digest of this source.
	const source = `{"schedule":{"tls_proc":{"query":"select * from processes","interval":1}},"node_invalid":false,"node":true}`
	if got := sha1Hex([]byte(source)); got != "1c70dc4608ed9f8d8e24d23359a46e8739a93558" {
		t.Errorf("source digest %s", got)
	}
	if got := ConfigHash([]byte(source)); got != "23a948b13698104a4b1009facfbdf554f2bdce7e" {
		t.Errorf("config_hash %s", got)
	}
}

func TestAppendJSON(t *testing.T) {
	tests := []struct {
		name string
		in   any
		want string
	}{
		{"keys are sorted", map[string]any{"b": 1, "a": nil, "c": true}, `{"a":null,"b":1,"c":true}`},
		{"what HTML fears is written as it is", "a</b>&'", `"a</b>&'"`},
		{"line separators are written as they are", "\u2028\u2029é", "\"\u2028\u2029é\""},
		{"control characters have upper-case digits", "\x1f\x00\x7f", "\"\\u001F\\u0000\x7f\""},
		{"short escapes are used", "\b\f\n\r\t\"\\", `"\b\f\n\r\t\"\\"`},
		{"bytes that are no text become a sign for it", "a\xff", "\"a\uFFFD\""},
		{"lists keep their order", []any{"b", "a", []string{}}, `["b","a",[]]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := string(appendJSON(nil, test.in)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
