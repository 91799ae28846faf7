package jobs

import (
	"sync"
	"time"
)

const (
	// quietFor is how long the log does not hear the same failure again.
	quietFor = time.Minute
	// maxSaid bounds the failures that are remembered.
	maxSaid = 1000
)

// failures are those that the log heard of. A receiver that refuses every alert must not
// fill it: the jobs themselves tell of each.
type failures struct {
	mu   sync.Mutex
	said map[string]*saying
}

type saying struct {
	at   time.Time
	left int // since then, without a word
}

// say reports whether something is to be logged now, and how many times it was not
// since it was last.
func (q *failures) say(what string, now time.Time) (left int, aloud bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	before, known := q.said[what]
	if known && now.Sub(before.at) < quietFor {
		before.left++
		return 0, false
	}
	if known {
		left = before.left
	}
	if q.said == nil || len(q.said) >= maxSaid {
		q.said = map[string]*saying{}
	}
	q.said[what] = &saying{at: now}
	return left, true
}
