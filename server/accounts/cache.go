package accounts

import (
	"sync"
	"time"
)

// maxCached bounds the cache; it holds only sessions that exist, so that
// made-up tokens take no room.
const maxCached = 10_000

// cache holds sessions that were just read, for a few seconds.
type cache struct {
	mu         sync.Mutex
	rows       map[key]cached
	lifetime   time.Duration
	generation int64
	revoked    chan struct{} // closed by the next forget
}

type cached struct {
	row   *sessionRow
	until time.Time
}

func newCache(lifetime time.Duration) *cache {
	return &cache{rows: map[key]cached{}, lifetime: lifetime, revoked: make(chan struct{})}
}

// get returns the session, or nil and the generation to hand to put.
func (c *cache) get(hash key, now time.Time) (*sessionRow, int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if held, found := c.rows[hash]; found && now.Before(held.until) {
		return held.row, c.generation
	}
	return nil, c.generation
}

// put keeps a session that was read in the given generation: one that was read
// before a revocation is not kept.
func (c *cache) put(hash key, row *sessionRow, now time.Time, generation int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.generation {
		return
	}
	if len(c.rows) >= maxCached {
		clear(c.rows)
	}
	c.rows[hash] = cached{row: row, until: now.Add(c.lifetime)}
}

// forget drops everything: something was revoked. That is rare, and reading
// again is cheap.
func (c *cache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	clear(c.rows)
	close(c.revoked)
	c.revoked = make(chan struct{})
}

// next returns a channel that the next forget closes.
func (c *cache) next() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.revoked
}
