package jobs

import (
	"context"
	"time"

	"muster/server/database"
)

const (
	// keepDead is how long a job that failed for good can be looked at and replayed.
	keepDead = 90 * 24 * time.Hour
	// purgeSome is how many one statement deletes: on SQLite nobody else writes meanwhile.
	purgeSome = 1000
)

// Purge deletes jobs that failed for good long ago, and leaves the rest to be looked at.
// It may be cut off. Faults: those of the database.
func (q *Queue) Purge(ctx context.Context) error {
	before, purged := database.Micros(q.o.Now().Add(-keepDead)), int64(0)
	for {
		done := q.db.Write(ctx).Exec(`DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE state = 'dead' AND updated_at < ? ORDER BY id LIMIT ?)`, before, purgeSome)
		purged += done.RowsAffected
		if done.Error == nil && done.RowsAffected == purgeSome {
			continue
		}
		if purged > 0 {
			q.log.Warn("jobs that failed for good long ago are forgotten", "jobs", purged)
		}
		return database.Fault(done.Error)
	}
}
