package alerts

import (
	"context"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// Store keeps alerts. It is safe for concurrent use.
type Store struct {
	db *database.DB
	// Now is the clock; tests set it before the first use.
	Now   func() time.Time
	fence *database.Fence
}

// New returns a store.
func New(db *database.DB) *Store {
	return &Store{db: db, Now: time.Now, fence: database.NewFence(db, "alerts")}
}

// With returns the store inside a transaction.
func (s *Store) With(tx *database.DB) *Store { return &Store{db: tx, Now: s.Now, fence: s.fence} }

// ErrNoAlert says that there is no such alert, in the words of the ESP reference, section 1.13.
var ErrNoAlert error = fault.New(fault.NotFound, "No Alerts present for the alert id given")

// Find returns an alert, also one of a host that was removed or deleted. Faults:
// NotFound, Busy, Internal.
func (s *Store) Find(ctx context.Context, id int64) (Alert, error) {
	var rows []alertRow
	if err := s.db.Read(ctx).Raw("SELECT "+alertFields+" FROM alerts a WHERE a.id = ?", id).Scan(&rows).Error; err != nil {
		return Alert{}, database.Fault(err)
	}
	if len(rows) == 0 {
		return Alert{}, ErrNoAlert
	}
	return rows[0].alert(), nil
}
