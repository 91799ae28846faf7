package schedule

import (
	"sync"
	"sync/atomic"
)

// cache holds what was rendered for groups of hosts, up to limit bytes.
type cache struct {
	limit int

	mu     sync.RWMutex
	groups map[string]*group
	bytes  int
	// lastGood is what groups got before the present snapshot: for a group whose
	// config cannot be used now. Read-only once the snapshot is in use.
	lastGood map[string][]byte
}

// group is rendered by the first host that asks; the others wait for it.
type group struct {
	once     sync.Once
	rendered atomic.Pointer[rendered]
}

// rendered is a config, and whether it is what was asked for and not a way out.
type rendered struct {
	Config
	healthy bool
	tables  func() map[string][]string // that its queries read; made when first asked for
}

func newRendered(plain []byte, healthy bool) *rendered {
	return &rendered{Config: newConfig(plain), healthy: healthy, tables: sync.OnceValue(func() map[string][]string { return readTables(plain) })}
}

// find returns the group's config if it is rendered, without allocating.
func (c *cache) find(key []byte) *rendered {
	c.mu.RLock()
	g := c.groups[string(key)]
	c.mu.RUnlock()
	if g == nil {
		return nil
	}
	return g.rendered.Load()
}

// get returns the group's config, rendering it when nobody did; hosts that ask
// meanwhile wait.
func (c *cache) get(key string, render func() *rendered) *rendered {
	c.mu.Lock()
	g := c.groups[key]
	if g == nil {
		g = &group{}
		c.groups[key] = g
	}
	c.mu.Unlock()
	g.once.Do(func() {
		c.put(key, g, render())
	})
	return g.rendered.Load()
}

// put fills a group and lets go of any others beyond the limit.
func (c *cache) put(key string, g *group, r *rendered) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g.rendered.Store(r)
	c.bytes += r.size()
	for other, g := range c.groups {
		if c.bytes <= c.limit {
			return
		}
		if r := g.rendered.Load(); r != nil && other != key {
			c.bytes -= r.size()
			delete(c.groups, other)
		}
	}
}

func (r *rendered) size() int { return len(r.Plain) + len(r.WithETag) }

// inherit keeps the good bytes of the snapshot before, newest first, up to the limit.
func (s *snapshot) inherit(last *snapshot) {
	if last == nil {
		return
	}
	room := s.cache.limit
	keep := func(key string, plain []byte) {
		if _, there := s.cache.lastGood[key]; !there && len(plain) <= room {
			s.cache.lastGood[key] = plain
			room -= len(plain)
		}
	}
	last.cache.mu.RLock()
	defer last.cache.mu.RUnlock()
	for key, g := range last.cache.groups {
		if r := g.rendered.Load(); r != nil && r.healthy {
			keep(key, r.Plain)
		}
	}
	for key, plain := range last.cache.lastGood {
		keep(key, plain)
	}
}
