package results

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"gorm.io/gorm"

	"muster/server/database"
	"muster/server/fault"
)

// Around selects rows of one host by when they were made.
type Around struct {
	HostID int64
	Names  []string // of queries
	// From and To bound the time of arrival, which finds the rows: From is in it and To
	// is not. They must cover what agents were late by.
	From, To time.Time
	// UnixFrom and UnixTo bound the rows' own time, both included, in seconds on the
	// agent's clock. 0 is no bound.
	UnixFrom, UnixTo int64
	// Limit is how many rows of each query are read: the last of them, or with First
	// the first.
	Limit int
	First bool
}

// aroundBytes bounds what the rows of one call take together.
const aroundBytes = 32 << 20

// Around returns the rows, whatever their action, in the order of the names given and
// then of their ids. complete is false when there were more of some query than asked
// for, or more than 32 MiB. Faults: Invalid without bounds, TooMany when too many
// searches run already, Busy when the database does not answer in time.
func (s *Store) Around(ctx context.Context, q Around) (rows []Row, complete bool, err error) {
	if q.From.IsZero() || q.To.IsZero() || q.Limit <= 0 {
		return nil, false, fault.New(fault.Invalid, "Rows around a moment need a window and a limit")
	}
	leave, err := s.searches.enter(ctx, s.o.SearchWait)
	if err != nil {
		return nil, false, err
	}
	defer leave()
	within, err := s.bound(ctx, scope{from: database.Micros(q.From), to: database.Micros(q.To)})
	if err != nil {
		return nil, false, err
	}
	complete = true
	bytes := 0
	for _, name := range q.Names {
		sc := within
		sc.ofQuery, sc.hostID, sc.name = true, q.HostID, name
		some, all, err := s.aroundOf(ctx, sc, q, aroundBytes-bytes)
		if err != nil {
			return nil, false, slowly(err)
		}
		for _, row := range some {
			bytes += len(row.Columns) + len(row.Decorations)
		}
		rows, complete = append(rows, some...), complete && all
	}
	return rows, complete, nil
}

// aroundOf reads the rows of one query, up to so many bytes.
func (s *Store) aroundOf(ctx context.Context, sc scope, q Around, most int) (rows []Row, complete bool, err error) {
	table, order := sc.table(s.db.Engine())
	if q.First {
		order = "host_id, name, id"
	}
	where, args := sc.between(s.db.Engine(), sc.low, sc.high)
	if q.UnixFrom != 0 {
		where, args = where+" AND unix_time >= ?", append(args, q.UnixFrom)
	}
	if q.UnixTo != 0 {
		where, args = where+" AND unix_time <= ?", append(args, q.UnixTo)
	}
	statement := "SELECT " + rowFields + " FROM " + table + " WHERE " + where + " ORDER BY " + order + " LIMIT ?"
	err = s.reading(ctx, statementTime, func(tx *gorm.DB) error {
		rows, complete = nil, true
		bytes := 0
		err := each(tx.Raw(statement, append(args, q.Limit+1)...), func(found *sql.Rows) error {
			row, err := scanRow(found)
			if err != nil {
				return err
			}
			if bytes += len(row.Columns) + len(row.Decorations); len(rows) == q.Limit || bytes > most {
				complete = false
				return errEnough
			}
			rows = append(rows, row)
			return nil
		})
		return ignore(err, errEnough)
	})
	if !q.First {
		slices.Reverse(rows)
	}
	return rows, complete, err
}

// maxNames bounds the names that one host has rows of.
const maxNames = 1_000

// Names returns the names of the queries that a host has stored rows of, sorted as
// the database sorts them; at most 1,000. It costs a look into the index for each.
// Faults: those of the database.
func (s *Store) Names(ctx context.Context, hostID int64) ([]string, error) {
	names := []string{}
	err := s.db.Read(ctx).Raw(`WITH RECURSIVE found (name, n) AS (
		SELECT (SELECT name FROM results WHERE host_id = ? ORDER BY name LIMIT 1), 1
		UNION ALL
		SELECT (SELECT r.name FROM results r WHERE r.host_id = ? AND r.name > found.name ORDER BY r.name LIMIT 1), found.n + 1
		FROM found WHERE found.name IS NOT NULL AND found.n <= ?)
		SELECT name FROM found WHERE name IS NOT NULL`, hostID, hostID, maxNames).Scan(&names).Error
	return names, database.Fault(err)
}
