package results

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

// madeAt appends a row that a host made at one moment and that arrives at another.
func (s *Store) madeAt(t *testing.T, c *clock, arrives time.Time, e Entry) {
	t.Helper()
	c.set(arrives)
	if err := s.EnsurePartitions(t.Context()); err != nil {
		t.Fatal(err)
	}
	sightings++
	mustAppend(t, s, 1, Line{Key: LineKey(e.HostID, int64(sightings), e.Columns, 0), Entries: []Entry{e}})
}

func TestAround(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		c := newClock(noon)
		s, _ := running(t, db, Options{Now: c.now})
		for day := range 3 {
			for n := range 10 {
				at := noon.AddDate(0, 0, day).Add(time.Duration(n) * time.Minute)
				for host := int64(1); host <= 2; host++ {
					for _, name := range []string{"a", "b"} {
						s.madeAt(t, c, at, Entry{HostID: host, Name: name, Action: "added", Columns: fmt.Appendf(nil, `{"n":"%s%d.%d"}`, name, day, n), UnixTime: at.Unix()})
					}
				}
			}
		}
		second := noon.AddDate(0, 0, 1)
		late := second.Add(2 * time.Minute)
		s.madeAt(t, c, noon.AddDate(0, 0, 2).Add(time.Hour), Entry{HostID: 1, Name: "a", Action: "removed", Columns: []byte(`{"n":"late"}`), UnixTime: late.Unix()})
		minutes := func(n int) time.Time { return second.Add(time.Duration(n) * time.Minute) }
		for sentence, q := range map[string]struct {
			around   Around
			want     []string
			complete bool
		}{
			"of a window of arrival":  {Around{From: minutes(2), To: minutes(4), Names: []string{"b", "a", "none"}}, []string{"b1.2", "b1.3", "a1.2", "a1.3"}, true},
			"and of the rows' clocks": {Around{From: noon, To: second.AddDate(0, 0, 3), UnixFrom: minutes(2).Unix(), UnixTo: minutes(3).Unix(), Names: []string{"a"}}, []string{"a1.2", "a1.3", "late"}, true},
			"the last ones":           {Around{From: noon, To: second.AddDate(0, 0, 1), Names: []string{"a"}, Limit: 2}, []string{"a1.8", "a1.9"}, false},
			"the first ones":          {Around{From: minutes(0), To: second.AddDate(0, 0, 1), Names: []string{"a"}, Limit: 2, First: true}, []string{"a1.0", "a1.1"}, false},
			"as many as there are":    {Around{From: minutes(0), To: minutes(2), Names: []string{"a"}, Limit: 2}, []string{"a1.0", "a1.1"}, true},
			"of nothing":              {Around{From: minutes(0), To: minutes(2)}, nil, true},
		} {
			q.around.HostID = 1
			if q.around.Limit == 0 {
				q.around.Limit = 100
			}
			rows, complete, err := s.Around(t.Context(), q.around)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, row := range rows {
				got = append(got, string(row.Columns[6:len(row.Columns)-2]))
			}
			if !slices.Equal(got, q.want) || complete != q.complete {
				t.Errorf("%s: %q, complete %t", sentence, got, complete)
			}
		}
		if _, _, err := s.Around(t.Context(), Around{HostID: 1, Names: []string{"a"}, Limit: 1}); !fault.Is(err, fault.Invalid) {
			t.Errorf("without a window: %v", err)
		}
	})
}

func TestNames(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		c := newClock(noon)
		s, _ := running(t, db, Options{Now: c.now})
		if names, err := s.Names(t.Context(), 1); err != nil || names == nil || len(names) != 0 {
			t.Errorf("of a host without rows: %v %v", names, err)
		}
		for day := range 2 {
			for _, name := range []string{"b", "a", "pack/p/b", "c"} {
				s.madeAt(t, c, noon.AddDate(0, 0, day), Entry{HostID: 1, Name: name, Action: "added", Columns: []byte(name), UnixTime: 1})
			}
			s.madeAt(t, c, noon.AddDate(0, 0, day), Entry{HostID: 2, Name: "other", Action: "added", Columns: []byte("{}"), UnixTime: 1})
		}
		names, err := s.Names(t.Context(), 1)
		if err != nil || !slices.Equal(names, []string{"a", "b", "c", "pack/p/b"}) {
			t.Errorf("%q %v", names, err)
		}
	})
}
