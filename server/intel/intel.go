// Package intel knows what is bad: indicators that people enter or import, kept in
// memory to check rows with, and what outside reputation services say about hashes,
// names and addresses.
//
// It writes the tables indicators and verdicts, and the settings indicators,
// intel_retro, intel_keys (with every key sealed), intel_services, intel_cursor and
// intel_state_SERVICE. It does not know where rows come from, nor what becomes of what
// it finds.
package intel

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/jobs"
	"muster/server/seal"
)

// Topic is the bus topic of hints that indicators changed.
const Topic = "indicators"

// Options are the adjustable parts of a Store; zero values are defaults.
type Options struct {
	Now func() time.Time
	// Poll is how often the database is looked at in case a hint was lost (10 s).
	Poll time.Duration
	// Late is how many indicators may have changed before all are read again (20,000).
	Late int
	// Most is how many indicators may be stored (2,000,000).
	Most int
	// Jobs, unless it is nil, gets a job of the kind RetroJob when indicators are added,
	// in their transaction, to be done RetroAfter (20 s) later: when every replica knows
	// them, so that between what is past and what is yet to come nothing is left out.
	Jobs       *jobs.Queue
	RetroAfter time.Duration
}

// Store keeps indicators and the keys and verdicts of services. It is safe for
// concurrent use.
type Store struct {
	db  *database.DB
	box *seal.Box
	bus bus.Bus
	log *slog.Logger
	o   Options

	memory  *memory // what was read of the indicators
	current *atomic.Pointer[set]
	checks  *sync.Pool // of *check
}

// New returns a store that seals keys in box, and knows no indicators until Load.
func New(db *database.DB, box *seal.Box, hints bus.Bus, log *slog.Logger, o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Poll <= 0 {
		o.Poll = 10 * time.Second
	}
	if o.Late <= 0 {
		o.Late = 20_000
	}
	if o.Most <= 0 {
		o.Most = 2_000_000
	}
	if o.RetroAfter <= 0 {
		o.RetroAfter = 20 * time.Second
	}
	s := &Store{db: db, box: box, bus: hints, log: log, o: o, memory: &memory{}, current: &atomic.Pointer[set]{}, checks: &sync.Pool{New: func() any { return newCheck(o.Now) }}}
	s.current.Store(&set{base: &tables{}, late: &tables{}})
	return s
}

// Load reads the indicators. Faults: those of the database.
func (s *Store) Load(ctx context.Context) error { return s.refresh(ctx, true) }

// Run keeps the memory fresh until ctx ends. While the database cannot be reached,
// what was read last stays in use.
func (s *Store) Run(ctx context.Context) {
	bus.Follow(ctx, s.bus, s.o.Poll, func() {
		if err := s.refresh(ctx, false); err != nil && ctx.Err() == nil {
			s.log.Warn("indicators cannot be read again; what was read last stays in use", "error", err)
		}
	}, Topic)
}

// changed follows a commit: this process sees it at once if it is small, the others
// by the hint.
func (s *Store) changed(ctx context.Context) {
	if err := s.refresh(context.WithoutCancel(ctx), false); err != nil {
		s.log.Warn("indicators cannot be read again; what was read last stays in use", "error", err)
	}
	s.bus.Publish(Topic)
}
