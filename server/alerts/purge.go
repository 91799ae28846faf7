package alerts

import (
	"context"
	"time"

	"muster/server/database"
)

// purgeChunk is how many alerts one transaction deletes: each may have MaxEvents,
// and on SQLite nobody else writes meanwhile.
const purgeChunk = 20

// Purge deletes the alerts that were resolved before a moment, and those of
// deleted hosts whose newest event is older than it, with all that belongs to
// them. What is not resolved stays, however old it is. It may be cut off and
// called again. Faults: Busy, Internal.
func (s *Store) Purge(ctx context.Context, before time.Time) error {
	if before.IsZero() {
		return nil
	}
	at := database.Micros(before)
	for _, where := range []string{
		"resolved_at > 0 AND resolved_at < ?",
		"host_id IN (SELECT h.id FROM hosts h WHERE h.state = 'deleted') AND last_event_at < ?",
	} {
		for {
			n, err := s.purge(ctx, where, at)
			if err != nil {
				return err
			}
			if n < purgeChunk {
				break
			}
		}
	}
	return nil
}

// purge deletes a chunk of alerts; their events, techniques and history go with
// them, as the schema says.
func (s *Store) purge(ctx context.Context, where string, before int64) (n int, err error) {
	err = s.db.Tx(ctx, func(tx *database.DB) error {
		var ids []int64
		err := tx.Read(ctx).Raw("SELECT id FROM alerts WHERE "+where+" ORDER BY id LIMIT ?"+locking(tx), before, purgeChunk).Scan(&ids).Error
		if n = len(ids); err != nil || n == 0 {
			return err
		}
		if err := tx.Write(ctx).Exec("DELETE FROM alert_onces WHERE alert_id IN ?", ids).Error; err != nil {
			return err
		}
		return tx.Write(ctx).Exec("DELETE FROM alerts WHERE id IN ?", ids).Error
	})
	return n, err
}

// Retain purges what the setting of Days says.
func (s *Store) Retain(ctx context.Context) error {
	days, err := s.Days(ctx)
	if err != nil || days == 0 {
		return err
	}
	return s.Purge(ctx, s.Now().AddDate(0, 0, -days))
}
