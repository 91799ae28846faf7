package sigma_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"muster/rules"
	"muster/server/attack"
	"muster/server/sigma"
)

// shipped is a rule that ships, translated.
type shipped struct {
	rules.Rule
	sigma.Result
	tests rules.Tests
}

func shippedRules(t testing.TB) []*shipped {
	t.Helper()
	var all []*shipped
	for _, r := range rules.All() {
		s := &shipped{Rule: r, Result: one(t, r.Text, sigma.DefaultMapping())}
		var err error
		if s.tests, err = r.Tests(); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// file is where a rule stands below rules/.
func (s *shipped) file() string { return s.Platform + "/" + s.Name + ".yml" }

// finds reports whether the rule finds an event, in any of its variants.
func (s *shipped) finds(t testing.TB, e rules.Event) bool {
	t.Helper()
	columns, err := json.Marshal(e.Columns)
	if err != nil {
		t.Fatal(err)
	}
	action := "added"
	if e.Action != "" {
		action = e.Action
	}
	for _, v := range s.Result.Rule.Variants {
		fits := slices.Contains(v.Tables, e.Table) && (len(v.Platforms) == 0 || slices.Contains(v.Platforms, e.Platform))
		if fits && matchesAs(t, v, string(columns), action) {
			return true
		}
	}
	return false
}

func TestShippedRulesFindWhatTheyAreFor(t *testing.T) {
	for _, s := range shippedRules(t) {
		t.Run(s.Platform+"/"+s.Name, func(t *testing.T) {
			if s.Outcome != sigma.Translated {
				t.Fatalf("%s, line %d: %s", s.Outcome, s.Line, s.Reason)
			}
			for _, e := range s.tests.Fires {
				if !s.finds(t, e) {
					t.Errorf("it does not find: %s", e.Note)
				}
			}
			for _, e := range s.tests.Quiet {
				if s.finds(t, e) {
					t.Errorf("it finds: %s", e.Note)
				}
			}
		})
	}
}

// Near misses are honest, so none of the other rules finds them either.
func TestNearMissesAreFoundByNoRule(t *testing.T) {
	all := shippedRules(t)
	for _, s := range all {
		for _, e := range s.tests.Quiet {
			for _, other := range all {
				if other != s && other.finds(t, e) {
					t.Errorf("%s: %s: found by %s", s.file(), e.Note, other.file())
				}
			}
		}
	}
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func TestShippedRulesSayWhatTheyAre(t *testing.T) {
	titles, ids := map[string]string{}, map[string]string{}
	for _, s := range shippedRules(t) {
		r := s.Result.Rule
		switch {
		case r.Title == "" || r.Description == "" || len(r.FalsePositives) == 0 || r.Author != "Muster" || r.Status == "":
			t.Errorf("%s: title, description, falsepositives, author or status is missing", s.file())
		case !uuid.MatchString(r.ID):
			t.Errorf("%s: the id %q is no UUID", s.file(), r.ID)
		case !slices.Contains([]string{"informational", "low", "medium", "high", "critical"}, r.Level):
			t.Errorf("%s: there is no level %q", s.file(), r.Level)
		}
		for value, seen := range map[string]map[string]string{r.ID: ids, r.Title + s.Platform: titles} {
			if other := seen[value]; other != "" {
				t.Errorf("%s and %s have the same id or title", s.file(), other)
			}
			seen[value] = s.file()
		}
		checkAttack(t, s)
	}
}

// checkAttack holds the tags to ATT&CK: its techniques, and tactics that they serve.
func checkAttack(t *testing.T, s *shipped) {
	t.Helper()
	techniques, tactics := attack.FromTags(s.Result.Rule.Tags)
	if len(techniques) == 0 || len(tactics) == 0 || len(techniques)+len(tactics) != len(s.Result.Rule.Tags) {
		t.Errorf("%s: the tags %v are not techniques and tactics", s.file(), s.Result.Rule.Tags)
	}
	for _, id := range techniques {
		if _, known := attack.Find(id); !known {
			t.Errorf("%s: there is no technique %s", s.file(), id)
		}
		if serves := attack.Tactics([]string{id}); !slices.ContainsFunc(serves, func(tactic string) bool { return slices.Contains(tactics, tactic) }) {
			t.Errorf("%s: %s is for %v, and the tags name none of them", s.file(), id, serves)
		}
	}
	served := attack.Tactics(techniques)
	for _, tactic := range tactics {
		if !slices.Contains(served, tactic) {
			t.Errorf("%s: no technique is for %s", s.file(), tactic)
		}
	}
}

// ours are names that in conditions stand for the entry, or for no field.
var ours = []string{"action", "query_name", "column", "*"}

// columnsOfConditions names the columns that conditions look at.
func columnsOfConditions(rule map[string]any) []string {
	var names []string
	if inner, isGroup := rule["rules"].([]any); isGroup {
		for _, r := range inner {
			names = append(names, columnsOfConditions(r.(map[string]any))...)
		}
		return names
	}
	if template, is := rule["template"].(string); is {
		return columnsOf(template)
	}
	field := rule["field"].(string)
	if field == "column" {
		return []string{rule["value"].([]any)[0].(string)}
	}
	if slices.Contains(ours, field) {
		return nil
	}
	return []string{field}
}

func TestShippedRulesReadWhatTheShippedQueriesReport(t *testing.T) {
	reported := shippedColumns(t)
	for _, s := range shippedRules(t) {
		read := map[string]bool{} // tables of the rule that a shipped query reports, whole
		for _, v := range s.Result.Rule.Variants {
			for _, table := range v.Tables {
				whole := len(reported[table]) > 0
				for _, column := range columnsOfConditions(v.Conditions) {
					whole = whole && slices.Contains(reported[table], column)
				}
				read[table] = read[table] || whole
			}
		}
		for _, e := range slices.Concat(s.tests.Fires, s.tests.Quiet) {
			if !read[e.Table] {
				t.Errorf("%s: %s: no shipped query reports all that the rule reads of %s", s.file(), e.Note, e.Table)
			}
			for _, column := range slices.Sorted(maps.Keys(e.Columns)) {
				if !slices.Contains(reported[e.Table], column) {
					t.Errorf("%s: %s: no shipped query reports %s.%s", s.file(), e.Note, e.Table, column)
				}
			}
		}
	}
}

// What a rule leaves out because a table lacks the field would be a surprise.
func TestShippedRulesLoseNothingInTranslation(t *testing.T) {
	for _, s := range shippedRules(t) {
		for _, warning := range s.Warnings {
			if !strings.Contains(warning, "windows_events") && !strings.Contains(warning, "process_file_events") &&
				!strings.Contains(warning, "file_events") && !strings.Contains(warning, "socket_events") {
				t.Errorf("%s: %s", s.file(), warning)
			}
		}
	}
}
