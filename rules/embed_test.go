package rules

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
)

// How many rules the server promises at least.
var promised = map[string]int{"linux": 26, "macos": 18, "windows": 28}

func TestEveryRuleHasTests(t *testing.T) {
	count := map[string]int{}
	for _, rule := range All() {
		count[rule.Platform]++
		t.Run(rule.Platform+"/"+rule.Name, func(t *testing.T) {
			text, err := Files.ReadFile(rule.Platform + "/" + rule.Name + ".json")
			if err != nil {
				t.Fatal(err)
			}
			strict := json.NewDecoder(bytes.NewReader(text))
			strict.DisallowUnknownFields()
			if err := strict.Decode(new(Tests)); err != nil {
				t.Fatal(err)
			}
			tests, err := rule.Tests()
			if err != nil {
				t.Fatal(err)
			}
			if len(tests.Fires) == 0 || len(tests.Quiet) == 0 {
				t.Errorf("%d events that it finds and %d that it does not, want both", len(tests.Fires), len(tests.Quiet))
			}
			for _, e := range slices.Concat(tests.Fires, tests.Quiet) {
				checkEvent(t, e)
			}
		})
	}
	for platform, want := range promised {
		if count[platform] < want {
			t.Errorf("%d rules for %s, want %d", count[platform], platform, want)
		}
	}
}

func checkEvent(t *testing.T, e Event) {
	t.Helper()
	if e.Note == "" || e.Table == "" || len(e.Columns) == 0 {
		t.Errorf("an event says too little: %+v", e)
	}
	if !slices.Contains([]string{"linux", "darwin", "windows"}, e.Platform) {
		t.Errorf("%s: there is no platform %q", e.Note, e.Platform)
	}
	if !slices.Contains([]string{"", "added", "removed"}, e.Action) {
		t.Errorf("%s: there is no action %q", e.Note, e.Action)
	}
}

func TestEveryFileBelongsToARule(t *testing.T) {
	known := map[string]bool{}
	for _, rule := range All() {
		known[rule.Platform+"/"+rule.Name] = true
	}
	err := fs.WalkDir(Files, ".", func(file string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !known[strings.TrimSuffix(file, path.Ext(file))] {
			t.Errorf("%s belongs to no rule", file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestARuleWithoutTestsSaysSo(t *testing.T) {
	if _, err := (Rule{Platform: "linux", Name: "no_such_rule"}).Tests(); err == nil {
		t.Error("no error")
	}
}
