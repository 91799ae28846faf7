package hosts

import (
	"context"
	"sync"
	"time"

	"muster/server/fault"
)

// flights lets concurrent callers with the same key share one call.
type flights[K comparable, V any] struct {
	mu    sync.Mutex
	calls map[K]*flight[V]
}

type flight[V any] struct {
	done  chan struct{}
	value V
	err   error
}

func newFlights[K comparable, V any]() *flights[K, V] {
	return &flights[K, V]{calls: map[K]*flight[V]{}}
}

// do calls fn, or waits for the call with this key that is under way. fn is given
// up to limit and goes on when its caller leaves, since others may be waiting.
// Faults: Busy when ctx ends while waiting, and what fn returns.
func (f *flights[K, V]) do(ctx context.Context, key K, limit time.Duration, fn func(context.Context) (V, error)) (V, error) {
	f.mu.Lock()
	if call := f.calls[key]; call != nil {
		f.mu.Unlock()
		select {
		case <-call.done:
			return call.value, call.err
		case <-ctx.Done():
			var none V
			return none, fault.Wrap(ctx.Err(), fault.Busy, "the server is busy")
		}
	}
	// The error stands should fn panic.
	call := &flight[V]{done: make(chan struct{}), err: fault.New(fault.Internal, "Internal server error")}
	f.calls[key] = call
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.calls, key)
		f.mu.Unlock()
		close(call.done)
	}()
	inner, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	value, err := fn(inner)
	call.value, call.err = value, err
	return value, err
}
