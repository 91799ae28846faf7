// Package distributed is work that hosts do now: live queries, one task per
// target, and whoever watches their answers arrive.
//
// It writes the tables live_queries and live_tasks. It knows hosts by their
// register and osquery's SQL by its checker; it knows no wire format, no schedule
// and nothing of what an answer means.
//
// A task starts pending, becomes sent when its host reads it, and ends in one
// outcome: answered (rows), empty, error, denylisted, expired or cancelled. The
// counters of live_queries change in the transaction that changes the task, under
// the lock of the query's row. Answers take their number (seq) under that lock
// too, so the order of numbers is the order of commits, and a watcher that has
// seen number n has seen all before it.
//
// Which host has open tasks is kept in memory: an idle read costs no SQL. The
// memory may show too much (another replica took the answer) and then the
// database decides; it lags behind a launch elsewhere by a hint on the topic
// "distributed", at most by PollEvery.
package distributed

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/hosts"
)

// topicOpen hints that a query was launched or ended.
const topicOpen = "distributed"

// topicLive hints that a task of one query changed.
func topicLive(queryID int64) string { return "live/" + strconv.FormatInt(queryID, 10) }

// Options adjusts a Store. The zero value of each field stands for its default.
type Options struct {
	Now       func() time.Time // time.Now
	Interval  time.Duration    // 10 s: how often agents read; resending waits for three of these, at least 2 min
	PollEvery time.Duration    // 10 s: between two looks for launches and ends without a hint
	WatchPoll time.Duration    // 5 s: how often a watcher looks without a hint
	Progress  time.Duration    // 250 ms: the least time between two progress events
	MaxQueue  int              // 4096: reads and answers waiting for their transaction
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxQueue <= 0 {
		o.MaxQueue = 4096
	}
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&o.Interval, 10 * time.Second},
		{&o.PollEvery, 10 * time.Second},
		{&o.WatchPoll, 5 * time.Second},
		{&o.Progress, 250 * time.Millisecond},
	} {
		if *d.value <= 0 {
			*d.value = d.standard
		}
	}
	return o
}

// resendAfter is how long a host has for an answer before it is asked again
// (osquery-tls.md 4.4): an agent may have lost what it was handed.
func (o Options) resendAfter() time.Duration { return max(3*o.Interval, 2*time.Minute) }

// Store keeps live queries. It is safe for concurrent use.
type Store struct {
	db    *database.DB
	hosts *hosts.Store
	bus   bus.Bus
	log   *slog.Logger
	Options

	open   *openSet
	ledger ledger
}

// New returns a store that knows of no open query: call Load before serving and
// Run while serving.
func New(db *database.DB, h *hosts.Store, b bus.Bus, log *slog.Logger, o Options) *Store {
	return &Store{db: db, hosts: h, bus: b, log: log, Options: o.withDefaults(), open: newOpenSet()}
}

// Load reads the open tasks. Faults: Busy, Internal.
func (s *Store) Load(ctx context.Context) error { return s.refresh(ctx) }

// Run keeps the open tasks fresh and ends queries whose time is over, until ctx
// ends. A failure is logged and tried again.
func (s *Store) Run(ctx context.Context) {
	changed, stop := s.bus.Subscribe(topicOpen)
	defer stop()
	for {
		timer := time.NewTimer(s.untilNext())
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
		s.warn(ctx, "live queries could not be ended", s.Expire(ctx))
		s.warn(ctx, "open live queries could not be read", s.refresh(ctx))
	}
}

// untilNext is the time to the next poll, or to the end of a query before it.
func (s *Store) untilNext() time.Duration {
	wait := s.PollEvery
	if next := s.open.nextExpiry(); next > 0 {
		wait = min(wait, database.FromMicros(next).Sub(s.Now())+time.Millisecond)
	}
	// Not at once: a query that cannot be ended now is tried again, not spun on.
	return max(wait, 200*time.Millisecond)
}

func (s *Store) warn(ctx context.Context, message string, err error) {
	if err != nil && ctx.Err() == nil {
		s.log.Warn(message, "error", err)
	}
}

// micros is the present as it is stored.
func (s *Store) micros() int64 { return s.Now().UnixMicro() }
