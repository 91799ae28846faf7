package jobs

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

// rig is a queue whose clock only the test moves.
type rig struct {
	t     *testing.T
	db    *database.DB
	clock *clock
	bus   bus.Bus
	queue *Queue
}

func newRig(t *testing.T, db *database.DB) *rig {
	r := &rig{t: t, db: db, clock: newClock(), bus: bus.NewMemory()}
	r.queue = r.another()
	return r
}

// another is the queue of another process.
func (r *rig) another() *Queue {
	return NewQueue(r.db, r.bus, quiet(), QueueOptions{Now: r.clock.now, Poll: 10 * time.Millisecond})
}

func (r *rig) run(q *Queue) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); q.Run(ctx) }()
	r.t.Cleanup(func() { cancel(); <-done })
}

func (r *rig) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// until waits for a state of affairs.
func (r *rig) until(what string, holds func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("not in time: %s", what)
		}
	}
}

func (r *rig) list(state State) []Job {
	r.t.Helper()
	jobs, _, err := r.queue.List(r.t.Context(), Filter{State: state, Limit: 100})
	r.ok(err)
	return jobs
}

func TestAJobOfATransactionRunsAfterItsCommitAndNotWithout(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r := newRig(t, db)
		var ran atomic.Int64
		r.queue.Handle(Worker{Kind: "mail", Run: func(_ context.Context, j Job) error {
			if string(j.Args) != `{"to":"a"}` || j.Attempt != 1 {
				t.Errorf("the job is %+v", j)
			}
			ran.Add(1)
			return nil
		}})
		r.run(r.queue)
		undone := errors.New("undone")
		add := func(tx *database.DB) error {
			return r.queue.With(tx).Add(t.Context(), NewJob{Kind: "mail", Args: map[string]string{"to": "a"}})
		}
		if err := db.Tx(t.Context(), func(tx *database.DB) error { return errors.Join(add(tx), undone) }); !errors.Is(err, undone) {
			t.Fatal(err)
		}
		r.ok(db.Tx(t.Context(), add))
		r.queue.Hint()
		r.until("the job is done and gone", func() bool { return len(r.list("")) == 0 })
		if ran.Load() != 1 {
			t.Errorf("it ran %d times", ran.Load())
		}
	})
}

func TestAFailureIsTriedAgainUntilTheJobIsDeadAndReplayed(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r := newRig(t, db)
		var ran, mended atomic.Int64
		r.queue.Handle(Worker{Kind: "hook", Run: func(context.Context, Job) error {
			ran.Add(1)
			if mended.Load() == 1 {
				return nil
			}
			return fault.Wrap(errors.New("token=secret"), fault.Busy, "The receiver does not answer")
		}})
		r.run(r.queue)
		r.ok(r.queue.Add(t.Context(), NewJob{Kind: "hook", MaxAttempts: 2}))
		r.until("it waits for its second attempt", func() bool { w := r.list(Waiting); return len(w) == 1 && w[0].Attempt == 1 })
		if wait := r.list(Waiting)[0].RunAt.Sub(r.clock.now()); wait < firstRetry*3/4 || wait > firstRetry {
			t.Errorf("it waits %v", wait)
		}
		if ran.Load() != 1 {
			t.Errorf("it ran %d times before its time", ran.Load())
		}
		r.clock.advance(firstRetry)
		r.until("it is dead", func() bool { return len(r.list(Dead)) == 1 })
		if got := r.list(Dead)[0].LastError; got != "The receiver does not answer" {
			t.Errorf("it says %q", got)
		}
		counts, err := r.queue.Counts(t.Context())
		if r.ok(err); counts["hook"][Dead] != 1 {
			t.Errorf("counted %v", counts)
		}
		mended.Store(1)
		if _, err := r.queue.Replay(t.Context(), "hook", 99); !fault.Is(err, fault.NotFound) {
			t.Errorf("replaying what is not there: %v", err)
		}
		if n, err := r.queue.Replay(t.Context(), "hook", 0); n != 1 || err != nil {
			t.Fatalf("replayed %d, %v", n, err)
		}
		r.until("it is done", func() bool { return len(r.list("")) == 0 })
	})
}

func TestWhatAWorkerSaysOfAnErrorCounts(t *testing.T) {
	for sentence, c := range map[string]struct {
		run     func(context.Context, Job) error
		state   State
		attempt int
		says    string
	}{
		"one that cannot be mended is dead at once":    {func(context.Context, Job) error { return GiveUp(errors.New("no such address")) }, Dead, 1, "no such address"},
		"one that waits for its turn does not count":   {func(context.Context, Job) error { return Later(time.Hour, errors.New("the limit is reached")) }, Waiting, 0, "the limit is reached"},
		"a panic is a failure":                         {func(context.Context, Job) error { panic("no such thing") }, Waiting, 1, "no such thing"},
		"one that takes too long is a failure":         {func(ctx context.Context, _ Job) error { <-ctx.Done(); return ctx.Err() }, Waiting, 1, "deadline"},
		"a marked error that was wrapped still counts": {func(context.Context, Job) error { return errors.Join(GiveUp(errors.New("gone"))) }, Dead, 1, "gone"},
	} {
		t.Run(sentence, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, db *database.DB) {
				r := newRig(t, db)
				r.queue.Handle(Worker{Kind: "k", Run: c.run, Timeout: 20 * time.Millisecond})
				r.ok(r.queue.Add(t.Context(), NewJob{Kind: "k"}))
				r.run(r.queue)
				r.until("it was noted", func() bool { all := r.list(c.state); return len(all) == 1 && all[0].LastError != "" })
				if got := r.list(c.state)[0]; got.Attempt != c.attempt || !strings.Contains(got.LastError, c.says) {
					t.Errorf("the job is %+v", got)
				}
			})
		})
	}
}

func TestOfJobsWithOneKeyOneWaits(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r, ctx := newRig(t, db), t.Context()
		r.ok(r.queue.Add(ctx, NewJob{Kind: "k", Key: "a"}, NewJob{Kind: "k", Key: "a"}, NewJob{Kind: "k", Key: "b"}, NewJob{Kind: "other", Key: "a"}))
		if got := len(r.list(Waiting)); got != 3 {
			t.Fatalf("%d wait", got)
		}
		taken, err := r.queue.claim(ctx, Worker{Kind: "k", Timeout: time.Minute}, 1)
		r.ok(err)
		r.ok(r.queue.Add(ctx, NewJob{Kind: "k", Key: "a"})) // what runs may have read its input already
		if got := len(r.list(Waiting)); got != 3 {
			t.Fatalf("%d wait beside the one that runs", got)
		}
		r.ok(r.queue.note(ctx, taken[0], errors.New("failed")))
		if got := len(r.list(Waiting)); got != 3 {
			t.Errorf("%d wait after the one that ran failed", got)
		}
	})
}

func TestReplayOfSeveralDeadJobsWithOneKeyKeepsOneWaiting(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r, ctx := newRig(t, db), t.Context()
		for range 2 {
			r.ok(r.queue.Add(ctx, NewJob{Kind: "k", Key: "a"}))
			taken, err := r.queue.claim(ctx, Worker{Kind: "k", Timeout: time.Minute}, 5)
			r.ok(err)
			r.ok(r.queue.note(ctx, taken[0], GiveUp(errors.New("failed"))))
		}
		if n, err := r.queue.Replay(ctx, "k", 0); n != 1 || err != nil {
			t.Fatalf("replayed %d, %v", n, err)
		}
		if n, err := r.queue.Discard(ctx, "k", 0); n != 1 || err != nil {
			t.Errorf("discarded %d, %v", n, err)
		}
	})
}

func TestDeadJobsAreForgottenInTheEnd(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r, ctx := newRig(t, db), t.Context()
		dead := func() {
			r.ok(r.queue.Add(ctx, NewJob{Kind: "k"}))
			taken, err := r.queue.claim(ctx, Worker{Kind: "k", Timeout: time.Minute}, 1)
			r.ok(err)
			r.ok(r.queue.note(ctx, taken[0], GiveUp(errors.New("failed"))))
		}
		dead()
		r.clock.advance(keepDead - time.Hour)
		dead()
		r.ok(r.queue.Add(ctx, NewJob{Kind: "waits"}))
		r.ok(r.queue.Purge(ctx))
		if n := len(r.list(Dead)); n != 2 {
			t.Fatalf("%d are left before their time", n)
		}
		r.clock.advance(2 * time.Hour)
		r.ok(r.queue.Purge(ctx))
		if dead, waiting := len(r.list(Dead)), len(r.list(Waiting)); dead != 1 || waiting != 1 {
			t.Errorf("%d dead and %d waiting jobs are left", dead, waiting)
		}
	})
}

func TestAJobWhoseProcessDiesIsTakenUpAndOneThatKillsIsGivenUp(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r, ctx := newRig(t, db), t.Context()
		w := Worker{Kind: "k", Timeout: time.Minute, Run: func(context.Context, Job) error { t.Error("it ran"); return nil }}
		r.ok(r.queue.Add(ctx, NewJob{Kind: "k", MaxAttempts: 1}))
		if taken, err := r.queue.claim(ctx, w, 1); len(taken) != 1 || err != nil {
			t.Fatalf("took %v, %v", taken, err)
		}
		two := r.another()
		if taken, err := two.claim(ctx, w, 1); len(taken) != 0 || err != nil {
			t.Fatalf("a job that runs was taken: %v %v", taken, err)
		}
		r.clock.advance(w.Timeout + leaseGrace)
		two.Handle(w)
		r.run(two)
		r.until("it is given up", func() bool { return len(r.list(Dead)) == 1 })
	})
}

func TestSeveralProcessesShareTheWorkAndDoEachJobOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r := newRig(t, db)
		const n = 60
		var mu sync.Mutex
		done := map[string]int{}
		for range n {
			r.ok(r.queue.Add(t.Context(), NewJob{Kind: "k", Args: map[string]int64{"n": time.Now().UnixNano()}}))
		}
		for range 3 {
			q := r.another()
			q.Handle(Worker{Kind: "k", AtOnce: 4, Run: func(_ context.Context, j Job) error {
				mu.Lock()
				defer mu.Unlock()
				done[string(j.Args)]++
				return nil
			}})
			r.run(q)
		}
		r.until("all are done", func() bool { return len(r.list("")) == 0 })
		if len(done) != n {
			t.Errorf("%d jobs were done", len(done))
		}
		for args, times := range done {
			if times != 1 {
				t.Errorf("%s was done %d times", args, times)
			}
		}
	})
}

func TestAJobThatIsCutOffByTheEndOfTheProcessIsNoFailure(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r := newRig(t, db)
		started := make(chan struct{})
		r.queue.Handle(Worker{Kind: "k", Run: func(ctx context.Context, _ Job) error { close(started); <-ctx.Done(); return ctx.Err() }})
		r.ok(r.queue.Add(t.Context(), NewJob{Kind: "k"}))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); r.queue.Run(ctx) }()
		<-started
		cancel()
		<-ended
		if w := r.list(Waiting); len(w) != 1 || w[0].Attempt != 0 {
			t.Errorf("waiting: %+v", w)
		}
	})
}
