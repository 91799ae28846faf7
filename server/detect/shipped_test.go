package detect

import (
	"encoding/json"
	"slices"
	"testing"

	"muster/rules"
	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
)

// All shipped rules at once: each finds its own events, and not those beside them.
func TestShippedRulesTogether(t *testing.T) {
	s := New(dbtest.Open(t, database.SQLite), bus.NewMemory(), quiet(t), Options{Shipped: rules.Files})
	ok(t, s.Load(t.Context()))
	list, _, _, err := s.List(t.Context(), Filter{})
	ok(t, err)
	ids := map[string]int64{}
	for _, r := range list {
		ids[r.Shipped] = r.ID
		if r.Problem != "" {
			t.Errorf("%s: %s", r.Name, r.Problem)
		}
	}
	if len(ids) != len(rules.All()) {
		t.Errorf("%d rules are installed of %d", len(ids), len(rules.All()))
	}
	for _, rule := range rules.All() {
		name := rule.Platform + "/" + rule.Name
		stored := mustFind(t, s, ids[name])
		tests, err := rule.Tests()
		ok(t, err)
		for _, e := range tests.Fires {
			if stored.Status == Active && !finds(t, s, e, stored.ID) {
				t.Errorf("%s does not find: %s", name, e.Note)
			}
		}
		for _, e := range tests.Quiet {
			if finds(t, s, e, stored.ID) {
				t.Errorf("%s finds: %s", name, e.Note)
			}
		}
	}
}

func finds(t *testing.T, s *Store, e rules.Event, id int64) bool {
	t.Helper()
	columns, err := json.Marshal(e.Columns)
	ok(t, err)
	row := event(t, string(columns))
	row.Platform, row.Tables, row.Query = e.Platform, []string{e.Table}, e.Table
	if e.Action != "" {
		row.Action = e.Action
	}
	matches, complete := s.Evaluate(row)
	if !complete {
		t.Errorf("%s: not complete", e.Note)
	}
	return slices.ContainsFunc(matches, func(m Match) bool { return m.RuleID == id })
}
