package distributed_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/distributed"
	"muster/server/fault"
	"muster/server/hosts"
)

// transcript is what one watcher was told.
type transcript struct {
	mu     sync.Mutex
	events []distributed.Event
}

func (tr *transcript) add(e distributed.Event) error {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.events = append(tr.events, e)
	return nil
}

// check fails unless each answer of want hosts was told once, in order and
// without holes, with progress that only grows and done at the end.
func (tr *transcript) check(t *testing.T, want int) {
	t.Helper()
	told, last := map[int64]bool{}, distributed.Progress{}
	for i, e := range tr.events {
		if e.Kind == distributed.ResultEvent {
			if told[e.HostID] || e.Seq != int64(len(told)+1) {
				t.Fatalf("event %d is answer %d of host %d after %d answers", i, e.Seq, e.HostID, len(told))
			}
			told[e.HostID] = true
			continue
		}
		if e.Progress.Open() > last.Open() && i > 0 || e.Progress.Sent < last.Sent {
			t.Errorf("progress goes back from %+v to %+v", last, e.Progress)
		}
		last = e.Progress
		if done := e.Kind == distributed.DoneEvent; done != (i == len(tr.events)-1) {
			t.Errorf("event %d of %d is %s", i, len(tr.events), e.Kind)
		}
	}
	if len(told) != want || last.Open() != 0 {
		t.Errorf("%d answers are told of %d, at the end %+v", len(told), want, last)
	}
}

// TestWatchersMissNothing lets hosts read and answer in random order, some twice
// and some together, while watchers come at random moments.
func TestWatchersMissNothing(t *testing.T) {
	const targets, watchers, workers = 120, 6, 8
	each(t, targets, func(t *testing.T, f *fleet) {
		for round := range 3 {
			id := f.launch(t)
			var group sync.WaitGroup
			scripts := make([]transcript, watchers)
			watch := func(i int) {
				group.Go(func() {
					if err := f.Watch(t.Context(), id, scripts[i].add); err != nil {
						t.Errorf("watcher %d: %v", i, err)
					}
				})
			}
			watch(0)
			order := rand.Perm(targets)
			for worker := range workers {
				group.Go(func() {
					for i := worker; i < targets; i += workers {
						host := int64(order[i] + 1)
						f.claim(t, host)
						f.answer(t, host, rows(id, fmt.Sprint(host)))
						if rand.IntN(4) == 0 {
							f.answer(t, host, rows(id, "again"))
						}
						if at := i / workers; worker == 0 && at > 0 && at < watchers-1 {
							watch(at)
						}
					}
				})
			}
			group.Wait()
			watch(watchers - 1) // everything is over
			group.Wait()
			for i := range scripts {
				scripts[i].check(t, targets)
			}
			if t.Failed() {
				t.Fatalf("round %d", round)
			}
		}
	})
}

func TestWatchTells(t *testing.T) {
	each(t, 3, func(t *testing.T, f *fleet) {
		id := f.launch(t)
		f.answer(t, 1, rows(id, "x", "y"))
		f.answer(t, 2, distributed.Report{ID: wire(id), Status: 1, Message: "no such table: users"})
		if err := f.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		f.exec(t, "UPDATE hosts SET state = 'deleted', updated_at = updated_at + 1 WHERE id = 2")
		if err := f.hosts.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		var script transcript
		if err := f.Watch(t.Context(), id, script.add); err != nil {
			t.Fatal(err)
		}
		first, err := f.hosts.FindByID(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		end := distributed.Progress{Targeted: 3, Sent: 2, Answered: 1, Failed: 1, Cancelled: 1}
		want := []distributed.Event{
			{Kind: distributed.ProgressEvent, Progress: end},
			{Kind: distributed.ResultEvent, HostID: 1, Host: first, State: distributed.Answered, Rows: json.RawMessage(`[{"v":"x"},{"v":"y"}]`), RowCount: 2, Seq: 1},
			{Kind: distributed.ResultEvent, HostID: 2, State: distributed.Failed, Status: 1, Error: "no such table: users", Rows: json.RawMessage(`[]`), Seq: 2},
			{Kind: distributed.DoneEvent, Progress: end},
		}
		if diff := cmp.Diff(want, script.events, cmp.Comparer(func(a, b *hosts.Host) bool { return (a == nil) == (b == nil) && (a == nil || a.ID == b.ID) })); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWatchEnds(t *testing.T) {
	each(t, 1, func(t *testing.T, f *fleet) {
		if err := f.Watch(t.Context(), 999, func(distributed.Event) error { return nil }); !fault.Is(err, fault.NotFound) {
			t.Errorf("an unknown query: %v", err)
		}
		id := f.launch(t)
		gone := errors.New("the browser is gone")
		if err := f.Watch(t.Context(), id, func(distributed.Event) error { return gone }); !errors.Is(err, gone) {
			t.Errorf("a watcher that fails: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		err := f.Watch(ctx, id, func(distributed.Event) error { cancel(); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a watcher that leaves: %v", err)
		}
	})
}

func TestASlowWatcherDelaysNobody(t *testing.T) {
	each(t, 100, func(t *testing.T, f *fleet) {
		id := f.launch(t)
		var slow, quick transcript
		stuck, release := make(chan struct{}), make(chan struct{})
		var group sync.WaitGroup
		group.Go(func() {
			first := sync.OnceFunc(func() { close(stuck); <-release })
			_ = f.Watch(t.Context(), id, func(e distributed.Event) error { first(); return slow.add(e) })
		})
		<-stuck
		done := make(chan error, 1)
		go func() { done <- f.Watch(t.Context(), id, quick.add) }()
		for host := range int64(100) {
			f.answer(t, host+1, rows(id, "x"))
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		quick.check(t, 100)
		close(release)
		group.Wait()
		slow.check(t, 100)
	})
}

func TestLargeAnswers(t *testing.T) {
	each(t, 4, func(t *testing.T, f *fleet) {
		id := f.launch(t)
		large := strings.Repeat("é'\\", 1<<17)
		for host := int64(1); host <= 3; host++ {
			f.answer(t, host, rows(id, large, fmt.Sprint(host)))
		}
		f.answer(t, 4, rows(id, "small"))
		var script transcript
		if err := f.Watch(t.Context(), id, script.add); err != nil {
			t.Fatal(err)
		}
		script.check(t, 4)
		for _, e := range script.events {
			var got []map[string]string
			if e.Kind != distributed.ResultEvent || e.HostID == 4 {
				continue
			}
			if err := json.Unmarshal(e.Rows, &got); err != nil || len(got) != 2 || got[0]["v"] != large || got[1]["v"] != fmt.Sprint(e.HostID) {
				t.Errorf("the rows of host %d changed: %d bytes, %v", e.HostID, len(e.Rows), err)
			}
		}
	})
}

// replica opens another store on a database, with a bus of its own.
func replica(t *testing.T, url string, b func(db *database.DB) bus.Bus, o distributed.Options) *fleet {
	t.Helper()
	db, err := database.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	f := &fleet{db: db, bus: b(db), clock: newClock()}
	f.hosts = hosts.New(db, f.bus, quiet, hosts.Options{Now: f.clock.now})
	o.Now = f.clock.now
	f.Store = distributed.New(db, f.hosts, f.bus, quiet, o)
	return f
}

// runReplicas loads two replicas after hosts exist and runs them until the test ends.
func runReplicas(t *testing.T, n int, pair ...*fleet) {
	t.Helper()
	pair[0].insertHosts(t, n)
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	t.Cleanup(func() { cancel(); group.Wait() })
	for _, f := range pair {
		if err := errors.Join(f.hosts.Load(t.Context()), f.Load(t.Context())); err != nil {
			t.Fatal(err)
		}
		group.Go(func() { f.Run(ctx) })
		if replicated, ok := f.bus.(*bus.Replicated); ok {
			ready, stop := f.bus.Subscribe("ready") // woken once connected
			group.Go(func() { replicated.Run(ctx) })
			<-ready
			stop()
		}
	}
}

// TestReplicas answers through both replicas, watched through both.
func TestReplicas(t *testing.T) {
	const targets = 60
	replicated := func(db *database.DB) bus.Bus { return bus.NewReplicated(db, quiet) }
	alone := func(*database.DB) bus.Bus { return bus.NewMemory() }
	tests := []struct {
		name    string
		bus     func(*database.DB) bus.Bus
		options distributed.Options
	}{
		{"with hints", replicated, distributed.Options{PollEvery: time.Minute, WatchPoll: time.Minute}},
		{"when every hint is lost", alone, distributed.Options{PollEvery: 20 * time.Millisecond, WatchPoll: 20 * time.Millisecond}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			url := dbtest.URL(t, database.Postgres)
			one, two := replica(t, url, test.bus, test.options), replica(t, url, test.bus, test.options)
			runReplicas(t, targets, one, two)
			id := one.launch(t)
			scripts := make([]transcript, 2)
			var group sync.WaitGroup
			for i, f := range []*fleet{one, two} {
				group.Go(func() {
					if err := f.Watch(t.Context(), id, scripts[i].add); err != nil {
						t.Error(err)
					}
				})
			}
			eventually(t, "the launch is known everywhere", func() bool { return len(two.claim(t, 1).Queries) == 1 })
			for i := range targets {
				host := int64(i + 1)
				reader, writer := one, two
				if i%2 == 0 {
					reader, writer = two, one
				}
				group.Go(func() {
					first, second := reader.claim(t, host), writer.claim(t, host)
					if n := len(first.Queries) + len(second.Queries); n != 1 && host != 1 {
						t.Errorf("host %d was handed the query %d times", host, n)
					}
					writer.answer(t, host, rows(id, "x"))
					reader.answer(t, host, rows(id, "again"))
				})
			}
			group.Wait()
			for i := range scripts {
				scripts[i].check(t, targets)
			}
			eventually(t, "both forget the query", func() bool {
				return one.claim(t, 2).Accelerate+two.claim(t, 2).Accelerate == 0
			})
		})
	}
}
