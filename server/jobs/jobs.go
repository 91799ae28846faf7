// Package jobs does background work: periodic work with one leader among replicas
// (Runner), and jobs that must not be lost, by whichever replica is free (Queue).
//
// It writes the tables leases and jobs: a row says who may do a piece of work and
// until when. It knows no feature: what the work does is the caller's. Replicas are
// told apart by a random id, and their clocks are taken to agree within grace.
//
// A job is added in the transaction of what it is for, is done at least once, and
// is tried again when it fails, longer and longer, until it is dead. Dead ones stay
// visible and can be replayed.
//
// A lease has two lives. While the work runs it is short and renewed, so that a
// replica that dies in the middle is soon replaced. After the work it lasts
// until the next run is due, so that the others do not run it in between and
// the same replica goes on leading.
package jobs

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"muster/server/database"
)

const (
	// term is how long a lease lasts while its work runs; it is renewed three times in it.
	term = time.Minute
	// grace is added to the lease between two runs, so that its holder is first when the next is due.
	grace = 15 * time.Second
	// poll is the longest wait between two looks at a lease that another holds.
	poll = time.Minute
	// retry is the wait after a failure, for work whose interval is longer.
	retry = time.Minute
	// maxJitter bounds the random wait before the first run.
	maxJitter = 5 * time.Second
	// defaultTimeout ends a run that says no timeout of its own.
	defaultTimeout = time.Hour
)

// Work is something to do again and again, by one replica at a time.
type Work struct {
	// Name identifies the work among all replicas.
	Name string
	// Interval is the time from the start of one run to the start of the next.
	Interval time.Duration
	// Timeout ends the context of a run; 0 means an hour.
	Timeout time.Duration
	// Run does the work. It must return soon after ctx ends, and it must be able
	// to start again where a run that was cut off left it. A panic counts as a failure.
	Run func(ctx context.Context) error
}

// Runner runs work under leases of one holder: this process.
type Runner struct {
	db     *database.DB
	log    *slog.Logger
	now    func() time.Time
	holder string
}

// New returns a runner with a holder id of its own.
func New(db *database.DB, log *slog.Logger, now func() time.Time) *Runner {
	return &Runner{db: db, log: log, now: now, holder: rand.Text()}
}

// Run runs every work until ctx ends, waits for what is running to return, and
// releases the leases, so that another replica can take over at once.
func (r *Runner) Run(ctx context.Context, works ...Work) {
	var running sync.WaitGroup
	for _, w := range works {
		running.Go(func() { r.Every(ctx, w) })
	}
	running.Wait()
}

// Every runs one work until ctx ends and releases its lease. The first run
// starts within a few seconds, at a random moment.
func (r *Runner) Every(ctx context.Context, w Work) {
	defer r.release(ctx, w.Name)
	wait := mathrand.N(min(w.Interval/10, maxJitter) + 1)
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		wait = r.attempt(ctx, w)
	}
}

// attempt runs the work if its lease can be had, and says how long to wait
// before the next attempt.
func (r *Runner) attempt(ctx context.Context, w Work) time.Duration {
	began := r.now()
	ours, err := r.acquire(ctx, w.Name, began.Add(term))
	if err != nil {
		if ctx.Err() == nil {
			r.log.Warn("background work cannot take its lease", "work", w.Name, "error", err)
		}
		return min(w.Interval, retry)
	}
	if !ours {
		return min(w.Interval, poll)
	}
	next := w.Interval
	if err := r.lead(ctx, w); err != nil && ctx.Err() == nil {
		next = min(w.Interval, retry)
		r.log.Error("background work failed", "work", w.Name, "duration", r.now().Sub(began), "retry_in", next, "error", err)
	} else {
		r.log.Debug("background work is done", "work", w.Name, "duration", r.now().Sub(began))
	}
	due := began.Add(next)
	if now := r.now(); due.Before(now) {
		due = now
	}
	if _, err := r.acquire(ctx, w.Name, due.Add(grace)); err != nil && ctx.Err() == nil {
		r.log.Warn("background work cannot keep its lease", "work", w.Name, "error", err)
	}
	return due.Sub(r.now())
}

// lead runs the work once while another goroutine renews the lease. The work's
// context ends when the lease is lost.
func (r *Runner) lead(ctx context.Context, w Work) error {
	timeout := w.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	ticker := time.NewTicker(term / 3)
	renewing := make(chan struct{})
	go func() {
		defer close(renewing)
		r.renew(ctx, w.Name, ticker.C, cancel)
	}()
	defer func() {
		cancel()
		ticker.Stop()
		<-renewing
	}()
	return guarded(ctx, w.Run)
}

// renew prolongs the lease at every tick until ctx ends; it calls lost when the
// lease is another's, or when it has run out because the database did not answer.
func (r *Runner) renew(ctx context.Context, name string, ticks <-chan time.Time, lost func()) {
	expires := r.now().Add(term)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
		next := r.now().Add(term)
		ours, err := r.acquire(ctx, name, next)
		switch {
		case err == nil && ours:
			expires = next
		case ctx.Err() != nil:
			return
		case err == nil || !r.now().Before(expires):
			r.log.Warn("background work lost its lease and is stopped", "work", name, "error", err)
			lost()
			return
		}
	}
}

// guarded calls run and makes an error of a panic.
func guarded(ctx context.Context, run func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return run(ctx)
}
