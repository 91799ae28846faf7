package intel

import (
	"context"
	"math"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

const (
	// maxDelete is how many indicators one call deletes by their ids.
	maxDelete = 10_000
	// keepDeleted is how long a deleted indicator stays, for replicas to notice.
	keepDeleted = 24 * time.Hour
	// keepExpired is how long an expired one can be looked at.
	keepExpired = 30 * 24 * time.Hour
)

// DeleteFeed deletes all indicators of a feed, some at a time, and returns how many
// there were. Faults: NotFound when there were none.
func (s *Store) DeleteFeed(ctx context.Context, feed string) (deleted int, err error) {
	for after := int64(-1); after != 0 && err == nil; {
		err = s.change(ctx, feed, func(w *write) error {
			w.batch = math.MaxInt64 // whatever import held them
			next, some, err := w.stale(ctx, after, batch)
			after, deleted = next, deleted+some
			return err
		})
	}
	if deleted > 0 {
		s.changed(ctx)
	}
	if err == nil && deleted == 0 {
		err = fault.New(fault.NotFound, "There is no such feed")
	}
	return deleted, err
}

// Delete deletes indicators by their ids and returns those that there were. Faults:
// Invalid for too many at once.
func (s *Store) Delete(ctx context.Context, ids []int64) ([]Indicator, error) {
	if len(ids) > maxDelete {
		return nil, fault.New(fault.Invalid, "At most %d indicators can be deleted at once", maxDelete)
	}
	var rows []row
	err := s.change(ctx, "", func(w *write) error {
		return w.tx.Write(ctx).Raw(`UPDATE indicators SET deleted = 1, changed = ?, updated_at = ? WHERE id IN ? AND deleted = 0
			RETURNING `+rowFields, w.change, w.now, append([]int64{-1}, ids...)).Scan(&rows).Error
	})
	if err != nil {
		return nil, err
	}
	s.changed(ctx)
	return indicators(rows), nil
}

// Purge deletes for good what was deleted or has expired long ago. It works in small
// steps and may be cut off. Faults: those of the database.
func (s *Store) Purge(ctx context.Context) error {
	now := s.o.Now()
	for {
		var done int64
		err := s.change(ctx, "", func(w *write) error {
			expired := w.tx.Write(ctx).Exec(`UPDATE indicators SET deleted = 1, changed = ?, updated_at = ? WHERE id IN
				(SELECT id FROM indicators WHERE expires_at > 0 AND expires_at < ? AND deleted = 0 LIMIT ?)`,
				w.change, w.now, database.Micros(now.Add(-keepExpired)), batch)
			done = expired.RowsAffected
			return expired.Error
		})
		if err != nil {
			return err
		}
		if done == 0 {
			break
		}
		s.bus.Publish(Topic)
	}
	for {
		done, err := s.forget(ctx, database.Micros(now.Add(-keepDeleted)))
		if err != nil || done == 0 {
			return err
		}
	}
}

// forget deletes some rows for good that were marked as deleted before a moment.
func (s *Store) forget(ctx context.Context, before int64) (done int64, err error) {
	err = s.db.Tx(ctx, func(tx *database.DB) error {
		if err := tx.Lock(ctx, counterSetting); err != nil {
			return err
		}
		var last counter
		if _, err := tx.Setting(ctx, counterSetting, &last); err != nil {
			return err
		}
		var changes []int64
		err := tx.Write(ctx).Raw(`DELETE FROM indicators WHERE id IN (SELECT id FROM indicators WHERE deleted = 1 AND updated_at < ? LIMIT ?)
			RETURNING changed`, before, batch).Scan(&changes).Error
		if err != nil || len(changes) == 0 {
			return err
		}
		done = int64(len(changes))
		for _, c := range changes {
			last.Purged = max(last.Purged, c)
		}
		return tx.SetSetting(ctx, counterSetting, last)
	})
	return done, err
}
