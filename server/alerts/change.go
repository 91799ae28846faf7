package alerts

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"muster/server/database"
	"muster/server/fault"
)

// Bounds of changes.
const (
	MaxChanged  = 10_000 // alerts that one call changes
	MaxComment  = 10_000 // characters
	maxAssignee = 200
)

// Handling is where an alert stands. Only a resolved one has a verdict, and it
// need not.
type Handling struct {
	Status  Status
	Verdict Verdict
}

// String is the handling as history tells it: resolved (false_positive).
func (h Handling) String() string {
	if h.Verdict == "" {
		return string(h.Status)
	}
	return string(h.Status) + " (" + string(h.Verdict) + ")"
}

func (h Handling) check() error {
	switch {
	case !slices.Contains([]Status{Open, InProgress, Resolved}, h.Status):
		return fault.Fields(map[string]string{"status": "is one of open, in_progress, resolved"})
	case h.Verdict != "" && h.Verdict != TruePositive && h.Verdict != FalsePositive:
		return fault.Fields(map[string]string{"verdict": "is one of true_positive, false_positive"})
	case h.Verdict != "" && h.Status != Resolved:
		return fault.Fields(map[string]string{"verdict": "only a resolved alert has one"})
	}
	return nil
}

// Note says who changes an alert, and why.
type Note struct {
	Username string
	Comment  string // empty: nothing to say
}

// Resolve resolves alerts without a verdict and returns which; those that are
// resolved stay as they are. Faults: NotFound when one does not exist (nothing is
// changed then), Invalid for more than MaxChanged, Busy, Internal.
func (s *Store) Resolve(ctx context.Context, ids []int64, n Note) ([]int64, error) {
	return s.handle(ctx, ids, n, func(now Handling) Handling {
		if now.Status == Resolved {
			return now
		}
		return Handling{Status: Resolved}
	})
}

// Reopen makes resolved alerts open again and returns which; others stay as they
// are. Faults: see Resolve.
func (s *Store) Reopen(ctx context.Context, ids []int64, n Note) ([]int64, error) {
	return s.handle(ctx, ids, n, func(now Handling) Handling {
		if now.Status != Resolved {
			return now
		}
		return Handling{Status: Open}
	})
}

// SetStatus says where alerts stand and returns those for which that is new.
// Faults: see Resolve; Invalid naming status or verdict.
func (s *Store) SetStatus(ctx context.Context, ids []int64, to Handling, n Note) ([]int64, error) {
	if err := to.check(); err != nil {
		return nil, err
	}
	return s.handle(ctx, ids, n, func(Handling) Handling { return to })
}

// Assign gives alerts to somebody, or to nobody when assignee is empty, and
// returns those for which that is new. Whether there is such a user is not for
// this package to know. Faults: see Resolve; Invalid naming assignee.
func (s *Store) Assign(ctx context.Context, ids []int64, assignee string, n Note) ([]int64, error) {
	assignee = strings.TrimSpace(storable(assignee))
	if len(assignee) > maxAssignee {
		return nil, fault.Fields(map[string]string{"assignee": "is too long for a username"})
	}
	return s.change(ctx, ids, n, func(tx *database.DB, rows []heldRow) ([]int64, []entry, error) {
		var changed []int64
		var entries []entry
		for _, row := range rows {
			if row.Assignee != assignee {
				changed = append(changed, row.ID)
				entries = append(entries, entry{alert: row.ID, action: AssigneeChanged, was: row.Assignee, becomes: assignee})
			}
		}
		if len(changed) == 0 {
			return nil, nil, nil
		}
		return changed, entries, tx.Write(ctx).Exec("UPDATE alerts SET assignee = ?, updated_at = ? WHERE id IN ?",
			assignee, database.Micros(s.Now()), changed).Error
	})
}

// Comment notes what somebody has to say about an alert. Faults: NotFound, Invalid
// naming comment, Busy, Internal.
func (s *Store) Comment(ctx context.Context, id int64, n Note) error {
	if strings.TrimSpace(n.Comment) == "" {
		return fault.Fields(map[string]string{"comment": "is empty"})
	}
	_, err := s.change(ctx, []int64{id}, n, func(tx *database.DB, rows []heldRow) ([]int64, []entry, error) {
		changed := []int64{rows[0].ID}
		return changed, []entry{{alert: rows[0].ID, action: Commented}}, tx.Write(ctx).Exec("UPDATE alerts SET updated_at = ? WHERE id IN ?",
			database.Micros(s.Now()), changed).Error
	})
	return err
}

// heldRow is what may change of an alert.
type heldRow struct {
	ID       int64
	Status   Status
	Verdict  Verdict
	Assignee string
}

// handle moves each alert to where next says.
func (s *Store) handle(ctx context.Context, ids []int64, n Note, next func(Handling) Handling) ([]int64, error) {
	return s.change(ctx, ids, n, func(tx *database.DB, rows []heldRow) ([]int64, []entry, error) {
		var changed []int64
		var entries []entry
		var to Handling // the same for all that change
		for _, row := range rows {
			now := Handling{row.Status, row.Verdict}
			if after := next(now); after != now {
				to, changed = after, append(changed, row.ID)
				entries = append(entries, entry{alert: row.ID, action: StatusChanged, was: now.String(), becomes: after.String()})
			}
		}
		if len(changed) == 0 {
			return nil, nil, nil
		}
		at, resolved := database.Micros(s.Now()), int64(0)
		if to.Status == Resolved {
			resolved = at
		}
		return changed, entries, tx.Write(ctx).Exec("UPDATE alerts SET status = ?, verdict = ?, updated_at = ?, resolved_at = ? WHERE id IN ?",
			to.Status, to.Verdict, at, resolved, changed).Error
	})
}

// change holds the alerts, lets fn change them, and notes what it did.
func (s *Store) change(ctx context.Context, ids []int64, n Note, fn func(*database.DB, []heldRow) ([]int64, []entry, error)) (changed []int64, err error) {
	n.Comment = storable(n.Comment)
	if utf8.RuneCountInString(n.Comment) > MaxComment {
		return nil, fault.Fields(map[string]string{"comment": "is too long"})
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	if len(ids) > MaxChanged {
		return nil, fault.New(fault.Invalid, "At most %d alerts are changed at once", MaxChanged)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	err = s.db.Tx(ctx, func(tx *database.DB) error {
		rows, err := hold(ctx, tx, ids)
		if err != nil {
			return err
		}
		if len(rows) < len(ids) {
			return ErrNoAlert
		}
		var entries []entry
		if changed, entries, err = fn(tx, rows); err != nil {
			return err
		}
		return s.With(tx).note(ctx, n, entries)
	})
	return changed, err
}

// hold reads alerts and keeps everybody else from changing them until the
// transaction ends; like Raise it takes them in the order of their ids.
func hold(ctx context.Context, tx *database.DB, ids []int64) ([]heldRow, error) {
	var rows []heldRow
	err := tx.Read(ctx).Raw("SELECT id, status, verdict, assignee FROM alerts WHERE id IN ? ORDER BY id"+locking(tx), ids).Scan(&rows).Error
	return rows, database.Fault(err)
}

// locking ends a SELECT whose rows must stay as they are until the transaction
// ends. SQLite has one writer at a time.
func locking(tx *database.DB) string {
	if tx.Engine() == database.Postgres {
		return " FOR UPDATE"
	}
	return ""
}
