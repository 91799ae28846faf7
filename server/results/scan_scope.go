package results

import (
	"context"
	"time"

	"gorm.io/gorm"

	"muster/server/database"
)

// skew is how far ids and times of arrival may disagree in their order: replicas
// have clocks of their own, and a batch gets its time before its ids.
const skew = 15 * time.Minute

// nearly is how many ids the edge of a time range may be off: rows beyond are
// left out by their own time, and finding the very id takes more statements.
const nearly = 2_000

// scope is the part of the log that a scan goes through.
type scope struct {
	ofQuery   bool // of one host and query, by the index on them
	hostID    int64
	name      string
	low, high int64 // ids, high not included
	from, to  int64 // arrival in microseconds, to not included; 0: no bound
	now       int64 // when the ids were found
}

// until is the end of the time that the scope covers.
func (sc scope) until() int64 {
	if sc.to != 0 && sc.to < sc.now {
		return sc.to
	}
	return sc.now
}

// table is the log as SQL names it, and the order of its newest row first. Which
// index leads to the rows is said here for SQLite; on PostgreSQL it follows from
// order and condition, which only one index has, and from planSQL.
func (sc scope) table(engine database.Engine) (table, order string) {
	switch {
	case engine == database.SQLite && sc.ofQuery:
		return "results INDEXED BY results_host_name", "id DESC"
	case engine == database.SQLite:
		return "results NOT INDEXED", "id DESC" // by rowid, that is
	case sc.ofQuery:
		return "results", "host_id DESC, name DESC, id DESC"
	}
	return "results", "id DESC"
}

// between is the condition of the scope's rows with ids from low up to, not
// including, high.
func (sc scope) between(engine database.Engine, low, high int64) (where string, args []any) {
	switch {
	case engine == database.SQLite && sc.ofQuery:
		where, args = "host_id = ? AND name = ? AND id >= ? AND id < ?", []any{sc.hostID, sc.name, low, high}
	case sc.ofQuery:
		where = "(host_id, name, id) >= (?, ?, ?) AND (host_id, name, id) < (?, ?, ?)"
		args = []any{sc.hostID, sc.name, low, sc.hostID, sc.name, high}
	default:
		where, args = "id >= ? AND id < ?", []any{low, high}
	}
	if sc.from != 0 {
		where, args = where+" AND received_at >= ?", append(args, sc.from)
	}
	if sc.to != 0 {
		where, args = where+" AND received_at < ?", append(args, sc.to)
	}
	return where, args
}

// bound finds the ids that the scope has, as of now.
func (s *Store) bound(ctx context.Context, sc scope) (scope, error) {
	sc.now = database.Micros(s.o.Now())
	err := s.reading(ctx, statementTime, func(tx *gorm.DB) error {
		var ends struct{ Low, High int64 }
		if err := tx.Raw("SELECT coalesce((SELECT min(id) FROM results), 0) AS low, coalesce((SELECT max(id) FROM results), -1) + 1 AS high").Scan(&ends).Error; err != nil {
			return err
		}
		sc.low, sc.high = ends.Low, ends.High
		if sc.to != 0 {
			_, high, err := s.edge(tx, sc, sc.to+skew.Microseconds())
			if err != nil {
				return err
			}
			sc.high = high
		}
		if sc.from != 0 {
			low, _, err := s.edge(tx, sc, sc.from-skew.Microseconds())
			if err != nil {
				return err
			}
			sc.low = low
		}
		return nil
	})
	return sc, slowly(err)
}

// edge finds two ids: rows below the first arrived before at, rows from the
// second on did not, as far as ids follow the time of arrival (see skew).
func (s *Store) edge(tx *gorm.DB, sc scope, at int64) (low, high int64, err error) {
	table, _ := scope{}.table(s.db.Engine())
	for low, high = sc.low, sc.high; high-low > nearly; {
		middle := low + (high-low)/2
		var next []struct{ ID, ReceivedAt int64 }
		err := tx.Raw("SELECT id, received_at FROM "+table+" WHERE id >= ? AND id < ? ORDER BY id LIMIT 1", middle, high).Scan(&next).Error
		if err != nil {
			return 0, 0, err
		}
		if len(next) == 0 || next[0].ReceivedAt >= at {
			high = middle
		} else {
			low = next[0].ID + 1
		}
	}
	return low, high, nil
}
