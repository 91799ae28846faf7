package accounts

import (
	"crypto/sha256"
	"math"
	"net/netip"
	"strings"
	"sync"
	"time"

	"muster/server/fault"
)

// An account takes 10 attempts at once and one more every 30 s; an address,
// which may be many people's, 30 and one every 6 s.
const (
	accountBurst = 10
	accountEvery = 30 * time.Second
	addressBurst = 30
	addressEvery = 6 * time.Second
	maxBuckets   = 20_000
)

// key is a name of any length in 32 bytes, so that memory is bounded.
type key [sha256.Size]byte

func keyOf(parts ...string) key { return sha256.Sum256([]byte(strings.Join(parts, "\x00"))) }

func accountKey(username string) string { return strings.ToLower(strings.TrimSpace(username)) }

// addressKey counts an IPv6 network as one: its holder has 2^64 addresses.
func addressKey(address string) string {
	addr, err := netip.ParseAddr(address)
	if err != nil || addr.Is4() {
		return address
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return address
	}
	return prefix.String()
}

// throttle is token buckets, in memory and bounded.
type throttle struct {
	mu      sync.Mutex
	buckets map[key]bucket
	burst   float64
	every   time.Duration
}

type bucket struct {
	tokens float64
	at     time.Time
}

func newThrottle(burst int, every time.Duration) *throttle {
	return &throttle{buckets: map[key]bucket{}, burst: float64(burst), every: every}
}

// take uses up an attempt. It returns how long to wait when there is none.
func (t *throttle) take(k key, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.refilled(k, now)
	if b.tokens < 1 {
		return time.Duration(math.Ceil((1 - b.tokens) * float64(t.every)))
	}
	b.tokens--
	t.makeRoom(k, now)
	t.buckets[k] = b
	return 0
}

// giveBack returns an attempt that turned out to be rightful.
func (t *throttle) giveBack(k key, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.refilled(k, now)
	b.tokens = min(t.burst, b.tokens+1)
	if b.tokens == t.burst {
		delete(t.buckets, k)
		return
	}
	t.buckets[k] = b
}

func (t *throttle) refilled(k key, now time.Time) bucket {
	b, found := t.buckets[k]
	if !found {
		return bucket{tokens: t.burst, at: now}
	}
	if gone := now.Sub(b.at); gone > 0 {
		b = bucket{tokens: min(t.burst, b.tokens+float64(gone)/float64(t.every)), at: now}
	}
	return b
}

// makeRoom forgets what has refilled and, when that is not enough, the least
// used bucket of a sample: a flood of made-up names pushes out itself first.
func (t *throttle) makeRoom(k key, now time.Time) {
	if _, found := t.buckets[k]; found || len(t.buckets) < maxBuckets {
		return
	}
	var fullest key
	most, seen := -1.0, 0
	for other := range t.buckets {
		b := t.refilled(other, now)
		if b.tokens >= t.burst {
			delete(t.buckets, other)
		} else if b.tokens > most {
			most, fullest = b.tokens, other
		}
		if seen++; seen >= 256 {
			break
		}
	}
	if len(t.buckets) >= maxBuckets {
		delete(t.buckets, fullest)
	}
}

// retry is the cause of a TooMany fault: it knows when to come again.
type retry time.Duration

func (retry) Error() string { return "throttled" }

// RetryAfter is read by the doors.
func (r retry) RetryAfter() time.Duration { return time.Duration(r) }

func tooMany(wait time.Duration) error {
	return fault.Wrap(retry(wait), fault.TooMany, "Too many attempts: try again in %d seconds", int(math.Ceil(wait.Seconds())))
}
