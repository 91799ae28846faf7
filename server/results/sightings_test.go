package results

import (
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

func TestSightings(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, c := observing(t, db, 3)
		at := func(hours int) time.Time { return noon.Add(time.Duration(hours) * time.Hour) }
		tell(t, s, c,
			sighting{at(0), 1, "processes", "added", `{"path":"/usr/bin/Nc","md5":"AB"}`},
			sighting{at(1), 2, "processes", "snapshot", `{"path":"/usr/bin/nc","parent_path":"/usr/bin/nc","md5":"cd"}`},
			sighting{at(2), 2, "file_events", "added", `{"target_path":"/usr/bin/nc","md5":"/usr/bin/nc"}`},
			sighting{at(3), 3, "processes", "added", `{"path":"/usr/bin/nc"}`},
			sighting{at(4), 1, "dns", "added", `{"domain_name":".www.Evil.example"}`},
		)
		c.set(at(5))
		if err := s.ObserveAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		tell(t, s, c, // after the index
			sighting{at(6), 1, "processes", "removed", `{"path":"/usr/bin/nc","md5":"ef"}`},
			sighting{at(7), 4, "processes", "added", `{"md5":"ab","path":"/ef"}`},
		)
		c.set(at(8))
		sought := []Sought{{"path", "/usr/bin/nc"}, {"md5", "ab"}, {"domain_name", "www.evil.example."}, {"target_path", "/USR/bin/nc"}, {"md5", "ef"}, {"md5", "gh"}, {"md5", " "}}
		got, reach, err := s.Sightings(t.Context(), sought, func(host int64) bool { return host != 3 })
		if err != nil {
			t.Fatal(err)
		}
		want := []Sighting{
			{sought[0], 2, at(0), at(6)}, {sought[1], 2, at(0), at(7)}, {sought[2], 1, at(4), at(4)}, {sought[3], 1, at(2), at(2)}, {sought[4], 1, at(6), at(6)},
			{Sought: sought[5]}, {Sought: sought[6]},
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if !reach.Complete || reach.Rows != 7 {
			t.Errorf("%+v", reach)
		}
	})
}

func TestSightingsThatAreWrong(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := newStore(db, Options{})
		for sentence, sought := range map[string][]Sought{
			"an unknown type": {{"color", "red"}},
			"too many":        make([]Sought, MaxSought+1),
		} {
			if _, _, err := s.Sightings(t.Context(), sought, nil); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", sentence, err)
			}
		}
		if got, reach, err := s.Sightings(t.Context(), nil, nil); err != nil || len(got) != 0 || !reach.Complete {
			t.Errorf("nothing: %v %+v %v", got, reach, err)
		}
	})
}
