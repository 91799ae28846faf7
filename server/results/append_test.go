package results

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

func TestAppendStoresWhatWasReported(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := running(t, db, Options{})
		two := Line{Key: LineKey(7, 5, []byte("two"), 0), Entries: []Entry{
			{HostID: 7, Name: "pack/p/q", Action: "snapshot", Columns: []byte(`{"a":"é"}`), Decorations: []byte(`{"d":"1"}`), UnixTime: 5, Epoch: 3, Counter: 4},
			{HostID: 7, Name: "pack/p/q", Action: "snapshot", Columns: []byte(`{"a":"2"}`), UnixTime: 5},
		}}
		empty := Line{Key: LineKey(7, 5, []byte("empty"), 0)}
		status := Line{Key: LineKey(7, 6, []byte("status"), 0), Status: &Status{HostID: 7, Severity: 2, Filename: "f.cpp", Line: 9,
			Message: "m", Version: "5.23.1", Decorations: []byte(`{"d":"2"}`), UnixTime: 6}}
		mustAppend(t, s, 3, two, empty, status)
		mustAppend(t, s, 0, two, empty, status)

		rows, _, _, err := s.Activity(t.Context(), ActivityFilter{HostID: 7, Name: "pack/p/q"})
		if err != nil || len(rows) != 2 {
			t.Fatalf("%v %v", rows, err)
		}
		want := Row{ID: rows[1].ID, HostID: 7, Name: "pack/p/q", Action: "snapshot", Columns: []byte(`{"a":"é"}`), Decorations: []byte(`{"d":"1"}`),
			Time: time.Unix(5, 0).UTC(), ReceivedAt: noon}
		if diff := cmp.Diff(want, rows[1]); diff != "" {
			t.Error(diff)
		}
		if rows[0].Decorations != nil {
			t.Errorf("no decorations are %q", rows[0].Decorations)
		}
		logs, _, _, err := s.StatusLogs(t.Context(), StatusFilter{HostID: 7})
		if err != nil || len(logs) != 1 {
			t.Fatalf("%v %v", logs, err)
		}
		wantLog := StatusLog{ID: logs[0].ID, Severity: 2, Line: 9, Filename: "f.cpp", Message: "m", Version: "5.23.1",
			Decorations: []byte(`{"d":"2"}`), Time: time.Unix(6, 0).UTC(), ReceivedAt: noon}
		if diff := cmp.Diff(wantLog, logs[0]); diff != "" {
			t.Error(diff)
		}
		var numbers struct{ Epoch, Counter int64 }
		if err := db.Read(t.Context()).Raw("SELECT epoch, counter FROM results ORDER BY id").Limit(1).Scan(&numbers).Error; err != nil || numbers.Epoch != 3 || numbers.Counter != 4 {
			t.Errorf("%+v %v", numbers, err)
		}
		if got := s.Stats(); got.Lines != 3 || got.Rows != 3 || got.Duplicates != 3 || got.Batches != 2 || got.QueuedLines != 0 || got.QueuedBytes != 0 || got.LastCommit <= 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestDuplicates(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		c := newClock(noon)
		s, stop := running(t, db, Options{Now: c.now})
		raw := []byte("the same line")
		first, second := line(1, 0), line(1, 0)
		first.Key, second.Key = LineKey(1, 5, raw, 0), LineKey(1, 5, raw, 1)
		mustAppend(t, s, 2, first, second) // identical rows of one run are two rows
		mustAppend(t, s, 0, second, first)
		stop()

		again, _ := running(t, db, Options{Now: c.now})
		mustAppend(t, again, 1, first, line(2, 0), second) // after a restart, in another cut
		for _, later := range []struct {
			days, stored int
		}{{1, 0}, {2, 0}, {3, 1}, {4, 0}} {
			c.set(noon.AddDate(0, 0, later.days))
			mustAppend(t, again, later.stored, first)
		}
		wantRows(t, db, "results", 4)
	})
}

// TestEachLineIsStoredOnce has replicas take the same lines at the same time, in
// different cuts and orders.
func TestEachLineIsStoredOnce(t *testing.T) {
	const callers, unique = 12, 200
	all := lines(1, 0, unique)
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		stores := []*Store{}
		for range 2 {
			s, _ := running(t, db, Options{BatchLines: 150})
			stores = append(stores, s)
		}
		var stored atomic.Int64
		var waiting sync.WaitGroup
		for i := range callers {
			mine := append([]Line(nil), all...)
			rand.Shuffle(len(mine), func(x, y int) { mine[x], mine[y] = mine[y], mine[x] })
			waiting.Go(func() {
				for len(mine) > 0 {
					n := min(len(mine), 1+rand.N(60))
					got, err := stores[i%len(stores)].Append(t.Context(), mine[:n])
					if err != nil {
						t.Error(err)
					}
					stored.Add(int64(got))
					mine = mine[n:]
				}
			})
		}
		waiting.Wait()
		if stored.Load() != unique {
			t.Errorf("callers were told of %d new lines, there are %d", stored.Load(), unique)
		}
		wantRows(t, db, "results", unique)
		wantRows(t, db, "result_lines", unique)
	})
}

// TestEachLineIsStoredOnceAtMidnight has replicas whose clocks differ take the
// same lines on two days.
func TestEachLineIsStoredOnceAtMidnight(t *testing.T) {
	db := dbtest.Open(t, database.Postgres)
	midnight := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	before, _ := running(t, db, Options{Now: newClock(midnight.Add(-time.Second)).now})
	after, _ := running(t, db, Options{Now: newClock(midnight.Add(time.Second)).now})
	if err := after.EnsurePartitions(t.Context()); err != nil {
		t.Fatal(err)
	}
	var waiting sync.WaitGroup
	for n := range 40 {
		for _, s := range []*Store{before, after} {
			waiting.Go(func() {
				if _, err := s.Append(t.Context(), lines(1, n*5, n*5+10)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	waiting.Wait()
	wantRows(t, db, "results", 205)
}

// queued is how many requests no writer has taken yet.
func queued(s *Store) int {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	return len(s.queue.waiting)
}

func TestPoisonFailsItsCallerAlone(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := running(t, db, Options{Writers: 1})
		poison := line(1, 0)
		want := fault.Unprocessable
		if db.Engine() == database.Postgres {
			// Slipped past the mending: PostgreSQL refuses NUL in a text.
			poison.Entries[0].Columns = []byte("{\"a\":\"\x00\"}")
		} else {
			want = fault.Conflict
			poison.Entries[0].Name = "poison"
			if err := db.Write(t.Context()).Exec(`CREATE TRIGGER refuse BEFORE INSERT ON results WHEN NEW.name = 'poison'
				BEGIN SELECT RAISE(ABORT, 'poison'); END`).Error; err != nil {
				t.Fatal(err)
			}
		}
		release := hold(t, db)
		var requests []*request
		push := func(lines ...Line) {
			r := &request{lines: lines, bytes: weight(lines), done: make(chan outcome, 1)}
			if err := s.queue.push(r); err != nil {
				t.Fatal(err)
			}
			requests = append(requests, r)
		}
		push(line(9, 9)) // keeps the writer busy while the others gather
		eventually(t, "the writer takes the first", func() bool { return queued(s) == 0 })
		push(lines(1, 1, 5)...)
		push(poison, line(1, 6))
		push(lines(1, 10, 15)...)
		release()
		for i, r := range requests {
			out := <-r.done
			if i == 2 {
				if !fault.Is(out.err, want) {
					t.Errorf("the poison is %v", out.err)
				}
			} else if out.err != nil || out.stored != len(r.lines) {
				t.Errorf("request %d: stored %d, %v", i, out.stored, out.err)
			}
		}
		wantRows(t, db, "results", 10)
		if got := s.Stats(); got.Failures != 1 || got.QueuedLines != 0 || got.QueuedBytes != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestTextThatNoEngineTakesIsMended(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := running(t, db, Options{})
		l := line(1, 0)
		l.Entries[0].Columns = []byte("{\"a\":\"x\x00\xff\"}")
		mustAppend(t, s, 1, l)
		rows, _, _, err := s.Activity(t.Context(), ActivityFilter{HostID: 1, Name: "q"})
		if err != nil || string(rows[0].Columns) != `{"a":"x`+"\uFFFD"+`"}` {
			t.Errorf("%v %v", rows, err)
		}
	})
}

func TestCallersThatWaitShareACommit(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := running(t, db, Options{})
		release := hold(t, db)
		var waiting sync.WaitGroup
		for n := range 50 {
			waiting.Go(func() { mustAppend(t, s, 1, line(1, n)) })
		}
		eventually(t, "all are queued", func() bool { return s.Stats().QueuedLines == 50 })
		release()
		waiting.Wait()
		if got := s.Stats(); got.Lines != 50 || got.Batches > 4 {
			t.Errorf("%d commits", got.Batches)
		}
	})
}

func TestHints(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		hints := bus.NewMemory()
		wake, unsubscribe := hints.Subscribe(Topic)
		defer unsubscribe()
		s := New(db, hints, quiet(), Options{HintEvery: time.Hour})
		stop := run(t, s)
		mustAppend(t, s, 1, line(1, 1))
		<-wake
		mustAppend(t, s, 1, line(1, 2)) // too soon for another hint
		mustAppend(t, s, 0, line(1, 2))
		select {
		case <-wake:
			t.Error("hints are not coalesced")
		default:
		}
		stop()
		<-wake
	})
}

func TestADatabaseThatIsGoneFailsTheCaller(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := running(t, db, Options{})
		_ = db.Close()
		_, err := s.Append(t.Context(), lines(1, 0, 3))
		if err == nil || fault.Is(err, fault.Unprocessable) {
			t.Errorf("%v", err)
		}
		if got := s.Stats(); got.Failures != 1 || got.QueuedLines != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestACallerThatGivesUp(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := running(t, db, Options{Writers: 1})
		release := hold(t, db)
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 2)
		for n := range 2 { // one is being written, one waits
			go func() { _, err := s.Append(ctx, lines(1, n*10, n*10+10)); gone <- err }()
			eventually(t, "it is queued", func() bool { return s.Stats().QueuedLines == (n+1)*10 })
			eventually(t, "the writer took the first", func() bool { return queued(s) == n })
		}
		cancel()
		for range 2 {
			if err := <-gone; !fault.Is(err, fault.Busy) || !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
		}
		if _, err := s.Append(ctx, lines(1, 0, 1)); !fault.Is(err, fault.Busy) {
			t.Errorf("a caller that had given up before: %v", err)
		}
		release()
		if _, err := s.Append(t.Context(), lines(1, 0, 20)); err != nil {
			t.Fatal(err)
		}
		wantRows(t, db, "results", 20)
		if got := s.Stats(); got.QueuedLines != 0 || got.QueuedBytes != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestShutdownStoresWhatIsQueued(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, stop := running(t, db, Options{BatchLines: 10})
		release := hold(t, db)
		var waiting sync.WaitGroup
		for n := range 20 {
			waiting.Go(func() { mustAppend(t, s, 5, lines(1, n*5, n*5+5)...) })
		}
		eventually(t, "all are queued", func() bool { return s.Stats().QueuedLines == 100 })
		stopped := make(chan struct{})
		go func() { defer close(stopped); stop() }()
		eventually(t, "the queue closes", func() bool { s.queue.mu.Lock(); defer s.queue.mu.Unlock(); return s.queue.closed })
		if _, err := s.Append(t.Context(), lines(2, 0, 1)); !fault.Is(err, fault.Busy) {
			t.Errorf("while shutting down: %v", err)
		}
		release()
		waiting.Wait()
		<-stopped
		wantRows(t, db, "results", 100)
		if _, err := s.Append(t.Context(), lines(2, 0, 1)); !fault.Is(err, fault.Busy) {
			t.Errorf("after the end: %v", err)
		}
	})
}
