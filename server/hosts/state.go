package hosts

import (
	"context"

	"muster/server/database"
	"muster/server/fault"
)

// errNotPresent is the failure of the verbs below, in the words of the ESP
// reference, section 1.2.
var errNotPresent error = fault.New(fault.NotFound, "Node is not present with this node id or host identifier")

// Remove refuses a host from now on; it stays visible and may be enabled again.
// Removing it twice changes nothing. Faults: NotFound.
func (s *Store) Remove(ctx context.Context, id int64) error {
	return s.change(ctx, row{id, visible, errNotPresent}, func(tx *database.DB) error {
		return database.Fault(tx.Write(ctx).Exec("UPDATE hosts SET state = 'removed' WHERE id = ?", id).Error)
	})
}

// Enable takes a removed host back. Faults: NotFound, also when it is not removed.
func (s *Store) Enable(ctx context.Context, id int64) error {
	return s.change(ctx, row{id, visible, errNotPresent}, func(tx *database.DB) error {
		done := tx.Write(ctx).Exec("UPDATE hosts SET state = 'active' WHERE id = ? AND state = 'removed'", id)
		if done.Error == nil && done.RowsAffected == 0 {
			return errNotPresent
		}
		return database.Fault(done.Error)
	})
}

// Delete hides a host and refuses it from now on; with mayEnroll it may enrol
// anew, as a host without history of tags, details or clones. A host that was
// deleted without that may be given it later by deleting it again. Faults:
// NotFound.
func (s *Store) Delete(ctx context.Context, id int64, mayEnroll bool) error {
	may, condition := 0, visible
	if mayEnroll {
		may, condition = 1, " AND (state <> 'deleted' OR may_enroll = 0)"
	}
	return s.change(ctx, row{id, condition, errNotPresent}, func(tx *database.DB) error {
		return database.Fault(tx.Write(ctx).Exec("UPDATE hosts SET state = 'deleted', may_enroll = ? WHERE id = ?", may, id).Error)
	})
}
