package hosts

import (
	"context"
	"time"

	"muster/server/database"
)

// deletedKept is how long a deleted host keeps its keys and tags.
const deletedKept = 24 * time.Hour

// Purge drops node keys whose grace is over, and the keys and tags of hosts that
// were deleted over a day ago. Tags that nobody uses any more stay. Faults: Busy,
// Internal.
func (s *Store) Purge(ctx context.Context) error {
	now := s.Now()
	// A deleted host changes no more, so that its version is when it was deleted.
	gone := now.Add(-deletedKept).UnixMicro()
	for _, statement := range []struct {
		text string
		arg  int64
	}{
		{"DELETE FROM node_keys WHERE valid_until <> 0 AND valid_until < ?", now.UnixMicro()},
		{"DELETE FROM node_keys WHERE host_id IN (SELECT id FROM hosts WHERE state = 'deleted' AND updated_at < ?)", gone},
		{"DELETE FROM host_tags WHERE host_id IN (SELECT id FROM hosts WHERE state = 'deleted' AND updated_at < ?)", gone},
	} {
		if err := s.db.Write(ctx).Exec(statement.text, statement.arg).Error; err != nil {
			return database.Fault(err)
		}
	}
	s.reg.dropKeys(now.UnixMicro())
	return nil
}
