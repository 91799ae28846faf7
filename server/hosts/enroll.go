package hosts

import (
	"context"
	"crypto/sha256"
	"time"

	"muster/server/fault"
)

// ErrRefused refuses an enrolment with a good secret: the host was removed, or
// deleted and not told that it may enrol anew. It is Unauthenticated.
var ErrRefused error = fault.New(fault.Unauthenticated, "the host was removed")

// ErrTooOften refuses an identity that enrols more often than the limit. It is
// TooMany.
var ErrTooOften error = fault.New(fault.TooMany, "enrolling too often")

const (
	issuedCount  = 32768            // keys that an agent may be given again
	bucketCount  = 65536            // identities whose enrolments are counted
	enrollWithin = 15 * time.Second // an agent gives up after 16
)

// identityHash is the SHA-256 of what names an agent.
type identityHash [sha256.Size]byte

// issued is a key that was given out: in memory only, for the cooldown.
type issued struct {
	nodeKey string
	hostID  int64
}

type enrolled struct {
	nodeKey string
	host    *Host
}

// enroller holds what enrolment remembers, all of it bounded.
type enroller struct {
	limit   int
	window  time.Duration
	flights *flights[identityHash, enrolled]
	issued  *recent[identityHash, issued]
	buckets *recent[identityHash, bucket]
}

func newEnroller(o Options) *enroller {
	return &enroller{
		limit: o.EnrollLimit, window: o.EnrollWindow,
		flights: newFlights[identityHash, enrolled](),
		issued:  newRecent[identityHash, issued](issuedCount, o.Cooldown),
		buckets: newRecent[identityHash, bucket](bucketCount, o.EnrollWindow),
	}
}

// bucket holds the enrolments that an identity has left; it fills up again over
// the window.
type bucket struct {
	left float64
	at   time.Time
}

// allow takes one enrolment from the identity's bucket.
func (n *enroller) allow(identity identityHash, now time.Time) (ok bool) {
	n.buckets.update(identity, now, func(b bucket, found bool) bucket {
		full := float64(n.limit)
		if !found {
			b = bucket{left: full, at: now}
		}
		b.left = min(full, b.left+full*max(0, now.Sub(b.at).Seconds())/n.window.Seconds())
		if b.at = now; b.left >= 1 {
			b.left, ok = b.left-1, true
		}
		return b
	})
	return ok
}

// Enroll gives an agent a node key and the host it belongs to: a known one (see
// match), or a new one with the tags of its secret. The same agent gets the same
// key again within the cooldown; otherwise the host's older keys go on
// authenticating for the grace.
//
// Faults: ErrWrongSecret and ErrRefused (Unauthenticated), ErrTooOften (TooMany),
// Invalid for an agent that names itself in no way, Busy and Internal when
// storage fails. Secret and rate are checked before any work for the database.
func (s *Store) Enroll(ctx context.Context, e Enrollment) (nodeKey string, host *Host, err error) {
	secret, err := s.checkSecret(ctx, e.Secret)
	if err != nil {
		return "", nil, err
	}
	f := readFacts(e)
	if f.identifier == "" {
		return "", nil, fault.New(fault.Invalid, "the agent does not say who it is")
	}
	if !s.enroller.allow(digest(first(f.instanceID, f.uuid, f.identifier)), s.Now()) {
		return "", nil, ErrTooOften
	}
	agent := digest(e.Secret, f.instanceID, f.uuid, f.identifier)
	if again, ok := s.issuedBefore(agent); ok {
		return again.nodeKey, again.host, nil
	}
	done, err := s.enroller.flights.do(ctx, agent, enrollWithin, func(ctx context.Context) (enrolled, error) {
		if again, ok := s.issuedBefore(agent); ok {
			return again, nil // by a flight that has just ended
		}
		fresh, err := s.admit(ctx, f, secret)
		if err == nil {
			s.enroller.issued.put(agent, issued{fresh.nodeKey, fresh.host.ID}, s.Now())
		}
		return fresh, err
	})
	return done.nodeKey, done.host, err
}

// issuedBefore finds the key that the same agent was given within the cooldown,
// as long as it is still the host's current one.
func (s *Store) issuedBefore(agent identityHash) (enrolled, bool) {
	before, found := s.enroller.issued.get(agent, s.Now())
	if !found {
		return enrolled{}, false
	}
	place, known := s.reg.key(hashKey(before.nodeKey))
	if !known || place.validUntil != 0 || place.entry.host.Load().State != Active {
		s.enroller.issued.drop(agent)
		return enrolled{}, false
	}
	return enrolled{before.nodeKey, place.entry.current()}, true
}

// digest hashes parts so that no two lists of parts share a hash.
func digest(parts ...string) (sum identityHash) {
	hash := sha256.New()
	for _, part := range parts {
		one := sha256.Sum256([]byte(part))
		hash.Write(one[:])
	}
	hash.Sum(sum[:0])
	return sum
}
