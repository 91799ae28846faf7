package hosts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

const (
	keyBytes   = 32
	keyLength  = 43              // of keyBytes in base64url without padding
	missMemory = 5 * time.Second // how long an unknown key stays unknown without asking again
	missCount  = 16384           // unknown keys remembered
	keyLookup  = 5 * time.Second // for one look into the database
	lookupSlot = 8               // looks into the database at a time
)

// Why a node key is refused. All are Unauthenticated.
var (
	errUnknownKey = fault.New(fault.Unauthenticated, "the node key is unknown")
	errOldKey     = fault.New(fault.Unauthenticated, "the node key was replaced")
	errNotActive  = fault.New(fault.Unauthenticated, "the host was removed")
)

// keyHash is the SHA-256 of a node key: all that is kept of it.
type keyHash [sha256.Size]byte

func hashKey(nodeKey string) keyHash {
	var text [keyLength]byte // on the stack, so that nothing is allocated
	return sha256.Sum256(text[:copy(text[:], nodeKey)])
}

// newNodeKey returns a random key that is safe in JSON, headers and URLs.
func newNodeKey() string {
	var random [keyBytes]byte
	_, _ = rand.Read(random[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// keyLookups bounds what keys that are not in memory cost the database.
type keyLookups struct {
	flights *flights[keyHash, keyPlace]
	misses  *recent[keyHash, struct{}]
	slots   chan struct{}
}

func newKeyLookups() *keyLookups {
	return &keyLookups{
		flights: newFlights[keyHash, keyPlace](),
		misses:  newRecent[keyHash, struct{}](missCount, missMemory),
		slots:   make(chan struct{}, lookupSlot),
	}
}

// Authenticate returns the host that a node key belongs to, as last read from
// the database (its contact times may be behind: see Find). A key in memory
// costs no SQL.
//
// Faults: Unauthenticated when the key is definitely unknown, was replaced longer
// than the grace ago, or its host is removed or deleted; Busy or Internal when
// the database could not tell.
func (s *Store) Authenticate(ctx context.Context, nodeKey string) (*Host, error) {
	if len(nodeKey) != keyLength {
		return nil, errUnknownKey // no key of ours has another length
	}
	hash := hashKey(nodeKey)
	place, known := s.reg.key(hash)
	if !known {
		var err error
		if place, err = s.findKey(ctx, hash); err != nil {
			return nil, err
		}
	}
	if place.validUntil != 0 && place.validUntil < s.Now().UnixMicro() {
		return nil, errOldKey
	}
	host := place.entry.host.Load()
	if host.State != Active {
		return nil, errNotActive
	}
	return host, nil
}

// findKey looks a key up in the database, once for all who ask at a time.
func (s *Store) findKey(ctx context.Context, hash keyHash) (keyPlace, error) {
	if _, missed := s.lookups.misses.get(hash, s.Now()); missed {
		return keyPlace{}, errUnknownKey
	}
	return s.lookups.flights.do(ctx, hash, keyLookup, func(ctx context.Context) (keyPlace, error) {
		select {
		case s.lookups.slots <- struct{}{}:
			defer func() { <-s.lookups.slots }()
		case <-ctx.Done():
			return keyPlace{}, fault.Wrap(ctx.Err(), fault.Busy, "the server is busy")
		}
		return s.readKey(ctx, hash)
	})
}

func (s *Store) readKey(ctx context.Context, hash keyHash) (keyPlace, error) {
	if place, known := s.reg.key(hash); known {
		return place, nil // another flight was faster
	}
	var owners []int64
	if err := s.db.Read(ctx).Raw("SELECT host_id FROM node_keys WHERE key_hash = ?", hash[:]).Scan(&owners).Error; err != nil {
		return keyPlace{}, database.Fault(err)
	}
	if len(owners) > 0 {
		if _, err := s.fetch(ctx, owners); err != nil {
			return keyPlace{}, err
		}
		if place, known := s.reg.key(hash); known {
			return place, nil
		}
		// The key went between the two reads.
	}
	s.lookups.misses.put(hash, struct{}{}, s.Now())
	return keyPlace{}, errUnknownKey
}
