// Package rules holds the detection rules that ship with the server, as data: one
// Sigma rule a file, and beside it what it must and must not find. See README.md for
// the list, and for how to write one.
//
// It knows nothing of how rules are translated, stored or evaluated.
package rules

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Files holds PLATFORM/NAME.yml, a Sigma rule, and PLATFORM/NAME.json, its tests.
//
//go:embed linux macos windows
var Files embed.FS

// Rule is a rule that ships.
type Rule struct {
	Platform string // the folder: linux, macos or windows; some rules fit others too
	Name     string // unique within a platform: shell_over_dev_tcp
	Text     string // Sigma, in YAML
}

// All returns every rule, by platform and name.
func All() []Rule {
	var all []Rule
	for _, platform := range []string{"linux", "macos", "windows"} {
		names, err := fs.Glob(Files, platform+"/*.yml")
		if err != nil {
			panic(err) // the pattern is wrong
		}
		for _, name := range names {
			text, err := Files.ReadFile(name)
			if err != nil {
				panic(err) // the file was just listed, and lies in memory
			}
			all = append(all, Rule{platform, strings.TrimSuffix(path.Base(name), ".yml"), string(text)})
		}
	}
	return all
}

// Tests are the events that show what a rule is for.
type Tests struct {
	Fires []Event `json:"fires"` // the rule must find each of them
	Quiet []Event `json:"quiet"` // looks like it, and must not be found
}

// Event is a row as a shipped query reports it.
type Event struct {
	Note     string            `json:"note"`     // what happens
	Table    string            `json:"table"`    // of osquery
	Platform string            `json:"platform"` // linux, darwin or windows
	Action   string            `json:"action"`   // added or removed; "" is added
	Columns  map[string]string `json:"columns"`
}

// Tests returns the tests of a rule. An error says that they are missing or no JSON,
// which the package's own test rules out for rules of All.
func (r Rule) Tests() (Tests, error) {
	var t Tests
	file := r.Platform + "/" + r.Name + ".json"
	text, err := Files.ReadFile(file)
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(text, &t); err != nil {
		return t, fmt.Errorf("%s: %w", file, err)
	}
	return t, nil
}
