package schedule

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"muster/server/fault"
)

func TestParsePackAccepts(t *testing.T) {
	tests := []struct {
		name     string
		document string
		want     Query // under the name q
		warnings int
	}{
		{"a query with only its SQL has osquery's defaults",
			`{"queries":{"q":{"query":" select 1; "}}}`, Query{SQL: "select 1;", Interval: 3600, Removed: true, Denylist: true}, 0},
		{"numbers and bools may be strings",
			`{"queries":{"q":{"query":"x","interval":"60","snapshot":"t","removed":"False","denylist":0,"shard":"10"}}}`,
			Query{SQL: "x", Interval: 60, Snapshot: true, Shard: 10}, 0},
		{"null counts as missing",
			`{"queries":{"q":{"query":"x","interval":null,"platform":null,"version":null,"snapshot":null}}}`,
			Query{SQL: "x", Interval: 3600, Removed: true, Denylist: true}, 0},
		{"what is for people stays",
			`{"queries":{"q":{"query":"x","description":"d","value":"v"}}}`,
			Query{SQL: "x", Interval: 3600, Removed: true, Denylist: true, Description: "d", Value: "v"}, 0},
		{"comments and joined lines are osquery's own",
			"# a pack\n{\"queries\":{\"q\":{\n  // why\n\"query\":\"select \\\n  1;\"}}}\n", Query{SQL: "select   1;", Interval: 3600, Removed: true, Denylist: true}, 0},
		{"line ends of Windows and a byte order mark do no harm",
			"\ufeff{\"queries\":\r\n{\"q\":{\"query\":\"x \\\r\ny\"}}}", Query{SQL: "x y", Interval: 3600, Removed: true, Denylist: true}, 0},
		{"a platform is kept as it is",
			`{"queries":{"q":{"query":"x","platform":"darwin,ubuntu","version":"5.9.1"}}}`,
			Query{SQL: "x", Interval: 3600, Removed: true, Denylist: true, Platform: "darwin,ubuntu", Version: "5.9.1"}, 0},
		{"a platform that no osquery is called runs nowhere, with a warning",
			`{"queries":{"q":{"query":"x","platform":"gentoo"}}}`,
			Query{SQL: "x", Interval: 3600, Removed: true, Denylist: true, Platform: "gentoo"}, 1},
		{"unknown keys are kept, with warnings",
			`{"author":"me","queries":{"q":{"query":"x","status":false,"oncall":["you",1.50]}}}`,
			Query{SQL: "x", Interval: 3600, Removed: true, Denylist: true,
				Other: map[string]any{"status": false, "oncall": []any{"you", json.Number("1.50")}}}, 3},
		{"the older name of denylist counts",
			`{"queries":{"q":{"query":"x","blacklist":false}}}`, Query{SQL: "x", Interval: 3600, Removed: true}, 0},
		{"a comment behind a value and a comma too many are left out, with a warning",
			"{\"queries\":{\"q\":{\"query\":\"select '//,}' /* */;\", // why\n\"interval\":60, /* a\n * b */ },},}",
			Query{SQL: "select '//,}' /* */;", Interval: 60, Removed: true, Denylist: true}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, warnings, err := ParsePack("p", []byte(test.document))
			if err != nil {
				t.Fatal(err)
			}
			got := p.Queries["q"]
			if !got.Status {
				t.Errorf("it is switched off: %+v", got)
			}
			got.Status = false
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if len(warnings) != test.warnings {
				t.Errorf("warnings %q", warnings)
			}
		})
	}
}

func TestParsePackReadsThePack(t *testing.T) {
	p, warnings, err := ParsePack("p", []byte(`{"platform":"posix","version":"5.0.0","shard":50,"description":"d","category":"General",
		"discovery":["select 1",""],"file_paths":{"etc":["/etc/%%"],"none":[]},"queries":{"a b ":{"query":"x","startup_priority":0}}}`))
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	zero := 0
	want := Pack{Name: "p", Platform: "posix", Version: "5.0.0", Shard: 50, Description: "d", Category: "General",
		Discovery: []string{"select 1"}, FilePaths: map[string][]string{"etc": {"/etc/%%"}},
		Queries: map[string]Query{"a b ": {SQL: "x", Interval: 3600, Removed: true, Denylist: true, Status: true, StartupPriority: &zero}}}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v", p)
	}
}

func TestParsePackRefuses(t *testing.T) {
	query := func(name, members string) string { return `{"queries":{"` + name + `":{"query":"x"` + members + `}}}` }
	tests := []struct {
		name, pack, document, says string
	}{
		{"a name that is osquery's schedule", "main", query("q", ""), "reserved"},
		{"a name that osquery asks its plugins for", "*", query("q", ""), "reserved"},
		{"a name with the delimiter", "a/b", query("q", ""), "cannot hold"},
		{"no name", " ", query("q", ""), "missing"},
		{"a query name of osquery's database", "p", query("query.x", ""), "reserved"},
		{"a query name of osquery's cache", "p", query("cache.x", ""), "reserved"},
		{"a query name of osquery's views", "p", query("config_views.x", ""), "reserved"},
		{"a query name that ends in epoch", "p", query("boot_epoch", ""), "reserved"},
		{"a query name that ends in counter", "p", query("counter", ""), "reserved"},
		{"a query name with a control character", "p", query(`a\u0007`, ""), "control"},
		{"an empty query name", "p", query("", ""), "missing"},
		{"an interval of nothing", "p", query("q", `,"interval":0`), "whole number from 1 to 604800"},
		{"an interval of more than a week", "p", query("q", `,"interval":604801`), "whole number"},
		{"an interval with a fraction", "p", query("q", `,"interval":60.5`), "whole number"},
		{"an interval in words", "p", query("q", `,"interval":"hourly"`), "whole number"},
		{"an interval that is a list", "p", query("q", `,"interval":[60]`), "whole number"},
		{"a shard of more than all", "p", query("q", `,"shard":101`), "shard"},
		{"a version that is no string", "p", query("q", `,"version":5`), "version must be a string"},
		{"a version of words", "p", query("q", `,"version":"latest"`), "5.9.1"},
		{"a version that overflows", "p", query("q", `,"version":"99999999999.0"`), "5.9.1"},
		{"a platform that is a list", "p", query("q", `,"platform":["linux"]`), "platform must be a string"},
		{"a bool in other words", "p", query("q", `,"snapshot":"yes"`), "snapshot must be true or false"},
		{"a query without SQL", "p", `{"queries":{"q":{"query":" "}}}`, "query is missing"},
		{"SQL with a NUL", "p", `{"queries":{"q":{"query":"a\u0000"}}}`, "NUL"},
		{"a query that is a string", "p", `{"queries":{"q":"x"}}`, "must be a JSON object"},
		{"no queries", "p", `{"platform":"linux"}`, "no queries"},
		{"queries that are a list", "p", `{"queries":[]}`, "must be a JSON object"},
		{"discovery that is a string", "p", `{"discovery":"x","queries":{"q":{"query":"x"}}}`, "list of strings"},
		{"file paths that are a list", "p", `{"file_paths":["/etc"],"queries":{"q":{"query":"x"}}}`, "must be a JSON object"},
		{"a query given twice", "p", `{"queries":{"q":{"query":"x"},"q":{"query":"y"}}}`, "twice"},
		{"a comma too few, with its line", "p", "{\"queries\":{\n\"a\":{\"query\":\"x \\\ny\"} // one\n\"b\":{},}}", "line 4"},
		{"two commas", "p", "{\"queries\":{},,}", "line 1"},
		{"a comment that does not end", "p", "{\"queries\":{} /* none\n}", "unexpected end"},
		{"an unknown member with a NUL", "p", query("q", `,"x":["\u0000"]`), "NUL"},
		{"text after the document", "p", query("q", "") + "{}", "after top-level value"},
		{"what is no object", "p", `["queries"]`, "must be a JSON object"},
		{"nothing", "p", "", "not JSON"},
		{"bytes that are no text", "p", "{\"queries\":{\"q\":{\"query\":\"\xff\"}}}", "UTF-8"},
		{"a tower of lists", "p", `{"queries":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, "deeply"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := ParsePack(test.pack, []byte(test.document))
			if !fault.Is(err, fault.Unprocessable) || !strings.Contains(fault.Public(err), test.says) {
				t.Errorf("got %v, want a word of %q", err, test.says)
			}
		})
	}
}

// Whatever is accepted can be stored, read again and sent.
func FuzzParsePack(f *testing.F) {
	f.Add("p", []byte(`{"platform":"linux","version":"5.0.0","shard":1,"discovery":["x"],"file_paths":{"a":["/b"]},"queries":{"q":{"query":"x","interval":"9"}}}`))
	f.Add("a b", []byte("# c\n{\"queries\":{\"q\\u2028\\ud800\":{\"query\":\"a \\\n b\u2028<&>\\u001f\",\"snapshot\":\"t\",\"removed\":0,\"startup_priority\":3}}}"))
	f.Add("p", []byte(`{"queries":{"q":{"query":"x","platform":"null","version":"5.9-rc1","status":false,"value":"v","description":" "}}}`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		p, _, err := ParsePack(name, data)
		if err != nil {
			if !fault.Is(err, fault.Unprocessable) {
				t.Fatalf("not a fault of the sender: %v", err)
			}
			return
		}
		again, warnings, err := ParsePack(name, []byte(p.document()))
		for _, warning := range warnings {
			if !strings.Contains(warning, "runs nowhere") && !strings.Contains(warning, "is kept") {
				t.Errorf("our own form is warned of: %s", warning)
			}
		}
		if err != nil || !reflect.DeepEqual(p, again) {
			t.Fatalf("what is stored reads as\n%+v (%v), not\n%+v", again, err, p)
		}
		c := newPlatformConfig(configRow{Platform: linux}, document{}, additions{})
		config := c.assemble(selection{packs: []*renderedPack{{Pack: p, json: map[string]rawJSON{linux: appendJSON(nil, p.object(false))}}}})
		if len(config) <= MaxSize {
			if err := Validate(config); err != nil {
				t.Fatalf("no agent would take %s: %v", config, err)
			}
		}
	})
}
