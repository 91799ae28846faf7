package results

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"muster/server/database"
)

// Bounds of one statement of a scan.
const (
	minSpan       = 100     // rows; a span that is too slow still is given up
	maxSpan       = 500_000 // rows
	quick         = 200 * time.Millisecond
	slow          = 500 * time.Millisecond
	statementTime = 5 * time.Second
	leastTime     = time.Second // what a statement gets though the budget is nearly spent
)

// errFull says that what a span holds does not fit into the memory of a search.
var errFull = errors.New("too much was found")

// span is a stretch of a scope: ids from low up to, not including, high.
type span struct {
	low, high int64
	rows      int64
	oldest    int64         // arrival of its first row
	last      bool          // there is nothing in the scope below it
	time      time.Duration // for each statement about it
}

// scan goes through the scope from the newest row to the oldest, a span at a
// time, and calls visit for each that holds rows, until the end, an error, or the
// budget of a search. The first span is always looked at. Spans grow and shrink
// so that each takes a fraction of a second. What visit returns errSlow or
// errFull for is visited again in smaller spans; so visit must change nothing
// before it knows that it succeeds. After another error, reach is what was looked at
// before it.
func (s *Store) scan(ctx context.Context, sc scope, visit func(context.Context, span) error) (Reach, error) {
	began, rows, reach := time.Now(), s.o.SearchRows, Reach{}
	for at := sc.high; ; {
		started := time.Now()
		left := s.o.SearchBudget - started.Sub(began)
		w, err := s.mark(ctx, sc, at, rows, min(max(left, leastTime), statementTime))
		if err == nil && w.rows > 0 {
			err = visit(ctx, w)
		}
		switch {
		case errors.Is(err, errSlow) || errors.Is(err, errFull):
			if rows = rows / 8; rows < minSpan {
				return reach, nil
			}
		case err != nil:
			return reach, err
		default:
			reach.add(sc, w)
			if w.last {
				reach.complete(sc)
				return reach, nil
			}
			at, rows = w.low, adapt(rows, time.Since(started))
		}
		if time.Since(began) >= s.o.SearchBudget {
			return reach, nil
		}
	}
}

func adapt(rows int, took time.Duration) int {
	switch {
	case took < quick:
		return min(rows*2, maxSpan)
	case took > slow:
		return max(rows/2, minSpan)
	}
	return rows
}

// mark finds the span of so many rows below an id, and what it holds.
func (s *Store) mark(ctx context.Context, sc scope, high int64, rows int, most time.Duration) (span, error) {
	table, order := sc.table(s.db.Engine())
	where, args := sc.between(s.db.Engine(), sc.low, high)
	var found struct{ Low, Count, Oldest int64 }
	err := s.reading(ctx, most, func(tx *gorm.DB) error {
		return tx.Raw("SELECT coalesce(min(id), 0) AS low, count(*) AS count, coalesce(min(received_at), 0) AS oldest"+
			" FROM (SELECT id, received_at FROM "+table+" WHERE "+where+" ORDER BY "+order+" LIMIT ?) AS stretch",
			append(args, rows)...).Scan(&found).Error
	})
	return span{
		low: found.Low, high: high, rows: found.Count, oldest: found.Oldest, last: found.Count < int64(rows), time: most,
	}, err
}

// add notes that a span was looked at.
func (r *Reach) add(sc scope, w span) {
	if w.rows == 0 {
		return
	}
	oldest := database.FromMicros(w.oldest)
	if r.Rows == 0 || oldest.Before(r.From) {
		r.From = oldest
	}
	r.To = database.FromMicros(sc.until())
	r.Rows += w.rows
}

// complete notes that everything was looked at.
func (r *Reach) complete(sc scope) {
	r.Complete = true
	if r.Rows > 0 && sc.from != 0 {
		r.From = database.FromMicros(sc.from)
	}
}
