// Package schedule knows what hosts should run: packs, default configs and options,
// and assembles from them the osquery config of a host (esp-api 2.5, osquery-tls 2).
//
// It writes the tables packs, queries, pack_queries, pack_tags, query_tags, configs
// and config_versions and the settings options and schedule_shipped; the tags
// themselves belong to hosts. It does not know how a config is asked for or sent, nor what
// the queries find.
//
// Agents throw their schedule away before they parse a new config, so a config is
// validated before any agent gets it. What cannot be used is left out, or served as
// it last was, and said in the log: never an empty config.
package schedule

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

// topic is the hint that packs, configs or options changed.
const topic = "schedule"

// Options are the adjustable parts of a Store; zero values are defaults.
type Options struct {
	// Now is the clock.
	Now func() time.Time
	// Poll is how often the database is looked at in case a hint was lost: 30 s.
	Poll time.Duration
	// CacheBytes bounds the memory of rendered configs: 64 MiB.
	CacheBytes int
	// SignatureURLs are patterns of addresses that agents may fetch YARA rules from:
	// yara.signature_urls of every config. None: configs are left as they are.
	SignatureURLs []string
}

// Store assembles configs. It is safe for concurrent use.
type Store struct {
	db         *database.DB
	bus        bus.Bus
	log        *slog.Logger
	now        func() time.Time
	poll       time.Duration
	cacheBytes int
	signatures []string

	loading sync.Mutex // one refresh at a time
	current atomic.Pointer[snapshot]
}

// New returns a store that serves nothing until Load.
func New(db *database.DB, hints bus.Bus, log *slog.Logger, o Options) *Store {
	s := &Store{db: db, bus: hints, log: log, now: o.Now, poll: o.Poll, cacheBytes: o.CacheBytes, signatures: o.SignatureURLs}
	if s.now == nil {
		s.now = time.Now
	}
	if s.poll <= 0 {
		s.poll = 30 * time.Second
	}
	if s.cacheBytes <= 0 {
		s.cacheBytes = 64 << 20
	}
	return s
}

// Load installs the packs and configs that ship with the server and reads what is
// stored. Faults: those of the database; then nothing is served.
func (s *Store) Load(ctx context.Context) error {
	if err := s.install(ctx); err != nil {
		return err
	}
	return s.Refresh(ctx)
}

// Run keeps what is served fresh until ctx ends. While the database cannot be
// reached, what was read last stays in use.
func (s *Store) Run(ctx context.Context) {
	bus.Follow(ctx, s.bus, s.poll, func() {
		if err := s.Refresh(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("the schedule cannot be read again; the last one stays in use", "error", err)
		}
	}, topic, hosts.TopicTags)
}

// With returns a store for use inside the transaction tx: it reads and changes what
// is stored, refreshes and publishes nothing, and serves no configs.
func (s *Store) With(tx *database.DB) *Store {
	return New(tx, s.bus, s.log, Options{Now: s.now, Poll: s.poll, CacheBytes: s.cacheBytes, SignatureURLs: s.signatures})
}

// changed follows a commit: this process sees it at once, the others by the hint.
// Inside somebody else's transaction nothing has happened yet.
func (s *Store) changed(ctx context.Context) {
	if s.db.InTx() {
		return
	}
	if err := s.Refresh(ctx); err != nil {
		s.log.Warn("the schedule cannot be read again; the last one stays in use", "error", err)
	}
	s.bus.Publish(topic)
}
