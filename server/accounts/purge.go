package accounts

import (
	"context"
	"time"

	"muster/server/database"
)

const (
	// endedFor is how long a session that has ended is told from an unknown one.
	endedFor = 24 * time.Hour
	// purgeChunk is how many rows one statement deletes: on SQLite everybody who
	// writes waits for it.
	purgeChunk = 1000
)

// Purge deletes sessions and tokens that ended a day ago, tickets that were not
// used, and what the audit trail holds from before AuditFor. It may take many
// statements, each of them short; what a failure leaves, the next call deletes.
// Faults: Busy, Internal.
func (s *Store) Purge(ctx context.Context) error {
	now := s.o.Now()
	ended := now.Add(-endedFor)
	for _, what := range []struct {
		table, where string
		args         []any
	}{
		{"sessions", "expires_at <= ?", []any{database.Micros(ended)}},
		{"sessions", "kind = 'session' AND last_used_at <= ?", []any{database.Micros(ended.Add(-s.o.Idle))}},
		{"sessions", "kind = 'ticket' AND expires_at <= ?", []any{database.Micros(now)}},
		{"audit", "at <= ?", []any{database.Micros(now.Add(-s.o.AuditFor))}},
	} {
		if err := s.purge(ctx, what.table, what.where, what.args...); err != nil {
			return err
		}
	}
	return nil
}

// purge deletes what matches, a chunk at a time.
func (s *Store) purge(ctx context.Context, table, where string, args ...any) error {
	statement := "DELETE FROM " + table + " WHERE id IN (SELECT id FROM " + table + " WHERE " + where + " LIMIT ?)"
	args = append(args, purgeChunk)
	for {
		done := s.db.Write(ctx).Exec(statement, args...)
		if done.Error != nil {
			return database.Fault(done.Error)
		}
		if done.RowsAffected < purgeChunk {
			return nil
		}
	}
}
