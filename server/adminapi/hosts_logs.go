package adminapi

import (
	"context"
	"encoding/json"
	"strings"

	"muster/server/results"
)

const activityHostWrong = "Please pass correct host identifier or node id to get the results"

// statusLogView is a status message (document, "View status logs").
type statusLogView struct {
	Line     int64   `json:"line"`
	Message  string  `json:"message"`
	Severity int64   `json:"severity"`
	Filename string  `json:"filename"`
	Created  *string `json:"created"`
	Version  string  `json:"version"`
}

// listStatusLogsRequest has no limit of its own in the document: all there are,
// up to what the store gives at once.
type listStatusLogsRequest struct {
	hostArgs
	Start  int    `arg:"start,default=0,min=0"`
	Limit  int    `arg:"limit,default=10000,min=0,max=10000,page"`
	Search string `arg:"searchterm"`
}

func (a *api) listStatusLogs(ctx context.Context, r listStatusLogsRequest) (answer[page[statusLogView]], error) {
	host, err := a.argHost(ctx, r.hostArgs, "Please pass one of node id or host identifier!", hostNotCorrect)
	if err != nil {
		return answer[page[statusLogView]]{}, err
	}
	logs, count, total, err := a.Results.StatusLogs(ctx, results.StatusFilter{
		HostID: host.ID, Search: strings.TrimSpace(r.Search), Start: r.Start, Limit: r.Limit,
	})
	if err != nil {
		return answer[page[statusLogView]]{}, err
	}
	views := make([]statusLogView, 0, len(logs))
	for _, l := range logs {
		views = append(views, statusLogView{
			Line: l.Line, Message: l.Message, Severity: l.Severity, Filename: l.Filename, Created: iso(l.ReceivedAt), Version: l.Version,
		})
	}
	return answer[page[statusLogView]]{"Successfully fetched the node's status logs", page[statusLogView]{views, count, total}}, nil
}

// activityView is a row that a scheduled query reported (document, "View result
// log"). Its time is the agent's, in a format of its own.
type activityView struct {
	Timestamp string          `json:"timestamp"`
	Action    string          `json:"action"`
	Columns   json.RawMessage `json:"columns"`
}

type listActivityRequest struct {
	hostArgs
	QueryName string `arg:"query_name,required"`
	Start     int    `arg:"start,default=0,min=0"`
	Limit     int    `arg:"limit,default=10,min=0,max=10000,page"`
	Search    string `arg:"searchterm"`
}

func (a *api) listActivity(ctx context.Context, r listActivityRequest) (answer[page[activityView]], error) {
	host, err := a.argHost(ctx, r.hostArgs, configNeither, activityHostWrong)
	if err != nil {
		return answer[page[activityView]]{}, err
	}
	rows, count, total, err := a.Results.Activity(ctx, results.ActivityFilter{
		HostID: host.ID, Name: r.QueryName, Search: r.Search, Start: r.Start, Limit: r.Limit,
	})
	if err != nil {
		return answer[page[activityView]]{}, err
	}
	views := make([]activityView, 0, len(rows))
	for _, row := range rows {
		views = append(views, activityView{
			Timestamp: row.Time.UTC().Format(activityFormat), Action: row.Action, Columns: orObject(row.Columns),
		})
	}
	return answer[page[activityView]]{"Successfully fetched the schedule query results of host identifier passed", page[activityView]{views, count, total}}, nil
}

type nameCount struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

func (a *api) countActivity(ctx context.Context, r hostArgs) (answer[[]nameCount], error) {
	host, err := a.argHost(ctx, r, configNeither, activityHostWrong)
	if err != nil {
		return answer[[]nameCount]{}, err
	}
	counts, err := a.Results.ActivityCounts(ctx, host.ID)
	if err != nil {
		return answer[[]nameCount]{}, err
	}
	views := make([]nameCount, 0, len(counts))
	for _, c := range counts {
		views = append(views, nameCount(c))
	}
	return answer[[]nameCount]{"Successfully fetched the count of schedule query results count of host identifier passed", views}, nil
}
