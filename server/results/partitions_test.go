package results

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

// partitions lists the partitions of a table, sorted.
func partitions(t *testing.T, db *database.DB, table string) []string {
	t.Helper()
	var names []string
	err := db.Read(t.Context()).Raw("SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = ?::regclass", table).Scan(&names).Error
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func TestPartitionsAreMadeAhead(t *testing.T) {
	db := dbtest.Open(t, database.Postgres)
	var replicas sync.WaitGroup
	for range 4 {
		replicas.Go(func() {
			if err := newStore(db, Options{}).EnsurePartitions(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	replicas.Wait()
	for _, table := range []string{"results", "status_logs", "result_lines"} {
		want := []string{table + "_default", table + "_p20261121", table + "_p20261122", table + "_p20261123", table + "_p20261124"}
		if got := partitions(t, db, table); !slices.Equal(got, want) {
			t.Errorf("%v", got)
		}
	}

	tomorrow, _ := running(t, db, Options{Now: newClock(noon.AddDate(0, 0, 1)).now})
	mustAppend(t, tomorrow, 2, line(1, 1), Line{Key: LineKey(1, 1, nil, 0), Status: &Status{HostID: 1}})
	for _, table := range []string{"results_p20261122", "status_logs_p20261122"} {
		wantRows(t, db, table, 1)
	}
	wantRows(t, db, "result_lines_p20261122", 2)
	if err := tomorrow.EnsurePartitions(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := partitions(t, db, "results"); got[len(got)-1] != "results_p20261125" {
		t.Errorf("a day later: %v", got)
	}
}

func TestADayInTheDefaultPartitionStaysThere(t *testing.T) {
	db := dbtest.Open(t, database.Postgres)
	var log bytes.Buffer
	s := New(db, bus.NewMemory(), slog.New(slog.NewTextHandler(&log, nil)), Options{Now: newClock(noon).now})
	run(t, s)
	mustAppend(t, s, 1, line(1, 1))
	if err := s.EnsurePartitions(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"results_default", "results_p20261122", "results_p20261123", "results_p20261124"}
	if got := partitions(t, db, "results"); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if !strings.Contains(log.String(), "results_p20261121") {
		t.Errorf("the log says %q", log.String())
	}
	mustAppend(t, s, 1, line(1, 1), line(1, 2))
	wantRows(t, db, "results_default", 2)
}

func TestATableInUseIsNotWaitedForLong(t *testing.T) {
	db := dbtest.Open(t, database.Postgres)
	reading, err := db.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reading.Rollback(context.Background()) }()
	if _, err := reading.Exec(t.Context(), "SELECT count(*) FROM results"); err != nil {
		t.Fatal(err)
	}
	s := newStore(db, Options{})
	if err := s.EnsurePartitions(t.Context()); !fault.Is(err, fault.Busy) {
		t.Errorf("got %v", err)
	}
	if err := reading.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.EnsurePartitions(t.Context()); err != nil {
		t.Error(err)
	}
}
