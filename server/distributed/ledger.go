package distributed

import (
	"context"
	"sync"
	"time"

	"muster/server/fault"
)

const (
	// A transaction takes what waits, up to about this much.
	batchItems = 256
	batchBytes = 8 << 20
	// queueBytes bounds the rows that wait in memory.
	queueBytes = 128 << 20
	// commitTime bounds one transaction.
	commitTime = 30 * time.Second
)

// operation is a read or a report of one host, waiting for its transaction.
type operation struct {
	host    int64
	claims  []int64 // query ids
	answers []answer
	size    int // bytes of rows

	done    chan struct{}
	err     error
	granted map[int64]bool // of claims: handed over now
}

func (op *operation) items() int { return len(op.claims) + len(op.answers) }

// ledger lets operations that arrive together share a transaction: while one
// commits the next gathers. A lone operation waits for nothing.
type ledger struct {
	mu      sync.Mutex
	queue   []*operation
	bytes   int
	running bool
}

// commit queues an operation and waits until it is committed.
func (s *Store) commit(ctx context.Context, op *operation) error {
	op.done, op.granted = make(chan struct{}), map[int64]bool{}
	if !s.enqueue(op) {
		return fault.New(fault.Busy, "Too many hosts answer at once, try again later")
	}
	select {
	case <-op.done:
		return op.err
	case <-ctx.Done():
		return fault.Wrap(ctx.Err(), fault.Busy, "The request ended before the database answered")
	}
}

func (s *Store) enqueue(op *operation) bool {
	l := &s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) >= s.MaxQueue || len(l.queue) > 0 && l.bytes+op.size > queueBytes {
		return false
	}
	l.queue = append(l.queue, op)
	l.bytes += op.size
	if !l.running {
		l.running = true
		go s.drain()
	}
	return true
}

// drain commits batch after batch until nothing waits.
func (s *Store) drain() {
	for batch := s.ledger.take(); len(batch) > 0; batch = s.ledger.take() {
		err := s.write(batch)
		if err != nil && len(batch) > 1 && !fault.Is(err, fault.Busy) {
			// One operation that the database refuses must not fail the others.
			for _, op := range batch {
				op.finish(s.write([]*operation{op}))
			}
			continue
		}
		for _, op := range batch {
			op.finish(err)
		}
	}
}

func (op *operation) finish(err error) {
	op.err = err
	close(op.done)
}

// take cuts the next batch from the queue. When nothing waits, drain is over.
func (l *ledger) take() []*operation {
	l.mu.Lock()
	defer l.mu.Unlock()
	items, size, n := 0, 0, 0
	for n < len(l.queue) {
		op := l.queue[n]
		if n > 0 && (items+op.items() > batchItems || size+op.size > batchBytes) {
			break
		}
		items, size, n = items+op.items(), size+op.size, n+1
	}
	batch := l.queue[:n:n]
	l.queue, l.bytes = l.queue[n:], l.bytes-size
	if n == 0 {
		l.queue, l.running = nil, false
	}
	return batch
}
