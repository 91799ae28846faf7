package results

import (
	"fmt"
	"testing"
	"time"

	"muster/server/database"
	"muster/server/database/dbtest"
)

// held is a row that every hunt of these tests finds.
func held(at time.Time) sighting {
	return sighting{at: at, host: 1, name: "q", action: "added", columns: `{"md5":"a"}`}
}

func TestHuntsWhenTheClockIsSetBack(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, c := observing(t, db, 5)
		want := func(when string, s *Store, rows int) {
			t.Helper()
			if got := counted(t, s, Hunt{Type: "md5", Values: []string{"a"}}); got != fmt.Sprint("1 q ", rows) {
				t.Errorf("%s: found %s, want %d", when, got, rows)
			}
		}
		for i := range 6 {
			tell(t, s, c, held(noon.Add(time.Duration(i)*time.Minute)))
		}
		tell(t, s, c, held(noon.AddDate(0, 0, 2)), held(noon.AddDate(0, 0, 2).Add(time.Hour)), held(noon.AddDate(0, 0, 3)))
		c.set(noon.Add(10 * time.Minute))
		want("rows with a time to come, no index", s, 9)
		c.set(noon.AddDate(0, 0, 3).Add(time.Hour))
		mustObserve(t, s)
		want("an index that reaches into the future", s, 9)
		c.set(noon.Add(10 * time.Minute))
		want("the clock is right again", s, 9)
		tell(t, s, c, held(noon.Add(11*time.Minute)))
		want("rows arrive", s, 10)
		mustObserve(t, s)
		if to, err := s.sealedTo(t.Context()); err != nil || to > database.Micros(c.now().Add(ahead)) {
			t.Errorf("the index reaches to %v, %v", database.FromMicros(to), err)
		}
		tell(t, s, c, held(noon.Add(20*time.Minute)))
		var arrived int64
		if err := db.Read(t.Context()).Raw("SELECT received_at FROM results ORDER BY id DESC LIMIT 1").Scan(&arrived).Error; err != nil {
			t.Fatal(err)
		}
		if at := database.FromMicros(arrived); !at.Equal(noon.Add(20 * time.Minute)) {
			t.Errorf("a row after that has the time %v", at)
		}
		want("after the index was made anew", s, 11)
		c.set(noon.AddDate(0, 0, 4))
		mustObserve(t, s)
		want("when its time has come", s, 11)
	})
}

func TestARestartUnderAClockThatWasSetBack(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, c := observing(t, db, 2)
		tell(t, s, c, held(noon), held(noon.Add(time.Minute)), held(noon.Add(2*time.Minute)))
		c.set(noon.Add(6 * time.Minute))
		mustObserve(t, s)
		c.set(noon)
		again, _ := running(t, db, Options{Now: c.now})
		mustAppend(t, again, 1, held(noon).line())
		if got := counted(t, again, Hunt{Type: "md5", Values: []string{"a"}}); got != "1 q 4" {
			t.Errorf("found %s", got)
		}
	})
}

func TestASegmentThatGoesDuringAHunt(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, c := observing(t, db, 100)
		for i := range 10 {
			tell(t, s, c, held(noon.Add(time.Duration(i)*time.Minute)))
		}
		c.set(noon.AddDate(0, 0, 1))
		mustObserve(t, s)
		listed := segmentsOf(t, s)
		if len(listed) != 1 {
			t.Fatalf("%+v", listed)
		}
		for _, known := range []bool{false, true} { // whether the sieve is in memory
			if known {
				if _, err := s.sieveOf(t.Context(), listed[0].ID); err != nil {
					t.Fatal(err)
				}
				listed = segmentsOf(t, s)
				if _, err := s.sieveOf(t.Context(), listed[0].ID); err != nil {
					t.Fatal(err)
				}
			}
			left := 7
			if known {
				left = 4
			}
			if err := s.Delete(t.Context(), noon.Add(time.Duration(10-left)*time.Minute)); err != nil {
				t.Fatal(err)
			}
			n, h := 0, Hunt{Type: "md5", Values: []string{"a"}}
			hunt := &chase{s: s, columns: h.Type.Columns(), values: map[string]bool{}, soon: database.Micros(c.now()), until: time.Now().Add(time.Minute),
				found: func(_ stretch, found []hit) { n += len(found) }}
			hunt.prepare(h)
			if err := hunt.ask(t.Context(), listed[0]); err != nil || n != left {
				t.Errorf("found %d rows, %d are left: %v", n, left, err)
			}
		}
	})
}
