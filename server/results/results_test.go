package results

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"muster/server/bus"
	"muster/server/database"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is the test's now, far from a change of day.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// clock is a time that only the test moves.
type clock struct{ micros atomic.Int64 }

func newClock(at time.Time) *clock {
	c := &clock{}
	c.set(at)
	return c
}

func (c *clock) set(at time.Time) { c.micros.Store(at.UnixMicro()) }
func (c *clock) now() time.Time   { return time.UnixMicro(c.micros.Load()) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func newStore(db *database.DB, o Options) *Store {
	if o.Now == nil {
		o.Now = newClock(noon).now
	}
	return New(db, bus.NewMemory(), quiet(), o)
}

// running returns a store whose Run runs until stop is called or the test ends.
func running(t *testing.T, db *database.DB, o Options) (s *Store, stop func()) {
	t.Helper()
	s = newStore(db, o)
	return s, run(t, s)
}

func run(t *testing.T, s *Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return stop
}

// line makes the result line number n of a host, with one row.
func line(host int64, n int) Line {
	raw := fmt.Appendf(nil, `{"n":%d}`, n)
	return Line{Key: LineKey(host, noon.Unix(), raw, 0), Entries: []Entry{{HostID: host, Name: "q", Action: "added",
		Columns: fmt.Appendf(nil, `{"n":"%d"}`, n), UnixTime: noon.Unix()}}}
}

func lines(host int64, from, to int) []Line {
	var all []Line
	for n := from; n < to; n++ {
		all = append(all, line(host, n))
	}
	return all
}

func mustAppend(t *testing.T, s *Store, want int, lines ...Line) {
	t.Helper()
	if stored, err := s.Append(t.Context(), lines); err != nil || stored != want {
		t.Fatalf("stored %d of %d lines, want %d: %v", stored, len(lines), want, err)
	}
}

func countRows(t *testing.T, db *database.DB, table string) int {
	t.Helper()
	var n int
	if err := db.Read(context.Background()).Raw("SELECT count(*) FROM " + table).Scan(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n
}

func wantRows(t *testing.T, db *database.DB, table string, want int) {
	t.Helper()
	if n := countRows(t, db, table); n != want {
		t.Fatalf("%s has %d rows, want %d", table, n, want)
	}
}

// hold keeps every writer waiting for the database until release is called.
func hold(t *testing.T, db *database.DB) (release func()) {
	t.Helper()
	pool, err := db.SQL()
	if err != nil {
		t.Fatal(err)
	}
	tx, err := pool.BeginTx(context.Background(), nil) // on SQLite the one connection that writes
	if err != nil {
		t.Fatal(err)
	}
	if db.Engine() == database.Postgres {
		if _, err := tx.Exec("LOCK TABLE result_lines IN ACCESS EXCLUSIVE MODE"); err != nil {
			t.Fatal(err)
		}
	}
	release = func() { _ = tx.Rollback() }
	t.Cleanup(release)
	return release
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestLineKey(t *testing.T) {
	base := LineKey(1, 1000, []byte("a"), 0)
	tests := []struct {
		name string
		key  Key
		same bool
	}{
		{"the same line is the same", LineKey(1, 1000, []byte("a"), 0), true},
		{"another host", LineKey(2, 1000, []byte("a"), 0), false},
		{"other bytes", LineKey(1, 1000, []byte("b"), 0), false},
		{"a second one in the request", LineKey(1, 1000, []byte("a"), 1), false},
		{"another time", LineKey(1, 1001, []byte("a"), 0), false},
	}
	for _, test := range tests {
		if (test.key == base) != test.same {
			t.Errorf("%s: %x and %x", test.name, test.key, base)
		}
	}
	for time, lead := range map[int64][]byte{
		-5: {0, 0, 0, 0}, 0: {0, 0, 0, 0}, 258: {0, 0, 1, 2}, 1 << 40: {255, 255, 255, 255},
	} {
		if key := LineKey(1, time, nil, 0); !slices.Equal(key[:4], lead) {
			t.Errorf("the key of time %d starts with %x", time, key[:4])
		}
	}
	if n := testing.AllocsPerRun(100, func() { LineKey(1, 2, []byte("abc"), 0) }); n > 0 {
		t.Errorf("a key costs %v allocations", n)
	}
}

func TestMending(t *testing.T) {
	good := []Line{line(1, 1)}
	if got := storable(good); &got[0] != &good[0] {
		t.Error("sound lines were copied")
	}
	bad := line(1, 2)
	bad.Entries[0].Columns = []byte("{\"a\":\"x\x00y\xff\"}")
	bad.Status = &Status{Message: "nul \x00", Filename: "bad \xc3"}
	original := bytes.Clone(bad.Entries[0].Columns)
	got := storable([]Line{line(1, 1), bad})
	if string(got[1].Entries[0].Columns) != `{"a":"xy`+"\uFFFD"+`"}` || got[1].Status.Message != "nul " || got[1].Status.Filename != "bad \uFFFD" {
		t.Errorf("mended to %s and %+v", got[1].Entries[0].Columns, got[1].Status)
	}
	if !bytes.Equal(bad.Entries[0].Columns, original) || bad.Status.Message != "nul \x00" {
		t.Error("the caller's lines were changed")
	}
}
