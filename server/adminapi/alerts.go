package adminapi

import (
	"cmp"
	"context"
	"strings"

	"muster/server/alerts"
	"muster/server/attack"
	"muster/server/fault"
)

func (a *api) alertRoutes() []route {
	in := a.signedIn
	return []route{
		{"GET", "/alerts/count_by_source", in, handle(a, a.countAlertsBySource), "View alerts source distribution"},
		{"POST", "/alerts", in, handle(a, a.listAlerts), "View all alerts"},
		{"PUT", "/alerts", in, act(a, a.resolveAlerts), "Resolve or reopen alerts"},
		{"GET", "/alerts/graph", in, handle(a, a.graphAlerts), "View when alerts were raised"},
		{"POST", "/alert_source/export", in, handle(a, a.exportAlerts), "Export alerts to a CSV file"},
		{"POST", "/alerts/alert_source/export", in, handle(a, a.exportAlerts), "Export alerts to a CSV file (other path)"},
		{"GET", "/alerts/{alert_id}", in, handle(a, a.viewAlert), "View an alert"},
		{"PUT", "/alerts/{alert_id}", in, act(a, a.resolveAlert), "Resolve or reopen an alert"},
		{"GET", "/alerts/{alert_id}/alerted_events", in, handle(a, a.listAlertedEvents), "View the events gathered into an alert"},
		{"POST", "/alerts/{alert_id}/status", in, act(a, a.setAlertStatus), "Say where an alert stands, and what it turned out to be"},
		{"POST", "/alerts/{alert_id}/assignee", in, act(a, a.assignAlert), "Give an alert to somebody"},
		{"POST", "/alerts/{alert_id}/comments", in, act(a, a.commentAlert), "Comment on an alert"},
		{"GET", "/alerts/{alert_id}/history", in, handle(a, a.listAlertHistory), "View who did what to an alert"},
		{"GET", "/hosts/{host}/alerts/distribution", in, handle(a, a.countHostAlerts), "Count the alerts of a host"},
	}
}

const (
	alertsFetched  = "Data is fetched successfully"
	noSuchAlert    = "No Alerts present for the alert id given"
	alertHostWrong = "No Host present for the host identifier given!"
)

// alertArgs choose alerts, wherever many are asked for.
type alertArgs struct {
	hostArgs
	windowArgs
	RuleID    int64  `arg:"rule_id,default=0,min=0"`
	QueryName string `arg:"query_name"`
	Technique string `arg:"technique_id"`
	Severity  string `arg:"severity,choices=INFO|LOW|WARNING|CRITICAL"`
	State     string `arg:"state,choices=open|in_progress|resolved"`
	Status    string `arg:"status,choices=open|in_progress|resolved"` // the name that /alerts/{alert_id}/status has for state
	Verdict   string `arg:"verdict,choices=true_positive|false_positive"`
	Assignee  string `arg:"assignee"` // - is nobody
}

// alertFilter is what the arguments choose. Without a date it has no window.
func (a *api) alertFilter(ctx context.Context, r alertArgs) (alerts.Filter, error) {
	f := alerts.Filter{
		RuleID: r.RuleID, QueryName: r.QueryName, Severity: r.Severity, Status: alerts.Status(cmp.Or(r.State, r.Status)), Verdict: alerts.Verdict(r.Verdict),
		Assignee: strings.TrimSpace(r.Assignee),
	}
	var err error
	if f.From, f.To, err = r.window(noDate); err != nil {
		return f, err
	}
	if r.named() {
		host, err := a.argHost(ctx, r.hostArgs, alertHostWrong, alertHostWrong)
		if err != nil {
			return f, err
		}
		f.HostID = host.ID
	}
	ids, err := attack.ParseIDs(r.Technique)
	if err != nil || len(ids) > 1 {
		return f, fault.Fields(map[string]string{"technique_id": "is one id such as T1059 or T1059.001"})
	}
	if len(ids) == 1 {
		f.Technique = ids[0]
	}
	return f, nil
}

type listAlertsRequest struct {
	alertArgs
	Source   string  `arg:"source,choices=virustotal|rule|ibmxforce|alienvault|ioc|yara"`
	Resolved bool    `arg:"resolved,default=false"`
	EventIDs []int64 `arg:"event_ids"`
	Search   string  `arg:"searchterm"`
	Start    int     `arg:"start,default=0,min=0"`
	Limit    int     `arg:"limit,default=10,min=0,max=1000,page"`
}

func (a *api) listAlerts(ctx context.Context, r listAlertsRequest) (answer[page[alertItem]], error) {
	f, err := a.alertFilter(ctx, r.alertArgs)
	if err == nil {
		f.IDs, err = alertIDs("event_ids", r.EventIDs)
	}
	if err != nil {
		return answer[page[alertItem]]{}, err
	}
	f.Source, f.Search, f.Start, f.Limit = alerts.Source(r.Source), strings.TrimSpace(r.Search), r.Start, r.Limit
	if f.Status == "" { // which says more
		f.Resolved = &r.Resolved
	}
	rows, count, total, err := a.Alerts.List(ctx, f)
	if err != nil {
		return answer[page[alertItem]]{}, err
	}
	known := a.activeHosts(ctx)
	items := make([]alertItem, 0, len(rows))
	for _, alert := range rows {
		items = append(items, viewAlertItem(alert, known[alert.HostID]))
	}
	return answer[page[alertItem]]{alertsFetched, page[alertItem]{items, count, total}}, nil
}

// alertIDs bounds a list of ids.
func alertIDs(name string, ids []int64) ([]int64, error) {
	if len(ids) > alerts.MaxChanged {
		return nil, fault.Fields(map[string]string{name: "has too many ids"})
	}
	return ids, nil
}

type pathAlert struct {
	ID int64 `path:"alert_id"`
}

func (a *api) viewAlert(ctx context.Context, r pathAlert) (answer[alertView], error) {
	alert, host, err := a.findAlert(ctx, r.ID)
	if err != nil {
		return answer[alertView]{}, err
	}
	return answer[alertView]{"Successfully fetched the Alerts data", viewWholeAlert(alert, host)}, nil
}
