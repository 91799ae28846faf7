package results

import (
	"fmt"
	"testing"
	"time"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/indicator"
)

// hashed are the rows that a hunt for one hash finds.
func hashed(t *testing.T, s *Store) (n int) {
	t.Helper()
	groups, reach, err := s.Hunt(t.Context(), Hunt{Type: indicator.Type("md5"), Values: []string{"d41d8cd98f00b204e9800998ecf8427e"}})
	if err != nil || !reach.Complete {
		t.Fatal(reach, err)
	}
	for _, g := range groups {
		n += int(g.Count)
	}
	return n
}

func TestDeleteToTheMoment(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		c := newClock(noon)
		s, _ := running(t, db, Options{Now: c.now})
		for hour := range 72 { // over four days
			c.set(noon.Add(time.Duration(hour) * time.Hour))
			if err := s.EnsurePartitions(t.Context()); err != nil {
				t.Fatal(err)
			}
			report(t, s, Entry{HostID: 1, Name: "q", Action: "added"},
				fmt.Sprintf(`{"md5":"D41D8CD98F00B204E9800998ECF8427E","n":%d}`, hour), fmt.Sprintf(`{"n":%d}`, hour))
		}
		c.set(noon.Add(80 * time.Hour))
		if err := s.ObserveAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := hashed(t, s); n != 72 {
			t.Fatalf("%d rows hold the hash before", n)
		}
		for _, test := range []struct {
			name   string
			before time.Time
			left   int
		}{
			{"nothing is that old", noon, 72},
			{"a part of the first day", noon.Add(5 * time.Hour), 67},
			{"a day and a part", noon.Add(30*time.Hour + time.Microsecond), 41},
			{"again", noon.Add(30*time.Hour + time.Microsecond), 41},
			{"whole days", noon.Add(60 * time.Hour), 12},
			{"everything", noon.Add(100 * time.Hour), 0},
		} {
			if err := s.Delete(t.Context(), test.before); err != nil {
				t.Fatal(test.name, err)
			}
			wantRows(t, db, "results", 2*test.left)
			if n := hashed(t, s); n != test.left {
				t.Errorf("%s: a hunt finds %d rows, %d are left", test.name, n, test.left)
			}
		}
		report(t, s, Entry{HostID: 1, Name: "q", Action: "added"}, `{"md5":"d41d8cd98f00b204e9800998ecf8427e"}`)
		c.set(noon.Add(90 * time.Hour))
		if err := s.ObserveAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := hashed(t, s); n != 1 {
			t.Errorf("afterwards a hunt finds %d rows", n)
		}
	})
}
