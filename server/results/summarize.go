package results

import (
	"context"

	"github.com/jackc/pgx/v5"

	"muster/server/database"
)

// summarizeWait is how long PostgreSQL waits for a vacuum that is under way. It has
// to be less than its deadlock_timeout of a second: a vacuum of its own making that
// keeps somebody waiting that long is ended, and would never get through.
const summarizeWait = "200ms"

// summarizeSQL completes the range indexes over the arrival of rows.
const summarizeSQL = `SELECT count(brin_summarize_new_values(x.indexrelid)) FROM pg_inherits h
JOIN pg_index x ON x.indrelid = h.inhrelid JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_am m ON m.oid = c.relam
WHERE h.inhparent = 'results'::regclass AND m.amname = 'brin'`

// summarize makes PostgreSQL take note of which pages hold rows of what time.
// Pages that it has no note of are read by every question for a stretch of time.
// It takes its notes when it vacuums, which may be long after many rows came at
// once. That it cannot be done now, because a vacuum runs, costs time alone.
func (s *Store) summarize(ctx context.Context) {
	if s.db.Engine() != database.Postgres {
		return
	}
	err := pgx.BeginFunc(ctx, s.db.Pool(), func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '"+summarizeWait+"'"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, summarizeSQL)
		return err
	})
	if err != nil && ctx.Err() == nil {
		s.log.Debug("the range index of results is not brought up to date", "error", err)
	}
}
