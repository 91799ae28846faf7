package results

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"muster/server/database"
)

// errSlow says that a statement took longer than it may.
var errSlow = errors.New("the statement took too long")

// queryCanceled is PostgreSQL's code for a statement that ran into its limit.
const queryCanceled = "57014"

// planSQL makes PostgreSQL walk an index within the ids that a statement names,
// whatever it thinks of the table: what it knows of today's partition is old, and
// a scan of the range index or of the table would read the whole day. A search is
// patient, so it gets neither a compiler nor more than one process.
const planSQL = `SET LOCAL statement_timeout = %d; SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off; SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0`

// grace is what the connection gets beyond PostgreSQL's own limit, so that the
// server ends a statement before we break the connection.
const grace = 2 * time.Second

// reading runs statements that change nothing, each for at most the given time.
// It returns errSlow when that was not enough, and faults otherwise.
func (s *Store) reading(ctx context.Context, most time.Duration, fn func(tx *gorm.DB) error) error {
	bounded, cancel := context.WithTimeout(ctx, s.patience(most))
	defer cancel()
	var err error
	if s.db.Engine() == database.SQLite {
		err = fn(s.db.Read(bounded))
	} else {
		err = s.db.Read(bounded).Transaction(func(tx *gorm.DB) error {
			if err := tx.Exec(fmt.Sprintf(planSQL, max(most.Milliseconds(), 1))).Error; err != nil {
				return err
			}
			return fn(tx)
		}, &sql.TxOptions{ReadOnly: true})
	}
	if err != nil && ctx.Err() == nil && (bounded.Err() != nil || stateOf(err) == queryCanceled) {
		return errSlow
	}
	return database.Fault(err)
}

func (s *Store) patience(most time.Duration) time.Duration {
	if s.db.Engine() == database.SQLite {
		return most
	}
	return most + grace
}
