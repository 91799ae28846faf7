package distributed

import (
	"context"

	"muster/server/database"
)

// refresh makes the memory agree with the database about which queries are open.
func (s *Store) refresh(ctx context.Context) error {
	// A query that was in before the read and is not read is over; one that a
	// Launch adds meanwhile may be too young for the read to see.
	before := s.open.ids()
	var rows []openQuery
	err := s.db.Read(ctx).Raw("SELECT id, sql, expires_at FROM live_queries WHERE finished_at = 0 ORDER BY id").Scan(&rows).Error
	if err != nil {
		return database.Fault(err)
	}
	stored := make(map[int64]bool, len(rows))
	for _, query := range rows {
		stored[query.ID] = true
	}
	for _, id := range before {
		if !stored[id] {
			s.open.drop(id)
		}
	}
	for _, query := range rows {
		if s.open.has(query.ID) {
			continue
		}
		var tasks []openTask
		err := s.db.Read(ctx).Raw("SELECT host_id, sent_at FROM live_tasks WHERE query_id = ? AND state IN ('pending', 'sent')", query.ID).
			Scan(&tasks).Error
		if err != nil {
			return database.Fault(err)
		}
		s.open.add(query, tasks)
	}
	return nil
}
