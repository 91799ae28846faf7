package agenttest

import (
	"context"
	"sync"
	"time"
)

// Clock is the agent's view of time. The zero Options use the system's.
type Clock interface {
	// Now is the present moment.
	Now() time.Time
	// Sleep waits for d or until ctx ends, and then returns ctx's error.
	Sleep(ctx context.Context, d time.Duration) error
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ManualClock stands still until told otherwise, so that tests see hours of
// back-off in no time. Safe for concurrent use.
type ManualClock struct {
	mu      sync.Mutex
	now     time.Time
	skip    bool
	slept   []time.Duration
	waiting map[chan struct{}]time.Time
	changed chan struct{}
}

// NewManualClock starts at start. Sleepers wait for Advance.
func NewManualClock(start time.Time) *ManualClock {
	return &ManualClock{now: start, waiting: map[chan struct{}]time.Time{}, changed: make(chan struct{})}
}

// NewSkippingClock starts at start; each Sleep returns at once and moves the
// clock forward by its length. It suits the single-step methods of an agent.
func NewSkippingClock(start time.Time) *ManualClock {
	clock := NewManualClock(start)
	clock.skip = true
	return clock
}

// Now is the moment the clock stands at.
func (c *ManualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Sleep notes d (see Slept) and waits for the clock to get there.
func (c *ManualClock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	c.slept = append(c.slept, d)
	if c.skip || d <= 0 {
		c.now = c.now.Add(max(d, 0))
		c.mu.Unlock()
		return nil
	}
	wake := make(chan struct{})
	c.waiting[wake] = c.now.Add(d)
	c.announce()
	c.mu.Unlock()
	select {
	case <-wake:
		return nil
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.waiting, wake)
		c.announce()
		c.mu.Unlock()
		return ctx.Err()
	}
}

// Advance moves the clock and wakes every sleeper whose time has come.
func (c *ManualClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for wake, at := range c.waiting {
		if !at.After(c.now) {
			delete(c.waiting, wake)
			close(wake)
		}
	}
	c.announce()
}

// Slept returns the length of every sleep so far, in the order they began.
func (c *ManualClock) Slept() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]time.Duration(nil), c.slept...)
}

// BlockUntil returns once n sleepers wait, or with ctx's error.
func (c *ManualClock) BlockUntil(ctx context.Context, n int) error {
	for {
		c.mu.Lock()
		enough, changed := len(c.waiting) >= n, c.changed
		c.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// announce tells BlockUntil to count again. The caller holds the lock.
func (c *ManualClock) announce() {
	close(c.changed)
	c.changed = make(chan struct{})
}
