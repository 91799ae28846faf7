package sigma_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"gopkg.in/yaml.v3"

	"muster/server/condition"
	"muster/server/sigma"
)

// sample is a rule of testdata/samples.yaml.
type sample struct {
	Rule         yaml.Node `yaml:"rule"`
	Hits, Misses []event
}

// event is a row of a table.
type event struct {
	Table  string
	Action string // of the entry; "": added
	Row    map[string]any
}

func samples(t testing.TB) []sample {
	t.Helper()
	text, err := os.ReadFile("testdata/samples.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []sample
	if err := yaml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// columns is the row as it is stored: columns that are maps are JSON text.
func (e event) columns(t *testing.T) string {
	t.Helper()
	row := map[string]any{}
	for name, value := range e.Row {
		if _, isMap := value.(map[string]any); isMap {
			text, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			value = string(text)
		}
		row[name] = value
	}
	text, err := json.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// found reports whether a variant for the event's table matches it.
func (e event) found(t *testing.T, r sigma.Result) bool {
	t.Helper()
	row := condition.Object{Own: map[string]string{"action": "added"}}
	if e.Action != "" {
		row.Own["action"] = e.Action
	}
	if err := row.Load(e.columns(t)); err != nil {
		t.Fatal(err)
	}
	for _, v := range r.Rule.Variants {
		tree, err := condition.Parse(v.Conditions, sigma.ConditionOptions())
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(v.Tables, e.Table) && tree.Match(&row) {
			return true
		}
	}
	return false
}

func TestSamplesFindWhatTheyAreFor(t *testing.T) {
	categories := map[string]bool{}
	for _, s := range samples(t) {
		text, err := yaml.Marshal(&s.Rule)
		if err != nil {
			t.Fatal(err)
		}
		r := one(t, string(text), sigma.DefaultMapping())
		t.Run(r.Rule.Title, func(t *testing.T) {
			if r.Outcome != sigma.Translated || len(s.Hits) == 0 {
				t.Fatalf("%s: %s; %d hits", r.Outcome, r.Reason, len(s.Hits))
			}
			for i, e := range s.Hits {
				if !e.found(t, r) {
					t.Errorf("hit %d in %s is not found", i, e.Table)
				}
			}
			for i, e := range s.Misses {
				if e.found(t, r) {
					t.Errorf("miss %d in %s is found", i, e.Table)
				}
			}
		})
		categories[r.Rule.LogSource.Category] = true
	}
	for _, s := range sigma.DefaultMapping().Sources() {
		if c := s.LogSource.Category; !categories[c] && !slices.Contains(sysmonOnly, c) {
			t.Errorf("no sample is about the category %s", c)
		}
	}
}

// sysmonOnly are categories that differ from others in nothing but the number of the event.
var sysmonOnly = []string{"sysmon_status", "sysmon_error", "process_termination", "raw_access_thread", "create_stream_hash", "pipe_created",
	"clipboard_capture", "process_tampering", "file_block_executable", "file_block_shredding", "file_executable_detected"}

func FuzzTranslate(f *testing.F) {
	for _, s := range samples(f) {
		text, err := yaml.Marshal(&s.Rule)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(search(`A|windash|base64offset|contains|all: ['-a /b', c]`, `B|re|i: a+`, `C|fieldref|endswith: A`, `D|expand: '%Admins%'`, `E|cidr: 10.0.0.0/8`))
	f.Add("---\ntitle: a\n---\na: &x [*x]\n...\nb: <<\n")
	lab, shipped := labMapping(f), sigma.DefaultMapping()
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range []*sigma.Mapping{lab, shipped} {
			results, err := sigma.Translate([]byte(text), m)
			if err != nil {
				continue
			}
			for _, r := range results {
				if (r.Outcome == sigma.Translated) != (len(r.Rule.Variants) > 0) || (r.Outcome == sigma.Translated) != (r.Reason == "") || r.Line < 1 {
					t.Errorf("%+v", r)
				}
				for _, v := range r.Rule.Variants {
					if _, err := condition.Parse(v.Conditions, sigma.ConditionOptions()); err != nil {
						t.Errorf("%v: %v", err, v.Conditions)
					}
					if _, err := json.Marshal(v); err != nil {
						t.Error(err)
					}
				}
			}
		}
	})
}
