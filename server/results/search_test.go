package results

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gorm.io/gorm"

	"muster/server/condition"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

// where parses one rule.
func where(t *testing.T, field, operator string, value any) *condition.Tree {
	t.Helper()
	rule := map[string]any{"field": field, "operator": operator, "value": value}
	tree, err := condition.Parse(map[string]any{"condition": "AND", "rules": []any{rule}}, condition.Options{Own: SearchFields()})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestSearchCountsByHostAndQuery(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := running(t, db, Options{})
		report(t, s, Entry{HostID: 1, Name: "processes", Action: "added"}, `{"path":"/bin/SH","pid":"7"}`, `{"path":"/bin/ls","pid":"42"}`, `{}`)
		report(t, s, Entry{HostID: 1, Name: "processes", Action: "removed"}, `{"path":"/bin/sh"}`)
		report(t, s, Entry{HostID: 1, Name: "files", Action: "snapshot"}, `{"target":"x","pid":9}`)
		report(t, s, Entry{HostID: 2, Name: "processes", Action: "added"}, `{"path":"/usr/bin/sh","pid":"100"}`)
		report(t, s, Entry{HostID: 3, Name: "odd", Action: "added"}, `{"path":"a\u0000b/sh"}`, `["/sh"]`, `{"path":"\ud800/sh"}`)
		odd := Group{3, "odd", 2}
		tests := []struct {
			name   string
			search Search
			want   []Group
		}{
			{"contains, removed rows included", Search{Where: where(t, "path", "contains", "/sh")}, []Group{{1, "processes", 2}, {2, "processes", 1}, odd}},
			{"what SQL alone does not decide", Search{Where: where(t, "path", "matches_regex", "^.*/[sS][hH]$")}, []Group{{1, "processes", 2}, {2, "processes", 1}, odd}},
			{"numbers as numbers", Search{Where: where(t, "pid", "less", 42)}, []Group{{1, "files", 1}, {1, "processes", 1}}},
			{"the name of the query", Search{Where: where(t, "query_name", "equal", "files")}, []Group{{1, "files", 1}}},
			{"without removed rows", Search{Where: where(t, "path", "ends_with", "bin/sh"), NoRemoved: true}, []Group{{1, "processes", 1}, {2, "processes", 1}}},
			{"of one host", Search{Where: where(t, "path", "contains", "/sh"), HostID: 2}, []Group{{2, "processes", 1}}},
			{"of one query", Search{Where: where(t, "pid", "is_not_empty", ""), Name: "files"}, []Group{{1, "files", 1}}},
			{"of one host and query", Search{Where: where(t, "path", "contains", "/sh"), HostID: 1, Name: "processes"}, []Group{{1, "processes", 2}}},
			{"of the hosts that are shown", Search{Where: where(t, "path", "contains", "/sh"), Visible: func(id int64) bool { return id == 2 }}, []Group{{2, "processes", 1}}},
			{"no condition", Search{}, []Group{{1, "files", 1}, {1, "processes", 4}, {2, "processes", 1}, {3, "odd", 3}}},
			{"nothing", Search{Where: where(t, "path", "equal", "%")}, []Group{}},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				got, reach, err := s.Search(t.Context(), test.search)
				if diff := cmp.Diff(test.want, got); err != nil || diff != "" || !reach.Complete {
					t.Error(reach, err, diff)
				}
				// The rows themselves say the same.
				rows, count, _, err := s.SearchRows(t.Context(), test.search, Page{})
				total := int64(0)
				for _, g := range test.want {
					total += g.Count
				}
				if err != nil || count != total || int64(len(rows)) != total {
					t.Errorf("%d rows, count %d, want %d: %v", len(rows), count, total, err)
				}
			})
		}
		if _, reach, err := s.Search(t.Context(), Search{}); err != nil || reach != (Reach{From: noon, To: noon, Complete: true, Rows: 9}) {
			t.Errorf("%+v, %v", reach, err)
		}
	})
}

func TestSearchOfAnEmptyLog(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := newStore(db, Options{})
		groups, reach, err := s.Search(t.Context(), Search{})
		if err != nil || groups == nil || len(groups) != 0 || reach != (Reach{Complete: true}) {
			t.Errorf("%v %+v %v", groups, reach, err)
		}
		rows, count, _, err := s.SearchRows(t.Context(), Search{HostID: 1, Name: "q"}, Page{})
		if err != nil || rows == nil || len(rows) != 0 || count != 0 {
			t.Errorf("%v %d %v", rows, count, err)
		}
	})
}

// overDays fills the log with so many hours of so many rows each, from noon on, of
// host 1 and in turn of another.
func overDays(t *testing.T, db *database.DB, o Options, hours, rows int) *Store {
	t.Helper()
	c := newClock(noon)
	o.Now = c.now
	s, _ := running(t, db, o)
	for hour := range hours {
		c.set(noon.Add(time.Duration(hour) * time.Hour))
		if err := s.EnsurePartitions(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, s, rows, lines(1+int64(hour%2)*8, hour*rows, hour*rows+rows)...)
	}
	return s
}

func TestSearchWithinATime(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := overDays(t, db, Options{SearchRows: 100}, 60, 100) // 6,000 rows: more than an edge may be off
		from, to := noon.Add(20*time.Hour), noon.Add(30*time.Hour)
		groups, reach, err := s.Search(t.Context(), Search{From: from, To: to})
		want := []Group{{1, "q", 500}, {9, "q", 500}}
		if diff := cmp.Diff(want, groups); err != nil || diff != "" {
			t.Error(err, diff)
		}
		if reach != (Reach{From: from, To: to, Complete: true, Rows: 1000}) {
			t.Errorf("%+v", reach)
		}
		sc, err := s.bound(t.Context(), scope{from: database.Micros(from), to: database.Micros(to)})
		if err != nil || sc.high-sc.low > 1000+2*nearly+200 {
			t.Errorf("ids from %d to %d are looked at, %v", sc.low, sc.high, err)
		}
		rows, count, _, err := s.SearchRows(t.Context(), Search{From: from, To: to, HostID: 1, Name: "q"}, Page{Start: 99, Limit: 2})
		if err != nil || count != 500 || len(rows) != 2 || string(rows[0].Columns) != `{"n":"2800"}` || string(rows[1].Columns) != `{"n":"2699"}` {
			t.Errorf("%d %v %v", count, rows, err)
		}
	})
}

func TestASearchEndsWithItsBudget(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := overDays(t, db, Options{SearchRows: 10, SearchBudget: 1}, 6, 10)
		groups, reach, err := s.Search(t.Context(), Search{})
		last := noon.Add(5 * time.Hour)
		if diff := cmp.Diff([]Group{{9, "q", 10}}, groups); err != nil || diff != "" || reach != (Reach{From: last, To: last, Rows: 10}) {
			t.Errorf("%+v %v %s", reach, err, diff)
		}
		rows, count, reach, err := s.SearchRows(t.Context(), Search{}, Page{Limit: 4})
		if err != nil || len(rows) != 4 || count != 10 || reach.Complete {
			t.Errorf("%d rows, count %d, %+v %v", len(rows), count, reach, err)
		}
	})
}

func TestPagesOfASearch(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := overDays(t, db, Options{SearchRows: 7}, 30, 10)
		var want []string // of both hosts, newest first
		for n := 299; n >= 0; n-- {
			if strings.Contains(fmt.Sprint(n), "7") {
				want = append(want, fmt.Sprintf(`{"n":"%d"}`, n))
			}
		}
		for name, tree := range map[string]*condition.Tree{"by SQL": where(t, "n", "contains", "7"), "by row": where(t, "n", "matches_regex", ".*7.*")} {
			var got []string
			for start := 0; start < len(want)+13; start += 13 {
				rows, count, reach, err := s.SearchRows(t.Context(), Search{Where: tree}, Page{Start: start, Limit: 13})
				if err != nil || count != int64(len(want)) || !reach.Complete || reach.Rows != 300 {
					t.Fatalf("%s from %d: count %d, %+v, %v", name, start, count, reach, err)
				}
				for _, r := range rows {
					got = append(got, string(r.Columns))
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(name, diff)
			}
		}
	})
}

func TestSearchesAtOnceAreLimited(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := newStore(db, Options{Searches: 2, SearchWait: time.Millisecond})
		for range 2 {
			if _, err := s.searches.enter(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := s.Search(t.Context(), Search{}); !fault.Is(err, fault.TooMany) || !strings.HasPrefix(fault.Public(err), "2 searches") {
			t.Error(err)
		}
		if _, _, _, err := s.SearchRows(t.Context(), Search{}, Page{}); !fault.Is(err, fault.TooMany) {
			t.Error(err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.searches.enter(ended, 0); !fault.Is(err, fault.Busy) {
			t.Error(err)
		}
		<-s.searches
		if _, _, err := s.Search(t.Context(), Search{}); err != nil {
			t.Error("after one ended:", err)
		}
	})
}

func TestAStatementThatIsTooSlowIsEnded(t *testing.T) {
	forever := map[database.Engine]string{
		database.SQLite:   "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n WHERE i < 0",
		database.Postgres: "SELECT pg_sleep(100)",
	}
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := newStore(db, Options{})
		slow := func(tx *gorm.DB) error { return tx.Exec(forever[db.Engine()]).Error }
		if err := s.reading(t.Context(), 20*time.Millisecond, slow); !errors.Is(err, errSlow) {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := s.reading(ctx, time.Minute, slow); !fault.Is(err, fault.Busy) || errors.Is(err, errSlow) {
			t.Error("a caller that left:", err)
		}
		if err := s.reading(t.Context(), time.Minute, func(tx *gorm.DB) error { return tx.Exec("SELECT 1").Error }); err != nil {
			t.Error("afterwards:", err)
		}
	})
}

func TestSpansThatAreTooSlowAreMadeSmaller(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := overDays(t, db, Options{SearchRows: 100_000}, 10, 500)
		sc, err := s.bound(t.Context(), scope{})
		if err != nil {
			t.Fatal(err)
		}
		var asked, seen int64
		reach, err := s.scan(t.Context(), sc, func(_ context.Context, w span) error {
			if asked++; asked == 1 && w.rows != 5000 {
				t.Errorf("the first span has %d rows", w.rows)
			}
			if w.rows > 2000 && asked < 3 {
				return errSlow
			}
			seen += w.rows
			return nil
		})
		if err != nil || seen != 5000 || reach.Rows != 5000 || !reach.Complete {
			t.Errorf("%d rows seen, %+v, %v", seen, reach, err)
		}
		var sizes []int64
		reach, err = s.scan(t.Context(), sc, func(_ context.Context, w span) error {
			sizes = append(sizes, w.rows)
			return errFull
		})
		if err != nil || reach.Complete || reach.Rows != 0 || !slices.IsSortedFunc(sizes, func(a, b int64) int { return int(b - a) }) || len(sizes) > 5 {
			t.Errorf("spans of %v, %+v, %v", sizes, reach, err)
		}
	})
}

func TestATallyIsBounded(t *testing.T) {
	var found tally
	name := strings.Repeat("n", 1000)
	for i := int64(0); ; i++ {
		err := found.add(groupKey{i, name}, 1)
		if err == nil && i < maxGroups {
			continue
		}
		if !errors.Is(err, errFull) || i < 20_000 || i > 60_000 {
			t.Errorf("full after %d groups: %v", i, err)
		}
		break
	}
	before := found.sum()
	other := tally{}
	if other.add(groupKey{1, name}, 1) != nil || other.add(groupKey{-1, name}, 1) != nil || !errors.Is(found.merge(other), errFull) || found.sum() != before {
		t.Error("a merge that does not fit changes something")
	}
}

func TestAPageIsBounded(t *testing.T) {
	p := page{need: 1000}
	row := Row{Columns: make([]byte, 1<<20)}
	for range pageBytes >> 20 {
		if err := p.add([]Row{row}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.add([]Row{row}); !fault.Is(err, fault.Unprocessable) {
		t.Error(err)
	}
}

func TestARowThatTakesLongToMatchEndsWithItsStatement(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := running(t, db, Options{SearchBudget: 100 * time.Millisecond})
		large := `{"x":"` + strings.Repeat("abc", 1<<18) + `"}` // minutes
		report(t, s, Entry{HostID: 1, Name: "q", Action: "added"}, large)
		tree := where(t, "x", "matches_regex", `(.?.?){500}[^a-c]`) // no text that a look for it would spare
		began := time.Now()
		groups, reach, err := s.Search(t.Context(), Search{Where: tree})
		if took := time.Since(began); err != nil || len(groups) != 0 || reach.Complete || took > 20*time.Second {
			t.Errorf("%v after %v: %+v %v", groups, took, reach, err)
		}
		v, err := s.view(t.Context(), Search{Where: tree})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := v.fetch(t.Context(), v.scope.low, v.scope.high, 50*time.Millisecond); !errors.Is(err, errSlow) {
			t.Error("its rows:", err)
		}
	})
}
