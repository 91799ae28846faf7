package alerts

import (
	"context"
	"iter"
	"time"

	"muster/server/database"
)

// Point is an alert on a line of time.
type Point struct {
	ID       int64
	Severity string
	Created  time.Time
}

// Timeline returns the alerts that List would return, the newest MaxLimit of them,
// as points. Faults: Busy, Internal.
func (s *Store) Timeline(ctx context.Context, f Filter) ([]Point, error) {
	where, args := s.where(f)
	var rows []struct {
		ID, CreatedAt int64
		Severity      string
	}
	err := s.db.Read(ctx).Raw("SELECT a.id, a.severity, a.created_at"+where+" ORDER BY a.id DESC LIMIT ?", append(args, MaxLimit)...).Scan(&rows).Error
	points := make([]Point, 0, len(rows))
	for _, r := range rows {
		points = append(points, Point{r.ID, r.Severity, database.FromMicros(r.CreatedAt)})
	}
	return points, database.Fault(err)
}

// eachBatch is how many alerts Each reads at once.
const eachBatch = 500

// Each returns all the alerts that List would page through, the newest first, but
// for the filter's search and page. The sequence may be gone through several times,
// and gives no alert that is newer than the call. It holds nothing of the database
// while its reader is busy. An error is its last element: a fault, Busy or Internal.
func (s *Store) Each(ctx context.Context, f Filter) (iter.Seq2[Alert, error], error) {
	var newest int64
	if err := s.db.Read(ctx).Raw("SELECT coalesce(max(id), 0) FROM alerts").Scan(&newest).Error; err != nil {
		return nil, database.Fault(err)
	}
	where, args := s.where(f)
	statement := "SELECT " + alertFields + where + " AND a.id <= ? ORDER BY a.id DESC LIMIT ?"
	return func(yield func(Alert, error) bool) {
		for below := newest; ; {
			var rows []alertRow
			if err := s.db.Read(ctx).Raw(statement, append(args[:len(args):len(args)], below, eachBatch)...).Scan(&rows).Error; err != nil {
				yield(Alert{}, database.Fault(err))
				return
			}
			for _, row := range rows {
				if !yield(row.alert(), nil) {
					return
				}
				below = row.ID - 1
			}
			if len(rows) < eachBatch {
				return
			}
		}
	}, nil
}
