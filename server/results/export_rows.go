package results

import (
	"context"
	"errors"
	"iter"
	"time"

	"muster/server/fault"
)

// exportTime is how long one statement of an export may take: an export has all
// the time that its reader has.
const exportTime = 25 * time.Second

// EachRow returns the rows that match and are stored now, newest first, however
// many there are. The sequence may be gone through several times, and gives the
// same rows, but for those that were deleted meanwhile. It holds a batch of rows
// at a time, and nothing of the database while its reader is busy. An error is
// its last element: a fault, Busy when the database cannot be reached or answers
// nothing in time, or ctx ended.
func (s *Store) EachRow(ctx context.Context, q Search) (iter.Seq2[Row, error], error) {
	v, err := s.view(ctx, q)
	if err != nil {
		return nil, err
	}
	return func(yield func(Row, error) bool) {
		own := view{s: v.s, q: v.q, scope: v.scope, clause: v.clause, batch: maxBatch}
		own.row.Own = map[string]string{}
		if err := own.eachRow(ctx, yield); err != nil && !errors.Is(err, errStopped) {
			yield(Row{}, slowly(err))
		}
	}, nil
}

// errStopped says that the reader has had enough.
var errStopped = errors.New("the reader stopped")

func (v *view) eachRow(ctx context.Context, yield func(Row, error) bool) error {
	for at, rows := v.scope.high, maxBatch; ; {
		w, err := v.stretch(ctx, at, &rows)
		if err != nil {
			return err
		}
		for at = w.high; w.rows > 0 && at > w.low; {
			batch, next, err := v.turn(ctx, w.low, at)
			if err != nil {
				return err
			}
			for _, row := range batch {
				if !yield(row, nil) {
					return errStopped
				}
			}
			at = next
		}
		if w.last {
			return nil
		}
	}
}

// stretch is the next span, of fewer rows where the database is slow.
func (v *view) stretch(ctx context.Context, high int64, rows *int) (span, error) {
	leave, err := v.s.exports.enter(ctx, 0)
	if err != nil {
		return span{}, err
	}
	defer leave()
	w, err := v.s.mark(ctx, v.scope, high, *rows, exportTime)
	if errors.Is(err, errSlow) && *rows > minSpan {
		*rows = minSpan
		w, err = v.s.mark(ctx, v.scope, high, *rows, exportTime)
	}
	return w, err
}

// turn fetches a batch when it is this export's turn.
func (v *view) turn(ctx context.Context, low, high int64) ([]Row, int64, error) {
	leave, err := v.s.exports.enter(ctx, 0)
	if err != nil {
		return nil, 0, err
	}
	defer leave()
	if ctx.Err() != nil {
		return nil, 0, fault.Wrap(ctx.Err(), fault.Busy, "The export was given up")
	}
	return v.fetch(ctx, low, high, exportTime)
}
