package alerts

import (
	"context"
	"encoding/json"
	"time"

	"muster/server/database"
)

// Event is one finding that was gathered into an alert.
type Event struct {
	ID, AlertID       int64
	QueryName, Action string
	Columns           json.RawMessage // an object
	Why               json.RawMessage // a list: what made it match
	ResultID          int64           // of the row, which may be purged before the event
	Time              time.Time       // the agent's clock
	Created           time.Time       // when it was found
}

type eventRow struct {
	ID, AlertID, ResultID, UnixTime, CreatedAt int64
	QueryName, Action, Columns, Why            string
}

func (r eventRow) event() Event {
	return Event{
		ID: r.ID, AlertID: r.AlertID, QueryName: r.QueryName, Action: r.Action, Columns: json.RawMessage(r.Columns), Why: json.RawMessage(r.Why),
		ResultID: r.ResultID, Time: seconds(r.UnixTime), Created: database.FromMicros(r.CreatedAt),
	}
}

const eventFields = "id, alert_id, query_name, action, columns, why, result_id, unix_time, created_at"

// Page is a part of a list; a Limit of 0 means all up to MaxLimit.
type Page struct{ Start, Limit int }

// Events returns the events of an alert that are kept, the oldest first, and how
// many those are; none of an alert that does not exist. Faults: Busy, Internal.
func (s *Store) Events(ctx context.Context, alertID int64, p Page) (events []Event, count int, err error) {
	err = s.db.View(ctx, func(view *database.DB) error {
		db := view.Read(ctx)
		if err := db.Raw("SELECT count(*) FROM alert_events WHERE alert_id = ?", alertID).Scan(&count).Error; err != nil {
			return err
		}
		var rows []eventRow
		err := db.Raw("SELECT "+eventFields+" FROM alert_events WHERE alert_id = ? ORDER BY id LIMIT ? OFFSET ?",
			alertID, limit(p.Limit), max(p.Start, 0)).Scan(&rows).Error
		events = make([]Event, 0, len(rows))
		for _, row := range rows {
			events = append(events, row.event())
		}
		return err
	})
	return events, count, database.Fault(err)
}

// FindEvent returns an event. Faults: NotFound, Busy, Internal.
func (s *Store) FindEvent(ctx context.Context, id int64) (Event, error) {
	var rows []eventRow
	if err := s.db.Read(ctx).Raw("SELECT "+eventFields+" FROM alert_events WHERE id = ?", id).Scan(&rows).Error; err != nil {
		return Event{}, database.Fault(err)
	}
	if len(rows) == 0 {
		return Event{}, ErrNoAlert
	}
	return rows[0].event(), nil
}
