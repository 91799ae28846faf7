package jobs

import (
	"context"
	"time"

	"muster/server/database"
)

// releaseTimeout bounds the one statement that is sent when the process is already ending.
const releaseTimeout = 5 * time.Second

// acquire takes or prolongs the lease until expires and reports whether it is
// ours: it was free, had run out, or was ours before. One statement, so that
// two replicas cannot both succeed.
func (r *Runner) acquire(ctx context.Context, name string, expires time.Time) (bool, error) {
	done := r.db.Write(ctx).Exec(`INSERT INTO leases (name, holder, expires_at) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
		WHERE leases.holder = excluded.holder OR leases.expires_at <= ?`,
		name, r.holder, database.Micros(expires), database.Micros(r.now()))
	return done.RowsAffected == 1, database.Fault(done.Error)
}

// release gives the lease up if it is ours. ctx has usually ended by now.
func (r *Runner) release(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	err := r.db.Write(ctx).Exec("DELETE FROM leases WHERE name = ? AND holder = ?", name, r.holder).Error
	if err != nil {
		r.log.Warn("a lease is not released and has to run out", "work", name, "error", database.Fault(err))
	}
}
