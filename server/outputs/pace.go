package outputs

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	alerterAtOnce = 2                     // deliveries under way, of one alerter in one process
	leastSpacing  = 20 * time.Millisecond // between two that were put off
	mostSpread    = 10 * time.Minute      // over which those that were put off are spread
	firstPause    = 10 * time.Second
	lastPause     = 10 * time.Minute
)

// paces keeps each alerter to a few deliveries at a time, and from being asked
// again and again while its receiver is down. Whoever may not go now is told when
// to come back, so that nobody waits in the place of others. It knows this
// process only. It is safe for concurrent use.
type paces struct {
	now func() time.Time
	mu  sync.Mutex
	all map[int64]*pace
}

// pace is that of one alerter.
type pace struct {
	running  int
	failures int           // one after the other
	paused   time.Time     // nobody goes before
	next     time.Time     // when the last of those that were put off comes back
	took     time.Duration // the last delivery
}

func newPaces(now func() time.Time) *paces { return &paces{now: now, all: map[int64]*pace{}} }

// enter says whether a delivery may start: 0 if it may, and then leave has to be
// called, or else after which time to ask again.
func (p *paces) enter(id int64) (wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one, known := p.all[id]
	if !known {
		one = &pace{took: 100 * time.Millisecond}
		p.all[id] = one
	}
	now, limit := p.now(), alerterAtOnce
	if one.failures > 0 {
		limit = 1 // somebody has to find out whether it works again
	}
	if !now.Before(one.paused) && one.running < limit {
		one.running++
		return 0
	}
	earliest := latest(now, one.paused)
	one.next = latest(earliest, one.next).Add(max(one.took/alerterAtOnce, leastSpacing))
	if late := earliest.Add(mostSpread); one.next.After(late) {
		one.next = late
		return late.Sub(now) - rand.N(mostSpread/2)
	}
	return one.next.Sub(now)
}

// leave says how a delivery went: failed means that the receiver is not well, and
// asked is the time that it wants to be left alone.
func (p *paces) leave(id int64, took time.Duration, failed bool, asked time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.all[id]
	one.running--
	one.took = took
	now := p.now()
	if failed {
		pause := lastPause
		if one.failures < 8 {
			pause = min(lastPause, firstPause<<one.failures)
		}
		one.failures++
		one.paused = latest(one.paused, now.Add(max(pause, asked)))
		return
	}
	one.failures, one.paused = 0, time.Time{}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
