package osquery

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"muster/server/fault"
)

// pool lends databases of the same tables, made when first needed and kept.
type pool struct {
	tables func() []Table
	slots  chan struct{} // one per database that may exist

	mu     sync.Mutex
	idle   []*pair
	closed bool
}

func newPool(tables func() []Table) *pool {
	return &pool{tables: tables, slots: make(chan struct{}, min(4, runtime.GOMAXPROCS(0)))}
}

// take waits for a database. Faults: Busy when ctx ends first, Internal.
func (p *pool) take(ctx context.Context) (*pair, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fault.Wrap(ctx.Err(), fault.Busy, "Too many queries are being checked, try again later")
	}
	lent, err := p.reuse()
	if err == nil && lent == nil {
		lent, err = connectPair(p.tables())
	}
	if err != nil {
		<-p.slots
		return nil, fault.Wrap(err, fault.Internal, "Queries cannot be checked")
	}
	return lent, nil
}

var errPoolClosed = errors.New("the database is closed")

func (p *pool) reuse() (*pair, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errPoolClosed
	}
	last := len(p.idle) - 1
	if last < 0 {
		return nil, nil
	}
	lent := p.idle[last]
	p.idle = p.idle[:last]
	return lent, nil
}

// put gives a database back, cleared of what a query left.
func (p *pool) put(lent *pair) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = lent.close()
	} else {
		p.idle = append(p.idle, lent)
	}
	<-p.slots
}

// close closes what is idle now and the rest when it comes back.
func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	var errs []error
	for _, lent := range p.idle {
		errs = append(errs, lent.close())
	}
	p.idle = nil
	return errors.Join(errs...)
}
