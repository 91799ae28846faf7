package results

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
	"muster/server/indicator"
	"muster/server/osquery"
)

// TestColumnsAreOsquerys finds misspelt columns: those that are none of osquery's
// are known to come from elsewhere.
func TestColumnsAreOsquerys(t *testing.T) {
	elsewhere := []string{"ja3_md5", "process_guid", "parent_process_guid", "process_name", "parent_path", "destination_address"}
	for _, column := range indicator.Columns() {
		known := slices.ContainsFunc(osquery.Tables(), func(table osquery.Table) bool {
			return slices.ContainsFunc(table.Columns, func(c osquery.Column) bool { return c.Name == column })
		})
		if !known && !slices.Contains(elsewhere, column) {
			t.Errorf("no table has a column %s", column)
		}
	}
}

// sighting is a row of a log that a test knows by heart.
type sighting struct {
	at           time.Time
	host         int64
	name, action string
	columns      string
}

var sightings int

func (g sighting) line() Line {
	sightings++
	return Line{Key: LineKey(g.host, int64(sightings), []byte(g.columns), 0), Entries: []Entry{{
		HostID: g.host, Name: g.name, Action: g.action, Columns: []byte(g.columns), UnixTime: g.at.Unix()}}}
}

// tell appends sightings, in their order, each moment in a batch of its own.
func tell(t *testing.T, s *Store, c *clock, all ...sighting) {
	t.Helper()
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].at.Equal(all[0].at) {
			n++
		}
		c.set(all[0].at)
		if err := s.EnsurePartitions(t.Context()); err != nil {
			t.Fatal(err)
		}
		var lines []Line
		for _, g := range all[:n] {
			lines = append(lines, g.line())
		}
		mustAppend(t, s, n, lines...)
		all = all[n:]
	}
}

// observing returns a running store whose segments have so many rows.
func observing(t *testing.T, db *database.DB, rows int) (*Store, *clock) {
	c := newClock(noon)
	s, _ := running(t, db, Options{Now: c.now})
	s.observer.rows = rows
	return s, c
}

func mustObserve(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Observe(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// counted is what a hunt counts, a line a group.
func counted(t *testing.T, s *Store, h Hunt) string {
	t.Helper()
	groups, _, err := s.Hunt(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, g := range groups {
		lines = append(lines, fmt.Sprintf("%d %s %d", g.HostID, g.Name, g.Count))
	}
	return strings.Join(lines, "; ")
}

func segmentsOf(t *testing.T, s *Store) []segment {
	t.Helper()
	all, err := s.segments(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func hashOf(n int) string { return fmt.Sprintf("%032x", n) }

// log makes rows of three days, with values that come again.
func someLog(rows int) []sighting {
	var all []sighting
	at := noon.AddDate(0, 0, -2)
	for i := range rows {
		if i%7 == 0 {
			at = at.Add(time.Duration(rand.Int64N(int64(50 * time.Hour / time.Duration(rows/7)))))
		}
		g := sighting{at: at, host: rand.Int64N(4) + 1, name: fmt.Sprint("q", rand.IntN(3)), action: []string{"added", "removed", "snapshot"}[rand.IntN(3)]}
		switch rand.IntN(4) {
		case 0:
			g.columns = fmt.Sprintf(`{"md5":%q,"pid":"1"}`, strings.ToUpper(hashOf(rand.IntN(40))))
		case 1:
			g.columns = fmt.Sprintf(`{"path":"/bin/%d","target_path":"/bin/%d"}`, rand.IntN(20), rand.IntN(20))
		case 2:
			g.columns = fmt.Sprintf(`{"remote_address":"10.0.0.%d","host":".Example-%d.org"}`, rand.IntN(9), rand.IntN(9))
		default:
			g.columns = `["no object"]`
		}
		all = append(all, g)
	}
	return all
}

// look counts what a hunt should, the slow way.
func look(all []sighting, h Hunt) string {
	counts := map[string]int{}
	for _, g := range all {
		if g.at.Before(h.From) || !h.To.IsZero() && !g.at.Before(h.To) {
			continue
		}
		holds := false
		newExtractor(h.Type.Columns()).each([]byte(g.columns), func(_, value string) {
			holds = holds || slices.ContainsFunc(h.Values, func(v string) bool { return h.Type.Normalize(v) == value })
		})
		if holds {
			counts[fmt.Sprintf("%d %s", g.host, g.name)]++
		}
	}
	lines := []string{}
	for group, n := range counts {
		lines = append(lines, fmt.Sprintf("%s %d", group, n))
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

func TestHuntsAgreeWithALookAtEveryRow(t *testing.T) {
	all := someLog(2100)
	hunts := []Hunt{
		{Type: "md5", Values: []string{hashOf(3), strings.ToUpper(hashOf(4)), "nonsense"}},
		{Type: "path", Values: []string{"/BIN/7", " /bin/8 ", "/bin/99"}},
		{Type: "target_path", Values: []string{"/bin/7"}},
		{Type: "domain_name", Values: []string{"example-1.org", "EXAMPLE-2.org."}},
		{Type: "remote_address", Values: []string{"::ffff:10.0.0.3", "example-3.org"}},
		{Type: "sha1", Values: []string{hashOf(3)}},
		{Type: "md5", Values: []string{" "}},
		{Type: "md5", Values: []string{hashOf(5), hashOf(6)}, From: noon.AddDate(0, 0, -1), To: noon.Add(-6 * time.Hour)},
		{Type: "md5", Values: []string{hashOf(5), hashOf(6)}, To: all[900].at},
		{Type: "md5", Values: []string{hashOf(5), hashOf(6)}, From: noon},
	}
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, c := observing(t, db, 100)
		check := func(when string, known []sighting) {
			t.Helper()
			for i, h := range hunts {
				if diff := gocmp.Diff(look(known, h), counted(t, s, h)); diff != "" {
					t.Errorf("%s, hunt %d: %s", when, i, diff)
				}
			}
		}
		tell(t, s, c, all[:700]...)
		check("before there is an index", all[:700])
		mustObserve(t, s)
		check("with an index of a part", all[:700])
		tell(t, s, c, all[700:]...)
		check("with more rows after it", all)
		mustObserve(t, s)
		if n := len(segmentsOf(t, s)); n < 10 || n > 30 {
			t.Errorf("%d segments", n)
		}
		check("with more of it", all)
		c.set(c.now().Add(time.Second))
		if err := s.ObserveAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		covered := int64(0)
		for _, g := range segmentsOf(t, s) {
			covered += g.RowCount
			if dayOf(database.FromMicros(g.FromAt)) != dayOf(database.FromMicros(g.ToAt-1)) {
				t.Errorf("a segment lies in two days: %+v", g)
			}
		}
		if covered != int64(len(all)) {
			t.Errorf("the index covers %d of %d rows", covered, len(all))
		}
		check("with an index of everything", all)
		again := newStore(db, Options{Now: c.now})
		again.observer.rows = 100
		if counted(t, again, hunts[0]) != look(all, hunts[0]) {
			t.Error("another process finds something else")
		}
	})
}

func TestReach(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, c := observing(t, db, 10)
		reach := func(h Hunt) Reach {
			t.Helper()
			h.Type, h.Values = "md5", []string{hashOf(1)}
			_, reach, err := s.Hunt(t.Context(), h)
			if err != nil {
				t.Fatal(err)
			}
			return reach
		}
		if got := reach(Hunt{}); got != (Reach{Complete: true}) {
			t.Errorf("of an empty log: %+v", got)
		}
		first := noon.Add(-time.Hour)
		for i := range 30 {
			tell(t, s, c, sighting{at: first.Add(time.Duration(i) * time.Minute), host: 1, name: "q", action: "added", columns: `{"md5":"1"}`})
		}
		c.set(noon)
		if got := reach(Hunt{}); got != (Reach{From: first, To: noon, Complete: true, Rows: 30}) {
			t.Errorf("without an index: %+v", got)
		}
		mustObserve(t, s)
		got := reach(Hunt{})
		if got.From.After(first) || got.To != noon || got.Rows != 30 || !got.Complete {
			t.Errorf("with an index: %+v", got)
		}
		want := Reach{From: first.Add(-time.Hour), To: first.Add(5 * time.Minute), Complete: true, Rows: 5}
		if got := reach(Hunt{From: want.From, To: want.To}); got != want {
			t.Errorf("of a part: %+v", got)
		}
		for _, h := range []Hunt{{Type: "color"}, {Type: "md5", Values: make([]string, MaxIndicators+1)}} {
			if _, _, err := s.Hunt(t.Context(), h); !fault.Is(err, fault.Invalid) {
				t.Errorf("%v", err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := s.Hunt(ctx, Hunt{Type: "md5", Values: []string{"a"}}); !fault.Is(err, fault.Busy) {
			t.Errorf("given up: %v", err)
		}
	})
}

func TestHuntRows(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, c := observing(t, db, 20)
		var want []string
		for i := range 60 {
			at := noon.AddDate(0, 0, -1).Add(time.Duration(i) * 24 * time.Minute) // two days
			g := sighting{at: at, host: int64(i%2 + 1), name: fmt.Sprint("q", i%3), action: []string{"added", "removed", "snapshot"}[i%5%3], columns: fmt.Sprintf(`{"md5":%q,"n":"%d"}`, hashOf(i%4), i)}
			tell(t, s, c, g)
			if g.host == 2 && g.name == "q1" && g.action != "removed" && i%4 == 1 {
				want = append(want, g.columns)
			}
		}
		slices.Reverse(want)
		h := Hunt{Type: "md5", Values: []string{hashOf(1)}}
		ours := h
		ours.HostID, ours.Name, ours.Visible = 2, "q1", func(host int64) bool { return host == 2 }
		for _, indexed := range []bool{false, true} {
			if indexed {
				mustObserve(t, s)
			}
			rows, count, reach, err := s.HuntRows(t.Context(), ours, Page{Start: 1, Limit: 2})
			if err != nil || count != int64(len(want)) || len(rows) != 2 || !reach.Complete {
				t.Fatalf("%d rows of %d, want 2 of %d: %+v %v", len(rows), count, len(want), reach, err)
			}
			for i, row := range rows {
				if string(row.Columns) != want[i+1] || row.HostID != 2 || row.Name != "q1" || row.ReceivedAt.IsZero() || row.Time.IsZero() {
					t.Errorf("row %d is %+v, want %s", i, row, want[i+1])
				}
			}
			if rows, count, _, err := s.HuntRows(t.Context(), ours, Page{Start: 1000}); err != nil || len(rows) != 0 || count != int64(len(want)) {
				t.Errorf("beyond the end: %v %d %v", rows, count, err)
			}
			each, err := s.EachHuntRow(t.Context(), h)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				var ids []int64
				for row, err := range each {
					if err != nil {
						t.Fatal(err)
					}
					ids = append(ids, row.ID)
				}
				if !slices.IsSortedFunc(ids, func(a, b int64) int { return cmp.Compare(b, a) }) || len(ids) != 9 {
					t.Error(ids)
				}
			}
			for range each {
				break
			}
			for _, other := range []Hunt{{HostID: 1}, {Visible: func(host int64) bool { return host != 2 }}, {Name: "q7"}} {
				other.Type, other.Values = h.Type, h.Values
				if got := counted(t, s, other); got != "" {
					t.Errorf("of others: %s", got)
				}
			}
		}
	})
}

func TestObserveWaitsUntilNothingOlderCanArrive(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, c := observing(t, db, 5)
		row := sighting{host: 1, name: "q", action: "added", columns: `{"md5":"a"}`}
		for i := range 12 {
			row.at = noon.Add(time.Duration(i) * time.Second)
			tell(t, s, c, row)
		}
		want := func(when string, segments, rows int) {
			t.Helper()
			mustObserve(t, s)
			got := segmentsOf(t, s)
			covered := 0
			for _, g := range got {
				covered += int(g.RowCount)
			}
			if len(got) != segments && segments >= 0 || covered != rows {
				t.Errorf("%s: %d segments with %d rows, want %d with %d", when, len(got), covered, segments, rows)
			}
			if got, want := counted(t, s, Hunt{Type: "md5", Values: []string{"A"}}), "1 q 12"; got != want {
				t.Errorf("%s: found %s", when, got)
			}
		}
		c.set(noon.Add(observeLag + 3*time.Second))
		want("the rows are too young", 0, 0)
		c.set(noon.Add(observeLag + time.Minute))
		late := &writer{}
		s.flights.begin(late, func() time.Time { return noon })
		want("a batch of their time is under way", 0, 0)
		s.flights.end(late)
		mustObserve(t, s)
		covered := 0
		for _, g := range segmentsOf(t, s) {
			covered += int(g.RowCount)
		}
		if covered < 5 {
			t.Errorf("the index covers %d rows", covered)
		}
		c.set(noon.Add(13 * time.Hour))
		want("the day is over", -1, 12)
		if at := s.flights.begin(late, func() time.Time { return noon }); at.Before(noon.Add(11 * time.Second)) {
			t.Errorf("a clock that is set back gives %v", at)
		}
		want("again", -1, 12)
	})
}

func TestReplicasThatObserveAtOnceIndexEachRowOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		all := someLog(700)
		s, c := observing(t, db, 50)
		tell(t, s, c, all...)
		var working sync.WaitGroup
		for i := range 3 {
			other := newStore(db, Options{Now: c.now})
			other.observer.rows = 40 + 10*i
			working.Go(func() {
				if err := other.Observe(t.Context()); err != nil && !fault.Is(err, fault.Busy) {
					t.Error(err)
				}
			})
		}
		working.Wait()
		segments := segmentsOf(t, s)
		for i := 1; i < len(segments); i++ {
			if segments[i].ToAt > segments[i-1].FromAt {
				t.Errorf("segments overlap: %+v %+v", segments[i], segments[i-1])
			}
		}
		h := Hunt{Type: "md5", Values: []string{hashOf(1), hashOf(2), hashOf(3)}}
		if got, want := counted(t, s, h), look(all, h); got != want {
			t.Errorf("found %s, want %s", got, want)
		}
	})
}

func TestPurgedRowsAreNotFound(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, c := observing(t, db, 10)
		row := sighting{host: 1, name: "q", action: "added", columns: `{"md5":"a"}`}
		for i := range 40 {
			row.at = noon.AddDate(0, 0, -9).Add(time.Duration(i) * 6 * time.Hour)
			tell(t, s, c, row)
		}
		mustObserve(t, s)
		h := Hunt{Type: "md5", Values: []string{"a"}}
		if got := counted(t, s, h); got != "1 q 40" {
			t.Fatalf("found %s", got)
		}
		each, err := s.EachHuntRow(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Purge(t.Context(), Before{Results: noon.AddDate(0, 0, -4)}); err != nil {
			t.Fatal(err)
		}
		left := countRows(t, db, "results")
		if got, want := counted(t, s, h), fmt.Sprint("1 q ", left); got != want || left == 40 {
			t.Errorf("found %s, want %s", got, want)
		}
		n := 0
		for _, err := range each {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != left {
			t.Errorf("an export that began before has %d rows", n)
		}
		mustObserve(t, s)
		if got, want := counted(t, s, h), fmt.Sprint("1 q ", left); got != want {
			t.Errorf("found %s, want %s", got, want)
		}
	})
}

func TestADamagedSegmentIsReadRowByRow(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, c := observing(t, db, 10)
		row := sighting{at: noon, host: 1, name: "q", action: "added", columns: `{"md5":"a"}`}
		tell(t, s, c, row, row, row)
		c.set(noon.AddDate(0, 0, 1))
		mustObserve(t, s)
		for _, column := range []string{"postings", "sieve"} {
			if err := db.Write(t.Context()).Exec("UPDATE observed SET "+column+" = ?", []byte{9, 9, 9}).Error; err != nil {
				t.Fatal(err)
			}
			other := newStore(db, Options{Now: c.now})
			if got := counted(t, other, Hunt{Type: "md5", Values: []string{"a"}}); got != "1 q 3" {
				t.Errorf("with damaged %s found %s", column, got)
			}
		}
	})
}
