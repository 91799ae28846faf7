package hosts

import (
	"context"
	"time"

	"muster/server/database"
)

// visible is the condition on a row that most changes ask for.
const visible = " AND state <> 'deleted'"

// row names the host that a change is about.
type row struct {
	id        int64
	condition string // further SQL
	missing   error  // what to say when no row is so
}

// change runs fn for a host, raises its version in the same transaction, and
// shows the outcome after the commit. Faults: r.missing, and what fn returns.
func (s *Store) change(ctx context.Context, r row, fn func(tx *database.DB) error) error {
	var records []record
	err := s.db.Tx(ctx, func(tx *database.DB) error {
		// Raising the version first also locks the row, so that fn sees a host
		// that nobody deletes meanwhile.
		raised, err := raise(ctx, tx, r, s.Now())
		if err != nil {
			return err
		}
		if !raised {
			return r.missing
		}
		if err := fn(tx); err != nil {
			return err
		}
		records, err = readHosts(ctx, tx, []int64{r.id})
		return err
	})
	if err != nil {
		return database.Fault(err)
	}
	s.show(records)
	return nil
}

// raise gives a row a version that nobody has seen: the time, or one more than
// the last where the clock of another replica is ahead.
func raise(ctx context.Context, tx *database.DB, r row, now time.Time) (bool, error) {
	at := now.UnixMicro()
	done := tx.Write(ctx).Exec(`UPDATE hosts SET updated_at = CASE WHEN updated_at >= ? THEN updated_at + 1 ELSE ? END
		WHERE id = ?`+r.condition, at, at, r.id)
	return done.RowsAffected > 0, database.Fault(done.Error)
}

// show installs committed records here and hints to everyone else.
func (s *Store) show(records []record) {
	if s.db.InTx() {
		return // the outer transaction may still be undone
	}
	s.reg.install(records)
	s.bus.Publish(topicHosts)
}
