package results

import (
	"math"
	"sync"
	"time"

	"muster/server/database"
)

// flights are the batches that this process is storing, by their time of arrival:
// as long as one is under way, rows of that time may still appear.
type flights struct {
	mu     sync.Mutex
	moment map[*writer]int64
	least  int64 // no batch arrives before this, whatever the clock says
}

// begin gives a batch its time of arrival, which counts as under way until end.
func (f *flights) begin(w *writer, now func() time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := max(database.Micros(now()), f.least)
	if f.moment == nil {
		f.moment = map[*writer]int64{}
	}
	f.moment[w] = at
	return database.FromMicros(at)
}

func (f *flights) end(w *writer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.moment, w)
}

// oldest is the earliest arrival that is under way.
func (f *flights) oldest() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	oldest := int64(math.MaxInt64)
	for _, at := range f.moment {
		oldest = min(oldest, at)
	}
	return oldest
}

// notBefore keeps a clock that is set back from adding rows to a closed segment; at
// is where the last one ends.
func (f *flights) notBefore(at int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.least = at
}
