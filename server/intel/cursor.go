package intel

import (
	"context"
	"time"

	"muster/server/database"
)

const cursorSetting = "intel_cursor"

// Cursor is how far the log was looked through for values to ask about.
type Cursor struct {
	ID int64
	At time.Time
}

// Cursor returns how far that is; the zero value before it began. Faults: those of the
// database.
func (s *Store) Cursor(ctx context.Context) (Cursor, error) {
	var at Cursor
	_, err := s.db.Setting(ctx, cursorSetting, &at)
	return at, err
}

// SetCursor notes how far it is, in the transaction of what was found until there.
func (s *Store) SetCursor(ctx context.Context, tx *database.DB, at Cursor) error {
	return tx.SetSetting(ctx, cursorSetting, at)
}
