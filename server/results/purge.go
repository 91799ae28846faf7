package results

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"muster/server/database"
)

// purgeChunk is how many rows one transaction deletes, so that the writer of
// SQLite gets its turn in between.
const purgeChunk = 5_000

// lineDays is how many days before today the keys of lines are kept: one more
// than they are looked for.
const lineDays = dedupDays + 1

// Purge deletes what arrived before the given moments, in whole days of UTC: the
// day that a moment lies in is kept. Keys of lines older than three days go
// always. It may be cut off and called again. On PostgreSQL whole partitions are
// dropped. Faults: Busy when a table is locked for too long or the database
// cannot be reached.
func (s *Store) Purge(ctx context.Context, before Before) error {
	ends := map[string]int64{"result_lines": dayOf(s.o.Now()) - lineDays}
	if !before.Results.IsZero() {
		ends["results"] = dayOf(before.Results)
	}
	if !before.Status.IsZero() {
		ends["status_logs"] = dayOf(before.Status)
	}
	var failed error // one table that is locked does not keep the others
	for _, table := range partitionedTables() {
		if end, expires := ends[table.table]; expires {
			failed = errors.Join(failed, database.Fault(s.purgeTable(ctx, table, end)))
		}
	}
	return failed
}

// purgeTable deletes the rows of the days before end, and the index of what was
// observed in them: afterwards once more, for what was being indexed meanwhile.
func (s *Store) purgeTable(ctx context.Context, p partitioned, end int64) error {
	if p.table != "results" {
		return s.purgeRows(ctx, p, end)
	}
	if err := s.forgetObserved(ctx, p.bound(end)); err != nil {
		return err
	}
	if err := s.purgeRows(ctx, p, end); err != nil {
		return err
	}
	return s.forgetObserved(ctx, p.bound(end))
}

func (s *Store) purgeRows(ctx context.Context, p partitioned, end int64) error {
	switch {
	case s.db.Engine() == database.Postgres:
		if err := s.dropPartitions(ctx, p, end); err != nil {
			return err
		}
		return s.deleteChunks(ctx, p, p.table+"_default", "ctid", end)
	case p.table == "result_lines":
		return s.deleteLines(ctx, end)
	default:
		return s.deleteChunks(ctx, p, p.table, "rowid", end)
	}
}

func (s *Store) dropPartitions(ctx context.Context, p partitioned, end int64) error {
	var names []string
	err := s.db.Read(ctx).Raw("SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = ?::regclass ORDER BY 1",
		p.table).Scan(&names).Error
	if err != nil {
		return err
	}
	for _, name := range names {
		if day, ours := p.day(name); !ours || day >= end {
			continue
		}
		err := s.alone(ctx, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "DROP TABLE IF EXISTS "+name)
			return err
		})
		if err != nil {
			return err
		}
		s.log.Info("an expired day is dropped", "table", p.table, "partition", name)
	}
	return nil
}

// deleteChunks deletes the rows of the days before end from a plain table, where
// identity is the engine's own name for a row.
func (s *Store) deleteChunks(ctx context.Context, p partitioned, table, identity string, end int64) error {
	statement := fmt.Sprintf("DELETE FROM %[1]s WHERE %[2]s IN (SELECT %[2]s FROM %[1]s WHERE %[3]s < ? LIMIT ?)", table, identity, p.column)
	for {
		done := s.db.Write(ctx).Exec(statement, p.bound(end), purgeChunk)
		if done.Error != nil || done.RowsAffected < purgeChunk {
			return done.Error
		}
	}
}

// deleteLines walks the keys on SQLite, where no index leads to their day: each
// stretch is looked through by a reader, and written only if something in it is
// old. Once a day is enough for a walk through all of them.
func (s *Store) deleteLines(ctx context.Context, end int64) error {
	if s.linesPurged.Load() == end {
		return nil
	}
	const look = `SELECT max(line_key) AS last, min(day) AS oldest FROM
		(SELECT line_key, day FROM result_lines WHERE line_key > ? ORDER BY line_key LIMIT ?)`
	for last := []byte{}; ; {
		var stretch struct {
			Last   []byte
			Oldest int64
		}
		if err := s.db.Read(ctx).Raw(look, last, purgeChunk).Scan(&stretch).Error; err != nil {
			return err
		}
		if stretch.Last == nil {
			s.linesPurged.Store(end)
			return nil
		}
		if stretch.Oldest < end {
			err := s.db.Write(ctx).Exec("DELETE FROM result_lines WHERE line_key > ? AND line_key <= ? AND day < ?", last, stretch.Last, end).Error
			if err != nil {
				return err
			}
		}
		last = stretch.Last
	}
}
