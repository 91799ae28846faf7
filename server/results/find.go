package results

import "context"

// Find returns the rows of these ids that are still there, in the order of ids.
// Faults: those of the database.
func (s *Store) Find(ctx context.Context, ids []int64) ([]Row, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return readRows(s.db.Read(ctx).Raw("SELECT "+rowFields+" FROM results WHERE id IN ? ORDER BY id", ids))
}
