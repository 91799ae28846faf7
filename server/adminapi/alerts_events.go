package adminapi

import (
	"context"
	"encoding/json"

	"muster/server/alerts"
)

// alertedFormat is how alerted events write times (reference 0.5).
const alertedFormat = "02-01-2006 15:04:05.000000"

// alertedEvent is an event gathered into an alert (reference 1.13).
type alertedEvent struct {
	ID           int64           `json:"id"`
	Name         string          `json:"name"`
	Timestamp    string          `json:"timestamp"` // the clock of the host
	Action       string          `json:"action"`
	Columns      json.RawMessage `json:"columns"`
	AlertID      int64           `json:"alert_id"`
	ResultLogUID *string         `json:"result_log_uuid"`
	Why          json.RawMessage `json:"why"`
	FoundAt      *string         `json:"found_at"`
}

// alertedAnswer is a page of the events. Count is how many are kept, Total how many
// there were.
type alertedAnswer struct {
	said
	Data  []alertedEvent `json:"data"`
	Count int            `json:"count"`
	Total int            `json:"total_count"`
}

type listAlertedRequest struct {
	pathAlert
	Start int `arg:"start,default=0,min=0"`
	Limit int `arg:"limit,default=1000,min=0,max=10000,page"`
}

func (a *api) listAlertedEvents(ctx context.Context, r listAlertedRequest) (alertedAnswer, error) {
	alert, _, err := a.findAlert(ctx, r.ID)
	if err != nil {
		return alertedAnswer{}, err
	}
	events, count, err := a.Alerts.Events(ctx, r.ID, alerts.Page{Start: r.Start, Limit: r.Limit})
	if err != nil {
		return alertedAnswer{}, err
	}
	views := make([]alertedEvent, 0, len(events))
	for _, e := range events {
		view := alertedEvent{
			ID: e.ID, Name: e.QueryName, Timestamp: e.Time.UTC().Format(alertedFormat), Action: e.Action, Columns: orObject(e.Columns), AlertID: e.AlertID,
			Why: orList(e.Why), FoundAt: iso(e.Created),
		}
		if e.ResultID != 0 {
			uid := rowUUID(e.ResultID)
			view.ResultLogUID = &uid
		}
		views = append(views, view)
	}
	return alertedAnswer{succeeded("Successfully fetched the Alert's events data"), views, count, max(alert.EventCount, count)}, nil
}

// alertChange is what somebody did to an alert.
type alertChange struct {
	ID       int64   `json:"id"`
	At       *string `json:"at"`
	Username *string `json:"username"` // null: the server
	Action   string  `json:"action"`   // status, assignee, comment, told
	Before   *string `json:"before"`
	After    *string `json:"after"`
	Comment  *string `json:"comment"`
}

type listHistoryRequest struct {
	pathAlert
	Start int `arg:"start,default=0,min=0"`
	Limit int `arg:"limit,default=100,min=0,max=1000,page"`
}

func (a *api) listAlertHistory(ctx context.Context, r listHistoryRequest) (answer[page[alertChange]], error) {
	if _, _, err := a.findAlert(ctx, r.ID); err != nil {
		return answer[page[alertChange]]{}, err
	}
	changes, count, err := a.Alerts.History(ctx, r.ID, alerts.Page{Start: r.Start, Limit: r.Limit})
	if err != nil {
		return answer[page[alertChange]]{}, err
	}
	views := make([]alertChange, 0, len(changes))
	for _, c := range changes {
		views = append(views, alertChange{
			ID: c.ID, At: iso(c.At), Username: orNull(c.Username), Action: string(c.Action), Before: orNull(c.Was), After: orNull(c.Becomes), Comment: orNull(c.Comment),
		})
	}
	return answer[page[alertChange]]{"Successfully fetched the history of the alert", page[alertChange]{views, count, count}}, nil
}
