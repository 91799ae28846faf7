package results

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"gorm.io/gorm"

	"muster/server/condition"
	"muster/server/database"
	"muster/server/fault"
)

// view is the rows of a search, ready to be asked for in SQL. It serves one
// caller at a time.
type view struct {
	s      *Store
	q      Search
	scope  scope
	clause condition.Clause
	row    condition.Object
	ended  func() error // see within
	batch  int          // rows that one statement fetches
}

func (s *Store) view(ctx context.Context, q Search) (*view, error) {
	sc, err := s.bound(ctx, scope{
		ofQuery: q.HostID != 0 && q.Name != "", hostID: q.HostID, name: q.Name,
		from: database.Micros(q.From), to: database.Micros(q.To),
	})
	v := &view{s: s, q: q, scope: sc, clause: condition.Clause{Exact: true}, batch: maxBatch}
	v.row.Own = map[string]string{}
	if q.Where != nil {
		v.clause = q.Where.SQL(condition.Source{
			Engine: engineOf(s.db.Engine()), Columns: "columns", Own: map[string]string{queryName: "name", actionField: "action", timeField: "CAST(unix_time AS text)"},
		})
	}
	return v, err
}

// from is the FROM and WHERE of the view's rows with these ids: those that may
// match or, if it is loose, all of its scope.
func (v *view) from(low, high int64, loose bool) (sql string, args []any) {
	table, _ := v.scope.table(v.s.db.Engine())
	where, args := v.scope.between(v.s.db.Engine(), low, high)
	if v.q.HostID != 0 && !v.scope.ofQuery {
		where, args = where+" AND host_id = ?", append(args, v.q.HostID)
	}
	if v.q.Name != "" && !v.scope.ofQuery {
		where, args = where+" AND name = ?", append(args, v.q.Name)
	}
	if v.q.NoRemoved {
		where += " AND action <> 'removed'"
	}
	if !loose && v.clause.Where != "" {
		where, args = where+" AND ("+v.clause.Where+")", append(args, v.clause.Args...)
	}
	return " FROM " + table + " WHERE " + where, args
}

// count counts what matches in the span, in SQL where that is exact. Where the
// engine's JSON functions refuse some row, for instance one with the escape
// \u0000, the rows of the span are matched one by one.
func (v *view) count(ctx context.Context, w span) (tally, error) {
	if v.clause.Exact {
		found, err := v.countInSQL(ctx, w)
		if !fault.Is(err, fault.Internal) || isOurs(err) {
			return found, err
		}
		v.s.log.Debug("a stretch of the log is searched row by row", "from_id", w.low, "to_id", w.high, "error", err)
		return v.countByRow(ctx, w, true)
	}
	found, err := v.countByRow(ctx, w, false)
	if fault.Is(err, fault.Internal) && !isOurs(err) {
		return v.countByRow(ctx, w, true)
	}
	return found, err
}

// isOurs tells the scan's own errors from an engine's.
func isOurs(err error) bool { return errors.Is(err, errSlow) || errors.Is(err, errFull) }

func (v *view) countInSQL(ctx context.Context, w span) (found tally, err error) {
	from, args := v.from(w.low, w.high, false)
	err = v.s.reading(ctx, w.time, func(tx *gorm.DB) error {
		found = tally{}
		return each(tx.Raw("SELECT host_id, name, count(*)"+from+" GROUP BY host_id, name", args...), func(rows *sql.Rows) error {
			var key groupKey
			var n int64
			if err := rows.Scan(&key.hostID, &key.name, &n); err != nil {
				return err
			}
			if !v.visible(key.hostID) {
				return nil
			}
			return found.add(key, n)
		})
	})
	return found, err
}

func (v *view) countByRow(ctx context.Context, w span, loose bool) (found tally, err error) {
	from, args := v.from(w.low, w.high, loose)
	err = v.s.reading(ctx, w.time, func(tx *gorm.DB) error {
		found = tally{}
		v.within(tx.Statement.Context)
		return each(tx.Raw("SELECT host_id, name, action, unix_time, columns"+from, args...), func(rows *sql.Rows) error {
			var r Row
			var name, action, columns sql.RawBytes
			var unix int64
			if err := rows.Scan(&r.HostID, &name, &action, &unix, &columns); err != nil {
				return err
			}
			r.Name, r.Action, r.Time, r.Columns = asText(name), asText(action), time.Unix(unix, 0), json.RawMessage(columns)
			if matches, err := v.matches(&r); !matches {
				return err
			}
			return found.add(groupKey{r.HostID, r.Name}, 1)
		})
	})
	return found, err
}

func (v *view) visible(hostID int64) bool { return v.q.Visible == nil || v.q.Visible(hostID) }

// within bounds the time in which matches decides.
func (v *view) within(ctx context.Context) {
	v.row.Ended = func() bool { return ctx.Err() != nil }
	v.ended = ctx.Err
}

// matches decides about a row that SQL did not decide about; false with an error
// when there was no time to. It keeps nothing of the row.
func (v *view) matches(r *Row) (bool, error) {
	if !v.visible(r.HostID) || v.q.Where == nil {
		return v.visible(r.HostID), nil
	}
	v.row.Own[queryName], v.row.Own[actionField] = r.Name, r.Action
	v.row.Own[timeField] = strconv.FormatInt(r.Time.Unix(), 10)
	if v.q.Identifier != nil {
		v.row.Own[hostIdentifier] = v.q.Identifier(r.HostID)
	}
	_ = v.row.Load(asText(r.Columns)) // what is no object has no columns
	matches := v.q.Where.Match(&v.row)
	if err := v.ended(); err != nil {
		return false, err
	}
	return matches, nil
}

// each calls fn for each row of a statement, as it comes.
func each(statement *gorm.DB, fn func(rows *sql.Rows) error) error {
	rows, err := statement.Rows()
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// slowly makes a fault of a statement that was too slow to be of use.
func slowly(err error) error {
	if errors.Is(err, errSlow) {
		return fault.Wrap(err, fault.Busy, "The database does not answer in time")
	}
	return err
}
