package results

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"muster/server/bus"
	"muster/server/database"
)

// Topic is the bus topic of hints that rows were stored.
const Topic = "results"

// Options are the limits of a store; the zero value of each means its default.
type Options struct {
	Now func() time.Time
	// BatchLines and BatchBytes bound what one transaction takes (5,000 and 8 MiB);
	// the lines of one caller stay together and may exceed them.
	BatchLines, BatchBytes int
	// QueueLines and QueueBytes bound what waits or is being written (50,000 and
	// 64 MiB); beyond them Append says Busy.
	QueueLines, QueueBytes int
	// Writers is how many transactions may be under way at once on PostgreSQL (2).
	// SQLite has one writer always.
	Writers int
	// CommitTimeout ends a transaction on PostgreSQL that does not end by itself (30 s).
	CommitTimeout time.Duration
	// HintEvery is the least time between two hints on the bus (500 ms).
	HintEvery time.Duration
	// Found is told of new rows that have a Finding, in the transaction that stores
	// them and before its commit: of many rows at once, perhaps of more than one caller.
	// It must be quick, as others wait for the commit. When it fails or takes longer than
	// FoundTime (5 s), what it did in tx is undone, and it is called once more with later
	// set (in another transaction, if that one was lost): it should only note then what
	// to do later. When that fails too, the rows are stored all the same. It may be told
	// of a row again whose transaction failed. Nil: nobody is.
	Found     func(ctx context.Context, tx *database.DB, rows []FoundRow, later bool) error
	FoundTime time.Duration
	// FoundCommitted is called after a commit that Found was part of.
	FoundCommitted func()
	// SearchBudget is how long one search may go on (20 s), and SearchWait how long
	// it waits for its turn (2 s): clients give up at 30 s.
	SearchBudget, SearchWait time.Duration
	// Searches is how many searches run at once, and how many statements of exports
	// (2 each).
	Searches int
	// SearchRows is how many rows the first statement of a search looks at (20,000).
	SearchRows int
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	fallback := func(n *int, value int) {
		if *n <= 0 {
			*n = value
		}
	}
	fallback(&o.BatchLines, 5_000)
	fallback(&o.BatchBytes, 8<<20)
	fallback(&o.QueueLines, 50_000)
	fallback(&o.QueueBytes, 64<<20)
	fallback(&o.Writers, 2)
	if o.CommitTimeout <= 0 {
		o.CommitTimeout = 30 * time.Second
	}
	if o.HintEvery <= 0 {
		o.HintEvery = 500 * time.Millisecond
	}
	if o.FoundTime <= 0 {
		o.FoundTime = 5 * time.Second
	}
	o.searchDefaults()
	return o
}

// Store appends and reads what hosts reported. It is safe for concurrent use.
type Store struct {
	db     *database.DB
	bus    bus.Bus
	log    *slog.Logger
	o      Options
	queue  *queue
	stored chan struct{} // holds one when a hint is owed
	counts counts

	searches, exports gate

	hunts    gate
	flights  flights
	observer observer
	sieves   sieves

	resultsFence, statusFence *database.Fence

	linesPurged atomic.Int64 // the day up to which keys were last deleted on SQLite
}

// counts are the numbers behind Stats.
type counts struct {
	batches, lines, rows, duplicates, failures, refused, unheard atomic.Uint64
	lastCommit                                                   atomic.Int64
}

// New returns a store that reads at once and appends while Run runs.
func New(db *database.DB, b bus.Bus, log *slog.Logger, o Options) *Store {
	o = o.withDefaults()
	return &Store{
		db: db, bus: b, log: log, o: o, queue: newQueue(o), stored: make(chan struct{}, 1),
		searches: make(gate, o.Searches), exports: make(gate, o.Searches),
		hunts: make(gate, huntsAtOnce), observer: observer{turn: make(chan struct{}, 1), rows: segmentRows},
		resultsFence: database.NewFence(db, "results"), statusFence: database.NewFence(db, "status_logs"),
	}
}

// Run writes what Append queues until ctx ends. Then new lines are refused with
// Busy, the queue is written to its end, and Run returns. It can run once.
func (s *Store) Run(ctx context.Context) {
	s.keepAfterIndex(ctx)
	var writers, hints sync.WaitGroup
	drained := make(chan struct{})
	for range s.writers() {
		writers.Go(func() { s.newWriter().run() })
	}
	hints.Go(func() { s.hint(drained) })
	<-ctx.Done()
	s.queue.close()
	writers.Wait()
	close(drained)
	hints.Wait()
}

func (s *Store) writers() int {
	if s.db.Engine() == database.SQLite {
		return 1
	}
	return s.o.Writers
}

// hint publishes that rows were stored, at most once in HintEvery and once more
// at the end if something is owed.
func (s *Store) hint(drained <-chan struct{}) {
	for {
		select {
		case <-s.stored:
			s.bus.Publish(Topic)
		case <-drained:
			select {
			case <-s.stored:
				s.bus.Publish(Topic)
			default:
			}
			return
		}
		pause := time.NewTimer(s.o.HintEvery)
		select {
		case <-pause.C:
		case <-drained:
			pause.Stop()
		}
	}
}

// Stats are numbers for the metrics of one process.
type Stats struct {
	QueuedLines, QueuedBytes int    // waiting or being written
	Batches                  uint64 // transactions committed
	Lines                    uint64 // new lines stored
	Rows                     uint64 // rows and status messages of these lines
	Duplicates               uint64 // lines dropped because they were taken before
	Failures                 uint64 // callers whose lines could not be stored
	Refused                  uint64 // callers turned away because the queue was full
	Unheard                  uint64 // rows whose Finding could not be told to Options.Found
	LastCommit               time.Duration
}

// Stats returns the numbers as they are now.
func (s *Store) Stats() Stats {
	lines, bytes := s.queue.size()
	return Stats{
		QueuedLines: lines, QueuedBytes: bytes,
		Batches: s.counts.batches.Load(), Lines: s.counts.lines.Load(), Rows: s.counts.rows.Load(),
		Duplicates: s.counts.duplicates.Load(), Failures: s.counts.failures.Load(), Refused: s.counts.refused.Load(), Unheard: s.counts.unheard.Load(),
		LastCommit: time.Duration(s.counts.lastCommit.Load()),
	}
}
