package results

import (
	"context"
	"errors"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// engine stores one batch in one transaction: it claims the batch's keys,
// marks the lines that are new as fresh, inserts their rows, and tells what was
// found in them.
type engine interface {
	store(ctx context.Context, b *batch) error
}

// writer turns what waits in the queue into transactions, one after another.
// Its buffers are used again from batch to batch.
type writer struct {
	s      *Store
	engine engine
	taken  []*request
	batch  batch
}

func (s *Store) newWriter() *writer {
	w := &writer{s: s}
	if s.db.Engine() == database.Postgres {
		w.engine = &postgres{s: s}
	} else {
		w.engine = &sqlite{s: s}
	}
	return w
}

// run writes until the queue is closed and empty. There is no artificial delay:
// a batch is what gathered while the last one was being committed.
func (w *writer) run() {
	for open := true; open; {
		w.taken, open = w.s.queue.take(w.taken[:0])
		if len(w.taken) > 0 {
			w.write(w.taken)
			clear(w.taken)
		} else if open {
			<-w.s.queue.wake
		}
	}
}

// write stores the requests together. When that fails for a reason that may lie
// in the lines of one of them, each is tried alone and gets its own answer.
func (w *writer) write(requests []*request) {
	err := w.commit(requests)
	if err == nil {
		return
	}
	alone := len(requests) > 1 && !fault.Is(err, fault.Busy)
	if alone {
		w.s.log.Warn("a batch of reports failed, each is tried alone", "requests", len(requests), "error", err)
	}
	for i, r := range requests {
		if alone {
			err = w.commit(requests[i : i+1])
			alone = !fault.Is(err, fault.Busy) // the database went away: the rest would fail too
		}
		if err != nil {
			w.fail(r, err)
		}
	}
}

// commit stores the requests in one transaction and answers them if it succeeds. What
// was found in rows is told within it, if that can be done at all.
func (w *writer) commit(requests []*request) error {
	var err error
	for h := hearingNow; h <= deaf; h++ {
		if err = w.commitHearing(requests, h); !errors.Is(err, errUnheard) {
			return err
		}
		w.s.log.Error("a batch of reports is stored again with less told of what was found in it", "error", err)
	}
	return err
}

func (w *writer) commitHearing(requests []*request, h hearing) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), w.s.o.CommitTimeout)
	defer cancel()
	b := &w.batch
	b.fill(requests, w.s.flights.begin(w, w.s.o.Now))
	b.hearing = h
	defer b.reset()
	err := w.engine.store(ctx, b)
	w.s.flights.end(w) // before anybody is told: who asks for the index then finds the rows old enough
	if errors.Is(err, errUnheard) {
		return err
	}
	if err != nil {
		return database.Fault(err)
	}
	if h == deaf {
		w.s.counts.unheard.Add(uint64(len(b.found)))
	}
	w.s.counts.lastCommit.Store(int64(time.Since(began)))
	w.s.counts.batches.Add(1)
	lines, rows := b.tally()
	w.s.counts.lines.Add(uint64(lines))
	w.s.counts.rows.Add(uint64(rows))
	w.s.counts.duplicates.Add(uint64(len(b.lines) - lines))
	if rows > 0 {
		select {
		case w.s.stored <- struct{}{}:
		default:
		}
	}
	for i, r := range requests {
		w.s.queue.finish(r)
		r.done <- outcome{stored: b.perRequest[i]}
	}
	if len(b.found) > 0 && w.s.o.FoundCommitted != nil {
		w.s.o.FoundCommitted()
	}
	return nil
}

func (w *writer) fail(r *request, err error) {
	w.s.counts.failures.Add(1)
	w.s.queue.finish(r)
	r.done <- outcome{err: err}
}
