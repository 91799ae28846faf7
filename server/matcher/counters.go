package matcher

import (
	"sync/atomic"
	"time"
)

// Counts are what became of a rule's evaluations.
type Counts struct {
	Evaluated uint64 // awake and evaluated
	Matched   uint64
	Failed    uint64
	Time      time.Duration // about: it is taken of one evaluation in 64
}

const sampled = 64

type counters struct{ evaluated, matched, failed, nanos atomic.Uint64 }

// Drain calls each for every rule that was evaluated or failed since the last
// Drain, and starts to count anew. A caller that swaps programs drains the old
// one once more after its last Match.
func (p *Program) Drain(each func(rule int, c Counts)) {
	for rule := range p.counters {
		c := &p.counters[rule]
		if c.evaluated.Load() == 0 && c.failed.Load() == 0 {
			continue
		}
		each(rule, Counts{c.evaluated.Swap(0), c.matched.Swap(0), c.failed.Swap(0), time.Duration(c.nanos.Swap(0))})
	}
}
