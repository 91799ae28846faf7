package distributed

import (
	"context"
	"time"

	"muster/server/database"
)

// Expire ends the queries whose time is over: tasks without an outcome become
// expired. Faults: Busy, Internal.
func (s *Store) Expire(ctx context.Context) error {
	var ids []int64
	err := s.db.Read(ctx).Raw("SELECT id FROM live_queries WHERE finished_at = 0 AND expires_at <= ? ORDER BY id", s.micros()).Scan(&ids).Error
	if err != nil {
		return database.Fault(err)
	}
	for _, id := range ids {
		if err := s.end(ctx, id, Expired); err != nil {
			return err
		}
	}
	return nil
}

// Cancel ends a query now: tasks without an outcome become cancelled. What a host
// is running already it runs to the end, for nothing. A finished query stays as
// it is. Faults: NotFound, Busy, Internal.
func (s *Store) Cancel(ctx context.Context, id int64) error { return s.end(ctx, id, Cancelled) }

// end gives every open task of a query the same outcome.
func (s *Store) end(ctx context.Context, id int64, outcome State) error {
	ended := false
	err := s.db.Tx(ctx, func(tx *database.DB) error {
		row, found, err := lock(ctx, tx, id)
		switch {
		case err != nil:
			return err
		case !found:
			return errNoQuery()
		case row.FinishedAt != 0:
			return nil
		}
		now := s.micros()
		done := tx.Write(ctx).Exec("UPDATE live_tasks SET state = ?, finished_at = ? WHERE query_id = ? AND state IN ('pending', 'sent')",
			string(outcome), now, id)
		if done.Error != nil {
			return done.Error
		}
		if outcome == Cancelled {
			row.CancelledAt = now
		}
		row.count(outcome, int(done.RowsAffected))
		row.FinishedAt = now
		ended = true
		return row.save(ctx, tx)
	})
	if err != nil {
		return err
	}
	s.open.drop(id)
	if ended {
		s.bus.Publish(topicLive(id))
		s.bus.Publish(topicOpen)
	}
	return nil
}

// purgeChunk is how many tasks one transaction deletes: they may hold large rows.
const purgeChunk = 500

// Purge deletes the queries that finished before a time, with their answers.
// Faults: Busy, Internal; what was deleted by then stays deleted.
func (s *Store) Purge(ctx context.Context, before time.Time) error {
	for {
		var ids []int64
		err := s.db.Read(ctx).Raw("SELECT id FROM live_queries WHERE finished_at > 0 AND finished_at < ? ORDER BY id LIMIT 100",
			database.Micros(before)).Scan(&ids).Error
		if err != nil || len(ids) == 0 {
			return database.Fault(err)
		}
		for _, id := range ids {
			for more := true; more; {
				if more, err = s.purgeSome(ctx, id); err != nil {
					return err
				}
			}
		}
	}
}

// purgeSome deletes a chunk of a query's tasks, and the query with the last one.
func (s *Store) purgeSome(ctx context.Context, id int64) (more bool, err error) {
	err = s.db.Tx(ctx, func(tx *database.DB) error {
		if _, _, err := lock(ctx, tx, id); err != nil {
			return err
		}
		done := tx.Write(ctx).Exec("DELETE FROM live_tasks WHERE query_id = ? AND host_id IN"+
			" (SELECT host_id FROM live_tasks WHERE query_id = ? LIMIT ?)", id, id, purgeChunk)
		if more = done.RowsAffected == purgeChunk; more || done.Error != nil {
			return done.Error
		}
		return tx.Write(ctx).Exec("DELETE FROM live_queries WHERE id = ?", id).Error
	})
	return more, err
}
