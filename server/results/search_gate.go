package results

import (
	"context"
	"time"

	"muster/server/fault"
)

func (o *Options) searchDefaults() {
	if o.SearchBudget <= 0 {
		o.SearchBudget = 20 * time.Second
	}
	if o.SearchWait <= 0 {
		o.SearchWait = 2 * time.Second
	}
	if o.Searches <= 0 {
		o.Searches = 2
	}
	if o.SearchRows <= 0 {
		o.SearchRows = 20_000
	}
}

// gate lets so many in at once as it has room for.
type gate chan struct{}

// enter takes a place and returns how to give it back. It waits at most as long
// as told; 0 is until ctx ends. Faults: TooMany when no place became free, Busy
// when ctx ended.
func (g gate) enter(ctx context.Context, wait time.Duration) (leave func(), err error) {
	leave = func() { <-g }
	select {
	case g <- struct{}{}:
		return leave, nil
	default:
	}
	var expired <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case g <- struct{}{}:
		return leave, nil
	case <-expired:
		return nil, fault.New(fault.TooMany, "%d searches are running already; try again in a moment", cap(g))
	case <-ctx.Done():
		return nil, fault.Wrap(ctx.Err(), fault.Busy, "The search was given up")
	}
}
