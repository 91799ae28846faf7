// Package yara keeps YARA files: checks them, hands them to agents, compiles them,
// and scans with them what hosts handed over.
//
// It writes the tables yara_files, yara_tags and carve_scans and the setting
// yara_shipped. It is the only user of libyara. It does not know how files are
// uploaded or fetched, which queries scan with them, nor what a carve is beyond its id.
//
// Every file is kept in memory, so that an agent that fetches one costs no SQL: an
// agent fetches the file again for every query. The database is the truth; the
// memory follows it by hints of the bus and a slow poll.
package yara

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/hosts"
)

// topic is the hint that files or their tags changed.
const topic = "yara"

// Options are the adjustable parts of a Store; zero values are defaults.
type Options struct {
	// Now is the clock.
	Now func() time.Time
	// Poll is how often the database is looked at in case a hint was lost: 30 s.
	Poll time.Duration
	// Check compiles what is uploaded: Here by default. A server should take
	// Apart, since a compiler in C may take the process with it.
	Check Checker
}

// Store keeps files. It is safe for concurrent use.
type Store struct {
	db    *database.DB
	bus   bus.Bus
	log   *slog.Logger
	now   func() time.Time
	poll  time.Duration
	check Checker

	compiling chan struct{} // a place for each file that is being compiled
	wait      time.Duration // for such a place
	loading   sync.Mutex    // one refresh at a time
	looked    time.Time     // when the last one began
	current   atomic.Pointer[snapshot]
}

// New returns a store that hands out nothing until Load.
func New(db *database.DB, hints bus.Bus, log *slog.Logger, o Options) *Store {
	s := &Store{db: db, bus: hints, log: log, now: o.Now, poll: o.Poll, check: o.Check, compiling: make(chan struct{}, 1), wait: compileWait}
	if s.now == nil {
		s.now = time.Now
	}
	if s.poll <= 0 {
		s.poll = 30 * time.Second
	}
	if s.check == nil {
		s.check = Here
	}
	s.current.Store(&snapshot{})
	return s
}

// Load installs the file that ships with the server and reads what is stored.
// Faults: those of the database.
func (s *Store) Load(ctx context.Context) error {
	if err := s.install(ctx); err != nil {
		return err
	}
	return s.refresh(ctx)
}

// Run keeps the memory fresh until ctx ends. While the database cannot be reached,
// what was read last stays in use.
func (s *Store) Run(ctx context.Context) {
	bus.Follow(ctx, s.bus, s.poll, func() { s.reread(ctx) }, topic, hosts.TopicTags)
}

// changed follows a commit: this process sees it at once, the others by the hint.
func (s *Store) changed(ctx context.Context) {
	s.reread(context.WithoutCancel(ctx))
	s.bus.Publish(topic)
}

func (s *Store) reread(ctx context.Context) {
	s.complain(ctx, s.refresh(ctx))
}

func (s *Store) complain(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		s.log.Warn("YARA files cannot be read again; what was read last stays in use", "error", err)
	}
}
