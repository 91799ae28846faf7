package results

import (
	"context"
	"math"
	"slices"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// EachHunted is EachHuntRow for whoever has time: it calls fn with each row, newest
// first, and says how far the hunt got. It ends at the first failure of fn.
func (s *Store) EachHunted(ctx context.Context, h Hunt, fn func(Row) error) (Reach, error) {
	refs, reach, err := s.huntRefs(ctx, h)
	if err != nil {
		return Reach{}, err
	}
	for row, err := range s.eachRef(ctx, refs) {
		if err == nil {
			err = fn(row)
		}
		if err != nil {
			return Reach{}, err
		}
	}
	return reach, nil
}

// EachMatch looks at every row that is stored, whatever its host and query but not
// those of action removed, from the newest back, for as long as the budget allows; the
// reach says how far it got. Where match says true of a row's columns, which are good
// until it returns, it calls found with the row. Rows come about in the order of their
// arrival, newest first. It ends at the first failure of found. It is for work in the
// background that looks for more than an index can answer.
//
// Faults: those of the database, and what found returns.
func (s *Store) EachMatch(ctx context.Context, budget time.Duration, match func(columns []byte) bool, found func(Row) error) (Reach, error) {
	from, err := s.beginning(ctx)
	if err != nil || from == 0 {
		return Reach{Complete: err == nil}, database.Fault(err)
	}
	began, now := time.Now(), s.o.Now()
	reach := Reach{To: now.UTC()}
	soon := database.Micros(now.Add(ahead))
	pace := stride{int64((ahead + time.Minute) / time.Microsecond), strideRows}
	for high := int64(math.MaxInt64); high > from; {
		if ctx.Err() != nil {
			return Reach{}, fault.Wrap(ctx.Err(), fault.Busy, "The look back was given up")
		}
		if time.Since(began) >= budget {
			return reach, nil
		}
		top := min(high, soon)
		at := stretch{max(top-pace.micros, from), high}
		refs, rows, err := s.matching(ctx, at, pace.limit(top-at.from), match)
		if err != nil {
			return Reach{}, database.Fault(err)
		}
		if !pace.saw(top-at.from, rows) {
			continue
		}
		for row, err := range s.eachRef(ctx, refs) {
			if err == nil {
				err = found(row)
			}
			if err != nil {
				return Reach{}, database.Fault(err)
			}
		}
		high = at.from
		reach.Rows, reach.From = reach.Rows+int64(rows), database.FromMicros(at.from)
	}
	reach.Complete = true
	return reach, nil
}

// matching finds the rows of a stretch that match, newest first.
func (s *Store) matching(ctx context.Context, at stretch, limit int, match func(columns []byte) bool) (refs []ref, rows int, err error) {
	rows, err = s.eachStored(ctx, at, limit, func(r stored) {
		if string(r.action) != "removed" && match(r.columns) {
			refs = append(refs, ref{r.id, &at})
		}
	})
	slices.SortFunc(refs, func(a, b ref) int { return int(b.row - a.row) })
	return refs, rows, err
}
