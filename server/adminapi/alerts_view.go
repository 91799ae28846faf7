package adminapi

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"muster/server/alerts"
	"muster/server/fault"
	"muster/server/hosts"
)

// alertFormat is how alerts write times (reference 0.5).
const alertFormat = "2006-01-02 15:04:05.000000"

// alertRule names the rule of an alert.
type alertRule struct {
	Name string `json:"name"`
	ID   int64  `json:"id"`
}

// alertCommon is what an alert has in a list and by itself. The keys of the
// document come first. Status knows OPEN and RESOLVED; State is ours and knows
// open, in_progress and resolved.
type alertCommon struct {
	NodeID       int64           `json:"node_id"`
	RuleID       *int64          `json:"rule_id"`
	Rule         *alertRule      `json:"rule"` // null unless a rule raised it
	QueryName    string          `json:"query_name"`
	Severity     string          `json:"severity"`
	CreatedAt    string          `json:"created_at"`
	Type         string          `json:"type"`
	Source       string          `json:"source"`
	Status       string          `json:"status"`
	ReconQueries json.RawMessage `json:"recon_queries"`
	Hostname     string          `json:"hostname"`

	ResultLogUID   *string         `json:"result_log_uid"` // as the rows of a search have it
	Events         int             `json:"aggregated_events_count"`
	HostIdentifier string          `json:"host_identifier"`
	Name           string          `json:"name"` // of the rule or the threat
	Action         string          `json:"action"`
	Why            json.RawMessage `json:"why"`
	State          string          `json:"state"`
	Verdict        *string         `json:"verdict"`
	Assignee       *string         `json:"assignee"`
	TechniqueIDs   []string        `json:"technique_ids"`
	Tactics        []string        `json:"tactics"`
	Retro          bool            `json:"retro"`
	EventAt        *string         `json:"event_at"` // the clock of the host
	LastEventAt    *string         `json:"last_event_at"`
	UpdatedAt      *string         `json:"updated_at"`
	ResolvedAt     *string         `json:"resolved_at"`
}

// alertItem is an alert in a list (document, "View all alerts"). Intel is the
// report of the service that raised it.
type alertItem struct {
	ID int64 `json:"id"`
	alertCommon
	Entry json.RawMessage `json:"alerted_entry"`
	Intel json.RawMessage `json:"intel_data"`
}

// alertView is one alert (document, "View an alert").
type alertView struct {
	ID int64 `json:"id"`
	alertCommon
	Message    json.RawMessage `json:"message"`
	SourceData json.RawMessage `json:"source_data"`
	Platform   string          `json:"platform"`
}

// rowUUID is what the original gave every row at random; ours is made of its id.
func rowUUID(id int64) string { return fmt.Sprintf("00000000-0000-8000-8000-%012x", id) }

func viewCommon(a alerts.Alert, h *hosts.Host) alertCommon {
	view := alertCommon{
		NodeID: a.HostID, RuleID: orNull(a.RuleID), QueryName: a.QueryName, Severity: a.Severity, CreatedAt: alertTime(a.Created),
		Type: alertType(a.Source), Source: string(a.Source), Status: "OPEN", ReconQueries: orObject(a.ReconQueries), Events: a.EventCount,
		Name: a.Name, Action: a.Action, Why: orList(a.Why), State: string(a.Status), Verdict: orNull(string(a.Verdict)), Assignee: orNull(a.Assignee),
		TechniqueIDs: list(a.TechniqueIDs), Tactics: list(a.Tactics), Retro: a.Retro, EventAt: iso(a.Time), LastEventAt: iso(a.LastEvent),
		UpdatedAt: iso(a.Updated), ResolvedAt: iso(a.ResolvedSince),
	}
	if a.Status == alerts.Resolved {
		view.Status = "RESOLVED"
	}
	if a.RuleID != 0 {
		view.Rule = &alertRule{Name: a.Name, ID: a.RuleID}
	}
	if a.ResultID != 0 {
		uid := rowUUID(a.ResultID)
		view.ResultLogUID = &uid
	}
	if h != nil {
		view.Hostname, view.HostIdentifier = h.DisplayName(), h.Identifier
	}
	return view
}

func viewAlertItem(a alerts.Alert, h *hosts.Host) alertItem {
	item := alertItem{ID: a.ID, alertCommon: viewCommon(a, h), Entry: orObject(a.Columns)}
	if a.Source != alerts.Rule && a.Source != alerts.Indicator {
		item.Intel = orObject(a.SourceData)
	}
	return item
}

func viewWholeAlert(a alerts.Alert, h *hosts.Host) alertView {
	return alertView{ID: a.ID, alertCommon: viewCommon(a, h), Message: orObject(a.Columns), SourceData: orObject(a.SourceData), Platform: h.Platform}
}

// alertType is the document's word for a source.
func alertType(source alerts.Source) string {
	switch source {
	case alerts.Rule:
		return "rule"
	case alerts.YARA:
		return "yara"
	}
	return "Threat Intel"
}

func alertTime(t time.Time) string { return t.UTC().Format(alertFormat) }

// findAlert finds an alert and its host; those of a deleted host are gone.
func (a *api) findAlert(ctx context.Context, id int64) (alerts.Alert, *hosts.Host, error) {
	alert, err := a.Alerts.Find(ctx, id)
	if err != nil {
		return alerts.Alert{}, nil, err
	}
	host, err := a.Hosts.FindByID(ctx, alert.HostID)
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.NotFound, noSuchAlert)
	}
	return alert, host, err
}
