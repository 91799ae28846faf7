package agentapi

import (
	"sync"
	"time"
)

// warnings lets one warning of a kind through each second: when the database is
// down, a fleet is refused thousands of times a second.
type warnings struct {
	mu   sync.Mutex
	seen map[string]*warned
}

type warned struct {
	at         time.Time
	suppressed int
}

// due reports whether a warning of that kind may be logged now, and how many were
// not since the last that was.
func (w *warnings) due(kind string, now time.Time) (suppressed int, due bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		w.seen = map[string]*warned{}
	}
	last := w.seen[kind]
	if last == nil {
		last = &warned{}
		w.seen[kind] = last // kinds are few: an endpoint and a kind of fault
	}
	if now.Sub(last.at) < time.Second {
		last.suppressed++
		return 0, false
	}
	suppressed = last.suppressed
	*last = warned{at: now}
	return suppressed, true
}
