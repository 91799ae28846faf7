package sigma_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/packs"
	"muster/server/fault"
	"muster/server/osquery"
	"muster/server/sigma"
)

var update = flag.Bool("update", false, "write the golden files anew")

// shippedColumns returns what the shipped queries report of each table.
func shippedColumns(t *testing.T) map[string][]string {
	t.Helper()
	files, err := fs.Glob(packs.Files, "*.json")
	if err != nil {
		t.Fatal(err)
	}
	configs, err := fs.Glob(packs.Files, "configs/*.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []*osquery.SQLite
	for _, platform := range []string{"linux", "darwin", "windows"} {
		database, err := osquery.OpenSQLite(platform)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = database.Close() })
		all = append(all, database)
	}
	columns := map[string][]string{}
	for _, file := range append(files, configs...) {
		text, err := packs.Files.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var content struct {
			Queries map[string]struct {
				SQL string `json:"query"`
			} `json:"queries"`
		}
		if err := json.Unmarshal(text, &content); err != nil {
			t.Fatal(err)
		}
		for _, query := range content.Queries {
			for _, database := range all {
				result, err := database.Query(t.Context(), query.SQL, nil)
				if err != nil {
					continue // the table is one of another platform
				}
				for _, table := range osquery.Reads(query.SQL) {
					columns[table] = append(columns[table], result.Columns...)
				}
			}
		}
	}
	return columns
}

var braces = regexp.MustCompile(`\{(\w+)\}`)

// columnsOf are the columns that a field of the mapping reads.
func columnsOf(field string) []string {
	switch {
	case strings.HasPrefix(field, `"`): // a constant
		return nil
	case strings.Contains(field, "{"):
		var names []string
		for _, found := range braces.FindAllStringSubmatch(field, -1) {
			names = append(names, found[1])
		}
		return names
	}
	column, _, _ := strings.Cut(field, ".")
	return []string{column}
}

func TestTheMappingIsAboutWhatTheShippedQueriesReport(t *testing.T) {
	shipped := shippedColumns(t)
	sources := sigma.DefaultMapping().Sources()
	if len(sources) < 80 {
		t.Fatalf("only %d sources", len(sources))
	}
	for _, s := range sources {
		for _, name := range s.Tables {
			table, known := osquery.Find(name)
			if !known {
				t.Errorf("%s: osquery has no table %s", s.LogSource, name)
				continue
			}
			for _, platform := range s.Platforms {
				if !table.On(platform) {
					t.Errorf("%s: %s is no table of %s", s.LogSource, name, platform)
				}
			}
			for field, written := range s.Fields {
				if reported := shipped[name]; reported != nil {
					wanted := columnsOf(written)
					found := slices.ContainsFunc(wanted, func(c string) bool { return slices.Contains(reported, c) })
					if len(wanted) > 0 && !found {
						t.Errorf("%s: %s: no shipped query reports %s.%s", s.LogSource, field, name, written)
					}
				}
				for _, column := range columnsOf(written) {
					inTable := slices.ContainsFunc(table.Columns, func(c osquery.Column) bool { return c.Name == column })
					if !inTable && !slices.Contains(shipped[name], column) {
						t.Errorf("%s: %s: %s has no column %s", s.LogSource, field, name, column)
					}
				}
			}
		}
	}
}

func TestCoverageOfTheMapping(t *testing.T) {
	var text strings.Builder
	text.WriteString("# log source: table on platforms, number of fields\n")
	for _, s := range sigma.DefaultMapping().Sources() {
		fmt.Fprintf(&text, "%s: %s on %s, %d\n", s.LogSource, strings.Join(s.Tables, " "), strings.Join(s.Platforms, " "), len(s.Fields))
	}
	lines := strings.SplitAfter(strings.TrimSuffix(text.String(), "\n"), "\n")
	slices.Sort(lines[1:])
	golden := filepath.Join("testdata", "coverage.txt")
	got := strings.Join(lines, "")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s\nwrite it anew with -update", diff)
	}
}

func TestMappingsThatAreWrong(t *testing.T) {
	for text, says := range map[string]string{
		"a: b":                                "field a not found",
		"targets: [{tables: [x]}]":            "targets[0] (x): for and tables must not be empty",
		"targets: [{for: [{category: c}]}]":   "targets[0] (): for and tables must not be empty",
		"targets: [{for: [{}], tables: [x]}]": "for[0] names no category, product or service",
		"targets: [{for: [{category: c}], tables: [x], platforms: [plan9]}]":                              "platform plan9 is none of linux, darwin, windows",
		"targets: [{for: [{category: c}], tables: [x], use: [y]}]":                                        "there is no fieldset y",
		"targets: [{for: [{category: c}], tables: [x], where: [{field: a, operator: sounds, value: b}]}]": "where: Unsupported operator: sounds",
		"targets:\n- for: [{category: c}]\n  tables: [x]\n  fields:\n    A: {path: b}":                    "line 5: a field must be the name of a column, or have one of column, template and constant",
		"targets: [{for: [{category: c}], tables: [x], fields: {A: {column: a, template: b}}}]":           "or have one of column, template and constant",
		"targets: [{for: [{category: c}], tables: [x], fields: {A: {column: a, colour: b}}}]":             "field colour not found",
		strings.Repeat("#", sigma.MaxMapping+1):                                                           "The mapping is larger than 1024 KiB",
	} {
		_, err := sigma.ParseMapping([]byte(text))
		if !fault.Is(err, fault.Unprocessable) || !strings.Contains(fault.Public(err), says) {
			t.Errorf("%.60s: %v, want %q", text, err, says)
		}
	}
	if m, err := sigma.ParseMapping(nil); err != nil || len(m.Sources()) != 0 {
		t.Errorf("an empty mapping: %v", err)
	}
}

func TestLogSourcesFindTheirTargets(t *testing.T) {
	for source, want := range map[string]string{
		"{category: process_creation, product: windows}":             "process_etw_events windows_events windows_events",
		"{category: process_creation}":                               "process_events es_process_events process_etw_events windows_events windows_events",
		"{Category: x, product: windows, service: Security}":         "windows_events",
		"{product: windows, service: security}":                      "windows_events",
		"{product: linux, service: sshd}":                            "syslog_events user_events",
		"{product: linux}":                                           "syslog_events",
		"{product: linux, category: dns_query}":                      "",
		"{category: process_creation, product: windows, service: x}": "",
		"{product: aws, service: cloudtrail}":                        "",
		"{category: antivirus, product: windows}":                    "windows_events",
	} {
		r := one(t, "title: x\nlogsource: "+source+"\ndetection: {s: {EventID: 1, Image: x}, k: [word], condition: s or k}", sigma.DefaultMapping())
		var tables []string
		for _, v := range r.Rule.Variants {
			tables = append(tables, v.Tables...)
		}
		if got := strings.Join(tables, " "); got != want {
			t.Errorf("%s: %s, %s", source, got, r.Reason)
		}
	}
}

func TestRowsThatAreGoneAreNoEventsUnlessAskedFor(t *testing.T) {
	const targets = `targets:
- {for: [{category: plain}], tables: [crontab], fields: {A: command}}
- {for: [{category: gone}], tables: [crontab], where: [{field: action, operator: equal, value: removed}], fields: {A: command}}
- {for: [{category: events}], tables: [process_events], fields: {A: cmdline}}
`
	m, err := sigma.ParseMapping([]byte(targets))
	if err != nil {
		t.Fatal(err)
	}
	for category, want := range map[string]string{"plain": "added snapshot", "gone": "removed", "events": "added snapshot removed"} {
		v := variant(t, one(t, rule(category, "  s: {A: x}\n  condition: s\n"), m))
		var found []string
		for _, action := range []string{"added", "snapshot", "removed"} {
			if matchesAs(t, v, `{"command":"x","cmdline":"x"}`, action) {
				found = append(found, action)
			}
		}
		if got := strings.Join(found, " "); got != want {
			t.Errorf("%s: %s, want %s", category, got, want)
		}
	}
}
