package results

import (
	"slices"
	"testing"
	"time"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

func TestPurgeKeepsTheBoundaryDay(t *testing.T) {
	for _, partitioned := range []bool{true, false} { // false: everything is in the default partition
		dbtest.Each(t, func(t *testing.T, db *database.DB) {
			c := newClock(noon)
			s, _ := running(t, db, Options{Now: c.now})
			for n, at := range []time.Time{
				noon.AddDate(0, 0, -8), noon.AddDate(0, 0, -7).Add(-13 * time.Hour), // the day before the boundary
				noon.AddDate(0, 0, -7).Add(-12 * time.Hour), noon.AddDate(0, 0, -7), noon, // its first moment, and later
			} {
				c.set(at)
				if partitioned {
					if err := s.EnsurePartitions(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				mustAppend(t, s, 2, line(1, n), Line{Key: LineKey(1, int64(n), nil, 0), Status: &Status{HostID: 1}})
			}
			c.set(noon)
			if err := s.Purge(t.Context(), Keep{ResultsDays: 7}.Before(noon)); err != nil {
				t.Fatal(err)
			}
			wantRows(t, db, "results", 3)
			wantRows(t, db, "status_logs", 5) // kept for ever
			wantRows(t, db, "result_lines", 2)
			if err := s.Purge(t.Context(), Keep{StatusDays: 7}.Before(noon)); err != nil {
				t.Fatal(err)
			}
			wantRows(t, db, "results", 3)
			wantRows(t, db, "status_logs", 3)
			if partitioned && db.Engine() == database.Postgres && slices.Contains(partitions(t, db, "results"), "results_p20261113") {
				t.Error("the expired partition is still there")
			}
			mustAppend(t, s, 0, line(1, 4))
		})
	}
}

func TestPurgeOfManyRows(t *testing.T) {
	const many = 2*purgeChunk + 7
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		c := newClock(noon.AddDate(0, 0, -30))
		s, _ := running(t, db, Options{Now: c.now})
		mustAppend(t, s, many, lines(1, 0, many)...)
		c.set(noon)
		mustAppend(t, s, many, lines(2, 0, many)...) // their keys lie between those of the old
		if err := s.Purge(t.Context(), Keep{ResultsDays: 7, StatusDays: 7}.Before(noon)); err != nil {
			t.Fatal(err)
		}
		wantRows(t, db, "results", many)
		wantRows(t, db, "result_lines", many)
		mustAppend(t, s, 0, lines(2, 0, many)...)
	})
}

func TestPurgeGoesOnWhileReportsArrive(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		c := newClock(noon.AddDate(0, 0, -30))
		s, _ := running(t, db, Options{Now: c.now})
		mustAppend(t, s, 3*purgeChunk, lines(1, 0, 3*purgeChunk)...)
		c.set(noon)
		done := make(chan error, 1)
		go func() { done <- s.Purge(t.Context(), Keep{ResultsDays: 7}.Before(noon)) }()
		for n := range 20 {
			mustAppend(t, s, 1, line(2, n))
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		wantRows(t, db, "results", 20)
	})
}

func TestRetention(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, days := t.Context(), func(n int) *int { return &n }
		s := newStore(db, Options{})
		want := func(what string, want Keep) {
			t.Helper()
			if got, err := s.Retention(ctx, Keep{7, 7, 7}); err != nil || got != want {
				t.Errorf("%s: %+v %v", what, got, err)
			}
		}
		want("nothing is set", Keep{7, 7, 7})
		if err := db.SetSetting(ctx, "retention", map[string]int{"status_days": 0}); err != nil {
			t.Fatal(err)
		}
		want("a part is set", Keep{7, 0, 7})
		if err := s.SetRetention(ctx, KeepChange{ResultsDays: days(30), StatusDays: days(3)}); err != nil {
			t.Fatal(err)
		}
		want("the rest follows the start", Keep{30, 3, 7})
		if err := s.SetRetention(ctx, KeepChange{LiveDays: days(1)}); err != nil {
			t.Fatal(err)
		}
		want("all is set", Keep{30, 3, 1})
		if err := s.SetRetention(ctx, KeepChange{ResultsDays: days(1), LiveDays: days(-1)}); !fault.Is(err, fault.Invalid) {
			t.Errorf("negative days: %v", err)
		}
		want("a change that is wrong changes nothing", Keep{30, 3, 1})
	})
	before := Keep{ResultsDays: 1, LiveDays: 2}.Before(noon)
	if !before.Results.Equal(noon.AddDate(0, 0, -1)) || !before.Status.IsZero() || !before.Live.Equal(noon.AddDate(0, 0, -2)) {
		t.Errorf("%+v", before)
	}
}
