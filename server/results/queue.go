package results

import (
	"slices"
	"sync"

	"muster/server/fault"
)

// request is what one caller of Append waits for.
type request struct {
	lines []Line
	bytes int
	done  chan outcome // receives once, unless the caller gave up before a writer took it
}

type outcome struct {
	stored int
	err    error
}

// queue holds requests until a writer takes them. What a writer took counts
// until it is finished, so that the limits bound the memory of both.
type queue struct {
	o    Options
	wake chan struct{} // holds one when something may be waiting

	mu           sync.Mutex
	waiting      []*request
	lines, bytes int
	closed       bool
}

func newQueue(o Options) *queue { return &queue{o: o, wake: make(chan struct{}, 1)} }

// push queues r, or says Busy when the limits are reached or the queue is
// closed. A request beyond the limits is taken when it is alone, or it could
// never be stored.
func (q *queue) push(r *request) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return fault.New(fault.Busy, "The server is shutting down")
	}
	if q.lines > 0 && (q.lines+len(r.lines) > q.o.QueueLines || q.bytes+r.bytes > q.o.QueueBytes) {
		return fault.New(fault.Busy, "Too many reports are waiting to be stored")
	}
	q.waiting = append(q.waiting, r)
	q.lines += len(r.lines)
	q.bytes += r.bytes
	q.poke()
	return nil
}

// take moves the oldest requests into room, as many as fit one batch and one at
// least if any waits. open is false once the queue is closed and empty.
func (q *queue) take(room []*request) (taken []*request, open bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lines, bytes := 0, 0
	for _, r := range q.waiting {
		lines += len(r.lines)
		bytes += r.bytes
		if len(room) > 0 && (lines > q.o.BatchLines || bytes > q.o.BatchBytes) {
			break
		}
		room = append(room, r)
	}
	left := copy(q.waiting, q.waiting[len(room):])
	clear(q.waiting[left:])
	q.waiting = q.waiting[:left]
	if left > 0 || q.closed {
		q.poke()
	}
	return room, left > 0 || !q.closed || len(room) > 0
}

// abandon takes r back from the queue; false if a writer has it already.
func (q *queue) abandon(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := slices.Index(q.waiting, r)
	if at < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, at, at+1)
	q.lines -= len(r.lines)
	q.bytes -= r.bytes
	return true
}

// finish gives back the room of a request that was taken.
func (q *queue) finish(r *request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lines -= len(r.lines)
	q.bytes -= r.bytes
}

// close refuses new requests and lets the writers end when none is left.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.poke()
}

func (q *queue) size() (lines, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lines, q.bytes
}

func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
