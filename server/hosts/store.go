// Package hosts is the register of machines: enrolment, node keys, tags, state,
// what a machine says about itself, and when it was last heard from.
//
// It writes the tables enroll_secrets, hosts, node_keys, tags and host_tags. It
// does not know what a host runs or reports, nor any wire format: the doors hand
// it an Enrollment and get a *Host back.
//
// Every host is kept in memory as an immutable snapshot, so that an idle poll
// costs no SQL. The database is the truth: the memory follows it by hints of the
// bus (topics "hosts" and "secrets") and a slow poll, and a node key that is not
// in memory is looked up before it is called unknown. Contact times live in
// memory and are written in batches, a few seconds late.
package hosts

import (
	"context"
	"log/slog"
	"time"

	"muster/server/bus"
	"muster/server/database"
)

// Topics of the bus that carry hints of this package.
const (
	topicHosts   = "hosts"
	topicSecrets = "secrets"
)

// Options adjusts a Store. The zero value of each field stands for its default.
type Options struct {
	Now          func() time.Time // time.Now
	Cooldown     time.Duration    // 60 s: how long an agent that enrols again gets the same key
	KeyGrace     time.Duration    // 2 min: how long a replaced key goes on authenticating
	EnrollLimit  int              // 30: enrolments of one identity per EnrollWindow
	EnrollWindow time.Duration    // 10 min
	FlushEvery   time.Duration    // 5 s: between two writes of contact times
	PollEvery    time.Duration    // 30 s: between two looks at the database without a hint
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.EnrollLimit <= 0 {
		o.EnrollLimit = 30
	}
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&o.Cooldown, time.Minute},
		{&o.KeyGrace, 2 * time.Minute},
		{&o.EnrollWindow, 10 * time.Minute},
		{&o.FlushEvery, 5 * time.Second},
		{&o.PollEvery, 30 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.standard
		}
	}
	return o
}

// Store is the register. It is safe for concurrent use.
type Store struct {
	db  *database.DB
	bus bus.Bus
	log *slog.Logger
	Options

	reg      *register
	contacts *contactLog
	secrets  *secretList
	enroller *enroller
	lookups  *keyLookups
}

// New returns a register whose memory is empty: call Load before serving and
// Run while serving.
func New(db *database.DB, b bus.Bus, log *slog.Logger, o Options) *Store {
	o = o.withDefaults()
	return &Store{
		db: db, bus: b, log: log, Options: o,
		reg:      newRegister(),
		contacts: &contactLog{},
		secrets:  newSecretList(),
		enroller: newEnroller(o),
		lookups:  newKeyLookups(),
	}
}

// With returns a store whose statements run in tx and which shares everything
// else. What it changes is shown to nobody before the commit: publish the topics
// "hosts" and TopicTags after it, or wait for the slow poll.
func (s *Store) With(tx *database.DB) *Store {
	within := *s
	within.db = tx
	return &within
}

// Load fills the memory from the database. Faults: Busy, Internal.
func (s *Store) Load(ctx context.Context) error {
	if err := s.loadSecrets(ctx); err != nil {
		return err
	}
	return s.loadAll(ctx)
}

// Run writes contact times and keeps the memory fresh until ctx ends; the last
// contacts are written before it returns. A failure is logged and tried again.
func (s *Store) Run(ctx context.Context) {
	changed, stopChanged := s.bus.Subscribe(topicHosts)
	defer stopChanged()
	secrets, stopSecrets := s.bus.Subscribe(topicSecrets)
	defer stopSecrets()
	flush, poll := time.NewTicker(s.FlushEvery), time.NewTicker(s.PollEvery)
	defer flush.Stop()
	defer poll.Stop()

	var pause <-chan time.Time // set while hints gather after a refresh
	hints := changed
	for rounds := 1; ; {
		select {
		case <-ctx.Done():
			s.lastFlush(ctx)
			return
		case <-flush.C:
			s.warn(ctx, "contact times could not be written", s.Flush(ctx))
		case <-poll.C:
			s.warn(ctx, "hosts could not be refreshed", s.poll(ctx, rounds))
			rounds++
			s.warn(ctx, "enrol secrets could not be refreshed", s.loadSecrets(ctx))
		case <-secrets:
			s.warn(ctx, "enrol secrets could not be refreshed", s.loadSecrets(ctx))
		case <-hints:
			s.warn(ctx, "hosts could not be refreshed", s.refresh(ctx, hintOverlap))
			hints, pause = nil, time.After(hintPause)
		case <-pause:
			hints, pause = changed, nil
		}
	}
}

// lastFlush writes what came in before the shutdown.
func (s *Store) lastFlush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	s.warn(ctx, "contact times could not be written", s.Flush(ctx))
}

func (s *Store) warn(ctx context.Context, message string, err error) {
	if err != nil && ctx.Err() == nil {
		s.log.Warn(message, "error", err)
	}
}
