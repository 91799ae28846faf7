package results

import (
	"context"

	"muster/server/fault"
)

// Append stores the lines and returns how many of them were new; lines that the
// host sent before are dropped. It returns after the commit: nil means that
// every line is durable, on this call or on an earlier one. All new lines of a
// call are stored, or none.
//
// Faults: Busy when the queue is full (at once, before any work of the
// database), while shutting down, when the database cannot be reached, and when
// ctx ended. Unprocessable when the database refuses the content of these lines:
// sending them again is of no use. Internal for any other failure.
//
// The lines belong to the store until Append returns. When ctx ended first, they
// may be stored or not, now or a little later, and must never be changed: the
// agent sends them again, and what was stored is dropped then.
func (s *Store) Append(ctx context.Context, lines []Line) (stored int, err error) {
	if len(lines) == 0 {
		return 0, nil
	}
	if err := ctx.Err(); err != nil {
		return 0, gaveUp(err)
	}
	lines = storable(lines)
	r := &request{lines: lines, bytes: weight(lines), done: make(chan outcome, 1)}
	if err := s.queue.push(r); err != nil {
		s.counts.refused.Add(1)
		return 0, err
	}
	select {
	case out := <-r.done:
		return out.stored, out.err
	case <-ctx.Done():
		s.queue.abandon(r)
		return 0, gaveUp(ctx.Err())
	}
}

func gaveUp(cause error) error {
	return fault.Wrap(cause, fault.Busy, "The report was not stored in time")
}
