// Package detect knows the rules: it keeps them, compiles them all into one program
// and says which of them a row meets, and why.
//
// It writes the tables rules, rule_counters and rule_exceptions and the setting
// rules_shipped. It does not know where rows come from nor what becomes of a match:
// evaluating is pure, in memory, and never fails its caller.
package detect

import (
	"context"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/sigma"
)

// topic is the hint that rules or exceptions changed.
const topic = "rules"

// Options are the adjustable parts of a Store; zero values are defaults.
type Options struct {
	// Now is the clock.
	Now func() time.Time
	// Poll is how often the database is looked at in case a hint was lost: 30 s.
	Poll time.Duration
	// Flush is how often counters are added to those of the database: 5 s.
	Flush time.Duration
	// Budget is how long one row may take to evaluate, unless it says otherwise: 250 ms.
	Budget time.Duration
	// Mapping says which tables and columns Sigma rules are about; nil: ours.
	Mapping *sigma.Mapping
	// Shipped are the rules that come with the server, as Sigma files; nil: none.
	Shipped fs.FS
}

// Store keeps rules and evaluates rows. It is safe for concurrent use.
type Store struct {
	db  *database.DB
	bus bus.Bus
	log *slog.Logger
	o   Options

	loading sync.Mutex // one refresh at a time
	current atomic.Pointer[snapshot]
	totals  totals
}

// New returns a store that matches nothing until Load.
func New(db *database.DB, hints bus.Bus, log *slog.Logger, o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	for value, fallback := range map[*time.Duration]time.Duration{
		&o.Poll: 30 * time.Second, &o.Flush: 5 * time.Second, &o.Budget: 250 * time.Millisecond,
	} {
		if *value <= 0 {
			*value = fallback
		}
	}
	if o.Mapping == nil {
		o.Mapping = sigma.DefaultMapping()
	}
	return &Store{db: db, bus: hints, log: log, o: o}
}

// With returns a store for use inside the transaction tx: it reads and changes what
// is stored, refreshes and publishes nothing, and evaluates nothing.
func (s *Store) With(tx *database.DB) *Store { return New(tx, s.bus, s.log, s.o) }

// Load installs the rules that ship with the server and compiles what is stored.
// Faults: those of the database; then nothing is evaluated.
func (s *Store) Load(ctx context.Context) error {
	if err := s.install(ctx); err != nil {
		return err
	}
	return s.Refresh(ctx)
}

// Run keeps the program fresh and counters stored until ctx ends. While the database
// cannot be reached, the last program stays in use and counters add up.
func (s *Store) Run(ctx context.Context) {
	var counting sync.WaitGroup
	counting.Go(func() { s.flushing(ctx) })
	bus.Follow(ctx, s.bus, s.o.Poll, func() {
		if err := s.Refresh(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("rules cannot be read again; the last ones stay in use", "error", err)
		}
	}, topic)
	counting.Wait()
}

// changed follows a commit: Run of every replica compiles anew. Inside somebody
// else's transaction nothing has happened yet.
func (s *Store) changed() {
	if !s.db.InTx() {
		s.bus.Publish(topic)
	}
}
