package hosts

import (
	"context"
	"database/sql"
	"strings"

	"muster/server/database"
)

const (
	flushChunk = 1000
	// flushLock keeps two replicas from locking the same rows in opposite order.
	flushLock = 1
)

// Flush writes the contacts noted since the last one, and the use counters of
// enrol secrets. What could not be written waits for the next call. It never
// moves a stored time backwards and does not count as a change of the host.
func (s *Store) Flush(ctx context.Context) error {
	waiting := s.contacts.take()
	for len(waiting) > 0 {
		chunk := waiting[:min(flushChunk, len(waiting))]
		for _, e := range chunk {
			// Before its times are read: a contact from here on is noted anew.
			e.contacts.dirty.Store(false)
		}
		if err := s.flushChunk(ctx, chunk); err != nil {
			for _, e := range chunk {
				s.contacts.note(e)
			}
			s.contacts.putBack(waiting[len(chunk):])
			return err
		}
		waiting = waiting[len(chunk):]
	}
	return s.flushUses(ctx)
}

func (s *Store) flushChunk(ctx context.Context, chunk []*entry) error {
	return s.db.Tx(ctx, func(tx *database.DB) error {
		if tx.Engine() == database.Postgres {
			return flushPostgres(ctx, tx, chunk)
		}
		return flushSQLite(ctx, tx, chunk)
	})
}

func flushPostgres(ctx context.Context, tx *database.DB, chunk []*entry) error {
	ids, ips := make([]int64, len(chunk)), make([]string, len(chunk))
	var times [timeCount][]int64
	for i, e := range chunk {
		ids[i], ips[i] = e.id, e.contacts.address()
		for t, at := range e.contacts.times() {
			times[t] = append(times[t], at)
		}
	}
	if err := lockPostgres(ctx, tx, flushLock); err != nil {
		return err
	}
	// Pointers, since gorm spreads a slice over many placeholders.
	return database.Fault(tx.Write(ctx).Exec(`UPDATE hosts AS h SET
			last_ip = CASE WHEN v.ip <> '' AND v.checkin >= h.last_checkin THEN v.ip ELSE h.last_ip END,
			last_checkin = greatest(h.last_checkin, v.checkin),
			last_status = greatest(h.last_status, v.status),
			last_result = greatest(h.last_result, v.result),
			last_config = greatest(h.last_config, v.config),
			last_query_read = greatest(h.last_query_read, v.query_read),
			last_query_write = greatest(h.last_query_write, v.query_write)
		FROM unnest(?::bigint[], ?::text[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[])
			AS v (id, ip, checkin, status, result, config, query_read, query_write)
		WHERE h.id = v.id`, &ids, &ips, &times[timeCheckin], &times[timeStatus], &times[timeResult],
		&times[timeConfig], &times[timeQueryRead], &times[timeQueryWrite]).Error)
}

func flushSQLite(ctx context.Context, tx *database.DB, chunk []*entry) error {
	statement, err := tx.Write(ctx).Statement.ConnPool.PrepareContext(ctx, `UPDATE hosts SET
			last_ip = CASE WHEN ?2 <> '' AND ?3 >= last_checkin THEN ?2 ELSE last_ip END,
			last_checkin = max(last_checkin, ?3),
			last_status = max(last_status, ?4),
			last_result = max(last_result, ?5),
			last_config = max(last_config, ?6),
			last_query_read = max(last_query_read, ?7),
			last_query_write = max(last_query_write, ?8)
		WHERE id = ?1`)
	if err != nil {
		return database.Fault(err)
	}
	defer func(s *sql.Stmt) { _ = s.Close() }(statement)
	for _, e := range chunk {
		t := e.contacts.times()
		if _, err := statement.ExecContext(ctx, e.id, e.contacts.address(), t[timeCheckin], t[timeStatus],
			t[timeResult], t[timeConfig], t[timeQueryRead], t[timeQueryWrite]); err != nil {
			return database.Fault(err)
		}
	}
	return nil
}

// lockNamespace sets the advisory locks of this package apart from others'.
const lockNamespace = 0x6d686f73

// lockPostgres holds the locks with these numbers until the transaction ends,
// taking them in the order given. SQLite needs none: it has one writer.
func lockPostgres(ctx context.Context, tx *database.DB, numbers ...int32) error {
	calls := strings.TrimSuffix(strings.Repeat("pg_advisory_xact_lock(?::int, ?::int), ", len(numbers)), ", ")
	args := make([]any, 0, 2*len(numbers))
	for _, number := range numbers {
		args = append(args, lockNamespace, number)
	}
	return database.Fault(tx.Write(ctx).Exec("SELECT "+calls, args...).Error)
}
