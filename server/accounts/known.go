package accounts

import (
	"context"
	"sync"
	"time"

	"muster/server/database"
)

const (
	maxKnown = 10_000
	// loadKnownFor bounds a reading of the sessions, and loadKnownEvery how often
	// it is tried while it fails.
	loadKnownFor   = 2 * time.Second
	loadKnownEvery = 5 * time.Second
)

// known remembers who signed in from where, so that strangers who use up an
// account's attempts do not lock its owner out.
type known struct {
	mu    sync.Mutex
	pairs map[key]struct{}

	loading chan struct{} // holds one: whoever reads the sessions
	loaded  bool          // by whoever holds loading
	retryAt time.Time     // by whoever holds loading
}

func newKnown() *known {
	return &known{pairs: map[key]struct{}{}, loading: make(chan struct{}, 1)}
}

func (k *known) has(pair key) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, found := k.pairs[pair]
	return found
}

func (k *known) add(pair key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.pairs) >= maxKnown {
		for other := range k.pairs {
			delete(k.pairs, other)
			break
		}
	}
	k.pairs[pair] = struct{}{}
}

// loadKnown reads, at the first attempt since the start, who signed in from where
// before it: a restart must not help strangers to lock an owner out. Whoever
// tries to sign in, and to which account, makes no difference to it. When it
// fails, attempts go on with what is known, and a later one tries again.
func (s *Store) loadKnown(ctx context.Context, now time.Time) {
	k := s.known
	select {
	case k.loading <- struct{}{}:
		defer func() { <-k.loading }()
	case <-ctx.Done():
		return
	}
	if k.loaded || now.Before(k.retryAt) {
		return
	}
	// It is read for everybody, not only for a client that may hang up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadKnownFor)
	defer cancel()
	pairs, err := s.storedPairs(ctx)
	if err != nil {
		k.retryAt = now.Add(loadKnownEvery)
		return
	}
	for _, pair := range pairs {
		k.add(pair)
	}
	k.loaded = true
}

// storedPairs is the pairs of the newest sign-ins, no more than are kept.
func (s *Store) storedPairs(ctx context.Context) ([]key, error) {
	var rows []struct{ Username, Address string }
	err := s.db.Read(ctx).Raw(`SELECT u.username, s.address FROM sessions s JOIN users u ON u.id = s.user_id
		WHERE s.kind = 'session' ORDER BY s.id DESC LIMIT ?`, maxKnown).Scan(&rows).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	pairs := make([]key, 0, len(rows))
	for _, row := range rows {
		pairs = append(pairs, pairKey(Login{Username: row.Username, Address: row.Address}))
	}
	return pairs, nil
}
