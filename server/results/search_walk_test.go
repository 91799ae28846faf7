package results

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/condition"
	"muster/server/database"
	"muster/server/database/dbtest"
)

func TestAWalkSeesWhatMatches(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := running(t, db, Options{})
		report(t, s, Entry{HostID: 1, Name: "processes", Action: "added", UnixTime: 5}, `{"path":"/bin/sh","n":"1"}`, `{"path":"/bin/ls","n":"2"}`)
		report(t, s, Entry{HostID: 2, Name: "processes", Action: "removed", UnixTime: 6}, `{"path":"/bin/sh","n":"3"}`)
		for _, test := range []struct {
			name, field, operator string
			value                 any
			want                  string
		}{
			{"a column", "path", "contains", "sh", "3 1"},
			{"what happened to the row", "action", "equal", "Removed", "3"},
			{"the agent's time", "timestamp", "less", 6, "2 1"},
			{"the host", "host_identifier", "matches_regex", "-2$", "3"},
			{"the host, and not", "host_identifier", "not_equal", "host-2", "2 1"},
			{"the query", "query_name", "equal", "PROCESSES", "3 2 1"},
		} {
			t.Run(test.name, func(t *testing.T) {
				rule := map[string]any{"field": test.field, "operator": test.operator, "value": test.value}
				tree, err := condition.Parse(map[string]any{"condition": "AND", "rules": []any{rule}},
					condition.Options{Own: []string{queryName, actionField, timeField, hostIdentifier}})
				if err != nil {
					t.Fatal(err)
				}
				q := Search{Where: tree, Identifier: func(id int64) string { return map[int64]string{1: "host-1", 2: "host-2"}[id] }}
				var got []string
				reach, err := s.Walk(t.Context(), q, func(r Row) bool {
					_, n, _ := strings.Cut(string(r.Columns), `"n":"`)
					got = append(got, n[:1])
					return true
				})
				if strings.Join(got, " ") != test.want || err != nil || reach != (Reach{From: noon, To: noon, Complete: true, Rows: 3}) {
					t.Errorf("%q, %+v, %v", got, reach, err)
				}
			})
		}
	})
}

func TestAWalkEndsWhenItIsTold(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := overDays(t, db, Options{SearchRows: 100}, 3, 100)
		seen := 0
		reach, err := s.Walk(t.Context(), Search{}, func(Row) bool { seen++; return seen < 150 })
		last := noon.Add(2 * time.Hour)
		if diff := cmp.Diff(Reach{From: last, To: last, Rows: 100}, reach); diff != "" || err != nil || seen != 150 {
			t.Errorf("%d rows, %v, %s", seen, err, diff)
		}
	})
}

func TestAWalkEndsWithItsBudget(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := overDays(t, db, Options{SearchRows: 100, SearchBudget: 1}, 3, 100)
		seen := 0
		reach, err := s.Walk(t.Context(), Search{}, func(Row) bool { seen++; return true })
		if err != nil || reach.Complete || reach.Rows != 100 || seen != 100 {
			t.Errorf("%d rows, %+v, %v", seen, reach, err)
		}
	})
}
