package results

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gorm.io/gorm"

	"muster/server/fault"
)

// Bounds of what is fetched at once.
const (
	minBatch   = 8        // rows of one statement
	maxBatch   = 2_000    // rows of one statement
	batchBytes = 8 << 20  // about what one statement's rows may take
	pageBytes  = 64 << 20 // what the rows of one page may take
)

// Page is a part of a list, counted from its newest row.
type Page struct {
	Start int // rows to skip
	Limit int // 0 means DefaultLimit; more than MaxLimit means MaxLimit
}

// SearchRows returns a page of the rows that match, newest first, and how many
// match in all that was looked at. It has the bounds of Search. Faults: those of
// Search; Unprocessable when the page's rows are too large together.
func (s *Store) SearchRows(ctx context.Context, q Search, p Page) (rows []Row, count int64, reach Reach, err error) {
	leave, err := s.searches.enter(ctx, s.o.SearchWait)
	if err != nil {
		return nil, 0, Reach{}, err
	}
	defer leave()
	v, err := s.view(ctx, q)
	if err != nil {
		return nil, 0, Reach{}, err
	}
	found := page{skip: int64(max(p.Start, 0)), need: limit(p.Limit), rows: []Row{}}
	reach, err = s.scan(ctx, v.scope, func(ctx context.Context, w span) error {
		matching, err := v.count(ctx, w)
		if err != nil {
			return err
		}
		n := matching.sum()
		if err := found.take(ctx, v, w, n); err != nil {
			return err
		}
		count += n
		return nil
	})
	if err != nil {
		return nil, 0, Reach{}, slowly(err)
	}
	return found.rows, count, reach, nil
}

// page is filled from spans, one after the other.
type page struct {
	skip  int64 // matching rows before the page
	need  int   // rows to come
	rows  []Row
	bytes int
}

// take takes the page's share of the n rows that match in the span. Unless it
// succeeds, the page is as it was.
func (p *page) take(ctx context.Context, v *view, w span, n int64) error {
	if p.need == 0 || n <= p.skip {
		p.skip = max(p.skip-n, 0)
		return nil
	}
	next := page{skip: p.skip, need: p.need, rows: p.rows, bytes: p.bytes}
	for at := w.high; at > w.low && next.need > 0; {
		rows, low, err := v.fetch(ctx, w.low, at, w.time)
		if err != nil {
			return err
		}
		if err := next.add(rows); err != nil {
			return err
		}
		at = low
	}
	*p = next
	return nil
}

func (p *page) add(rows []Row) error {
	skipped := min(p.skip, int64(len(rows)))
	p.skip -= skipped
	rows = rows[skipped:]
	rows = rows[:min(p.need, len(rows))]
	p.need -= len(rows)
	for i := range rows {
		p.bytes += len(rows[i].Columns) + len(rows[i].Decorations)
	}
	if p.bytes > pageBytes {
		return fault.New(fault.Unprocessable, "These rows take more than %d MiB together; ask for fewer with limit", pageBytes>>20)
	}
	p.rows = append(p.rows, rows...)
	return nil
}

// fetch returns rows that match, newest first, from those with ids from low up
// to, not including, high. It looks at one batch of them; next is the high of the
// following batch, and low when there is none.
func (v *view) fetch(ctx context.Context, low, high int64, most time.Duration) (rows []Row, next int64, err error) {
	loose := false
	rows, next, err = v.fetchBatch(ctx, low, high, most, loose)
	if fault.Is(err, fault.Internal) && !isOurs(err) && v.q.Where != nil { // see count
		rows, next, err = v.fetchBatch(ctx, low, high, most, true)
	}
	return rows, next, err
}

var errEnough = errors.New("the batch is large enough")

func (v *view) fetchBatch(ctx context.Context, low, high int64, most time.Duration, loose bool) (rows []Row, next int64, err error) {
	from, args := v.from(low, high, loose)
	_, order := v.scope.table(v.s.db.Engine())
	check := loose || !v.clause.Exact
	err = v.s.reading(ctx, most, func(tx *gorm.DB) error {
		var seen, bytes int
		rows, next = nil, high
		v.within(tx.Statement.Context)
		err := each(tx.Raw("SELECT "+rowFields+from+
			" ORDER BY "+order+" LIMIT ?", append(args, v.batch)...), func(found *sql.Rows) error {
			row, err := scanRow(found)
			if err != nil {
				return err
			}
			seen, bytes, next = seen+1, bytes+len(row.Columns)+len(row.Decorations), row.ID
			matches := !check && v.visible(row.HostID)
			if check {
				if matches, err = v.matches(&row); err != nil {
					return err
				}
			}
			if matches {
				rows = append(rows, row)
			}
			if bytes > batchBytes {
				return errEnough
			}
			return nil
		})
		if err == nil && seen < v.batch {
			next = low
		}
		v.resize(seen, bytes)
		return ignore(err, errEnough)
	})
	return rows, next, err
}

// resize makes the next batch one of about batchBytes.
func (v *view) resize(rows, bytes int) {
	if rows > 0 {
		v.batch = min(max(batchBytes*rows/max(bytes, 1), minBatch), maxBatch)
	}
}

func ignore(err, known error) error {
	if errors.Is(err, known) {
		return nil
	}
	return err
}
