// Package accounts holds the people and programs that use the APIs: users,
// sign-in, sessions and tokens, single-use tickets, and the audit trail.
//
// It writes the tables users, sessions and audit. It knows no HTTP and no other
// feature: whoever changes something elsewhere records it here (see Record).
//
// Passwords are kept as argon2id hashes, tokens as SHA-256 of 256 random bits.
package accounts

import (
	"runtime"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// Options are the limits of sign-in; zero values take the defaults.
type Options struct {
	Now      func() time.Time
	Idle     time.Duration // a session unused for so long ends; default 12 h
	Absolute time.Duration // a session ends after so long in any case; default 7 days
	CacheFor time.Duration // how long a token is believed without asking the database; default 3 s
	// HashSlots bounds password hashes at a time (19 MiB and a core each); default:
	// half of the cores, so that a flood of sign-ins leaves the rest to the agents.
	HashSlots int
	// HashWait bounds how long a sign-in waits for a slot; default 5 s.
	HashWait time.Duration
	AuditFor time.Duration // how long the audit trail is kept; default 365 days
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Idle = orElse(o.Idle, 12*time.Hour)
	o.Absolute = orElse(o.Absolute, 7*24*time.Hour)
	o.CacheFor = orElse(o.CacheFor, 3*time.Second)
	o.HashWait = orElse(o.HashWait, 5*time.Second)
	o.HashSlots = orElse(o.HashSlots, max(1, runtime.GOMAXPROCS(0)/2))
	o.AuditFor = orElse(o.AuditFor, 365*24*time.Hour)
	return o
}

func orElse[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

// Store is the use cases of accounts, safe for concurrent use.
type Store struct {
	db *database.DB
	o  Options
	*state
}

// state is what stores on the same database share, in and out of transactions.
type state struct {
	hashes    *hasher
	cache     *cache
	accounts  *throttle
	addresses *throttle
	known     *known
}

// New returns a store on db.
func New(db *database.DB, o Options) *Store {
	o = o.withDefaults()
	return &Store{db: db, o: o, state: &state{
		hashes:    newHasher(o.HashSlots, o.HashWait),
		cache:     newCache(o.CacheFor),
		accounts:  newThrottle(accountBurst, accountEvery),
		addresses: newThrottle(addressBurst, addressEvery),
		known:     newKnown(),
	}}
}

// With returns the store inside a transaction.
func (s *Store) With(tx *database.DB) *Store { return &Store{db: tx, o: s.o, state: s.state} }

// Account is who a token belongs to: an immutable snapshot.
type Account struct {
	ID       int64
	Username string
	Role     string
	// SessionID is the session behind the token, or behind the ticket: see Check.
	SessionID int64
}

var (
	errWrongCredentials = fault.New(fault.Unauthenticated, "Username/Password is/are wrong!")
	errInvalidToken     = fault.New(fault.Unauthenticated, "Request did not contain valid API key!")
	errExpiredToken     = fault.New(fault.Unauthenticated, "This API key used to authenticate is expired!")
)
