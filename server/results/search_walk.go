package results

import (
	"context"
	"errors"
)

// walkBytes bounds what the rows of one span may take while they are read.
const walkBytes = 32 << 20

// Walk calls each with the rows that match, newest first, until it returns false,
// and for as long as Options.SearchBudget allows. Reach says how far it got: rows
// that were looked at but not handed on any more are not part of it. A row is each's
// own. Faults: those of Search.
func (s *Store) Walk(ctx context.Context, q Search, each func(Row) bool) (Reach, error) {
	leave, err := s.searches.enter(ctx, s.o.SearchWait)
	if err != nil {
		return Reach{}, err
	}
	defer leave()
	v, err := s.view(ctx, q)
	if err != nil {
		return Reach{}, err
	}
	reach, err := s.scan(ctx, v.scope, func(ctx context.Context, w span) error {
		rows, err := v.all(ctx, w)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if !each(row) {
				return errStopped
			}
		}
		return nil
	})
	if errors.Is(err, errStopped) {
		return reach, nil
	}
	return reach, slowly(err)
}

// all returns the rows of a span that match, newest first.
func (v *view) all(ctx context.Context, w span) (all []Row, err error) {
	bytes := 0
	for at := w.high; at > w.low; {
		rows, next, err := v.fetch(ctx, w.low, at, w.time)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			bytes += len(rows[i].Columns) + len(rows[i].Decorations)
		}
		if bytes > walkBytes {
			return nil, errFull
		}
		all, at = append(all, rows...), next
	}
	return all, nil
}
