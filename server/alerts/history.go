package alerts

import (
	"context"
	"time"

	"muster/server/database"
)

// Action says what somebody did to an alert.
type Action string

// The actions.
const (
	StatusChanged   Action = "status"
	AssigneeChanged Action = "assignee"
	Commented       Action = "comment"
	WasTold         Action = "told" // the server told the alerter that it becomes
)

// Change is one thing that somebody, or for nobody the server, did to an alert.
type Change struct {
	ID, AlertID  int64
	At           time.Time
	Username     string
	Action       Action
	Was, Becomes string // a handling, a username or an alerter; empty for a comment
	Comment      string
}

// History returns what people did to an alert, and who was told of it, the oldest first, and how much that
// is; nothing of an alert that does not exist. Faults: Busy, Internal.
func (s *Store) History(ctx context.Context, alertID int64, p Page) (changes []Change, count int, err error) {
	err = s.db.View(ctx, func(view *database.DB) error {
		db := view.Read(ctx)
		if err := db.Raw("SELECT count(*) FROM alert_history WHERE alert_id = ?", alertID).Scan(&count).Error; err != nil {
			return err
		}
		var rows []struct {
			ID, AlertID, At                 int64
			Username, Was, Becomes, Comment string
			Action                          Action
		}
		err := db.Raw("SELECT id, alert_id, at, username, action, was, becomes, comment FROM alert_history WHERE alert_id = ? ORDER BY id LIMIT ? OFFSET ?",
			alertID, limit(p.Limit), max(p.Start, 0)).Scan(&rows).Error
		changes = make([]Change, 0, len(rows))
		for _, r := range rows {
			changes = append(changes, Change{
				ID: r.ID, AlertID: r.AlertID, At: database.FromMicros(r.At), Username: r.Username, Action: r.Action, Was: r.Was, Becomes: r.Becomes, Comment: r.Comment,
			})
		}
		return err
	})
	return changes, count, database.Fault(err)
}

// Told notes that an alerter was told of an alert; comment may say how. Faults: Busy,
// Internal, also of an alert that was deleted meanwhile.
func (s *Store) Told(ctx context.Context, alertID int64, alerter, comment string) error {
	return database.Fault(s.note(ctx, Note{Comment: comment}, []entry{{alert: alertID, action: WasTold, becomes: alerter}}))
}

// entry is a line of history to be written.
type entry struct {
	alert        int64
	action       Action
	was, becomes string
}

// note writes history.
func (s *Store) note(ctx context.Context, n Note, entries []entry) error {
	at := database.Micros(s.Now())
	var rows records
	for _, e := range entries {
		rows = append(rows, []any{e.alert, at, n.Username, e.action, e.was, e.becomes, n.Comment})
	}
	_, err := s.insert(ctx, "alert_history", rows, "alert_id bigint", "at bigint", "username text", "action text", "was text", "becomes text", "comment text")
	return err
}
