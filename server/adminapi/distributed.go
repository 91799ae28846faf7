package adminapi

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"muster/server/accounts"
	"muster/server/distributed"
	"muster/server/fault"
	"muster/server/hosts"
)

func (a *api) liveRoutes() []route {
	in := a.signedIn
	return []route{
		{"POST", "/distributed/add", in, act(a, a.launch), "Send a live query"},
		{"GET", "/live", in, handle(a, a.listLive), "View live queries"},
		{"POST", "/live/ticket", in, handle(a, a.ticket), "Issue a ticket that opens one WebSocket"},
		{"GET", "/live/{id}", itself, a.liveQuery(handle(a, a.viewLiveQuery)), "View a live query, or follow it over a WebSocket"},
		{"GET", "/live/{id}/tasks", in, handle(a, a.listTasks), "View the outcomes of a live query"},
		{"POST", "/live/{id}/cancel", in, act(a, a.cancelLive), "Cancel a live query"},
		{"GET", "/distributed/result", itself, raw(a.espResults), "Follow live queries over a WebSocket"},
		{"GET", "//distributed/result", itself, raw(a.espResults), "Follow live queries over a WebSocket"},
	}
}

// launchRequest is the document's, plus expires: for how many seconds hosts that
// are offline now may still come and get the query.
type launchRequest struct {
	Query       string   `arg:"query,required"`
	Tags        []string `arg:"tags"`
	Nodes       []string `arg:"nodes"`
	Description string   `arg:"description"`
	Expires     int64    `arg:"expires,default=3600,min=10,max=604800"`
}

// launchView answers with every target; onlineNodes counts those that will get
// the query within a poll interval.
type launchView struct {
	QueryID     int64        `json:"query_id"`
	OnlineNodes int          `json:"onlineNodes"`
	Online      []targetView `json:"online_nodes_details"`
	Targets     []targetView `json:"targets"`
	ExpiresAt   *string      `json:"expires_at"`
}

type targetView struct {
	HostIdentifier string `json:"host_identifier"`
	Hostname       string `json:"hostname"`
	NodeID         int64  `json:"node_id"`
	Online         bool   `json:"online"`
}

func (a *api) launch(ctx context.Context, r launchRequest) (answer[launchView], error) {
	return a.launchShown(ctx, r, excerpt(r.Query))
}

// launchShown launches a query that the audit trail has by another text: one that
// holds an address which lets in whoever knows it.
func (a *api) launchShown(ctx context.Context, r launchRequest, shown string) (answer[launchView], error) {
	launched, err := a.Distributed.Launch(ctx, distributed.Launch{
		SQL: r.Query, Description: r.Description, Username: callerOf(ctx).account.Username,
		Identifiers: r.Nodes, Tags: r.Tags, Expires: time.Duration(r.Expires) * time.Second,
	})
	if err != nil {
		return answer[launchView]{}, err
	}
	q := launched.Query
	a.record(ctx, "live.launch", liveSubject(q.ID), map[string]any{
		"query": shown, "nodes": r.Nodes, "tags": r.Tags, "targets": len(launched.Targets),
	})
	return answer[launchView]{"Distributed query is sent successfully", launchView{
		QueryID: q.ID, OnlineNodes: len(launched.Online), Online: a.viewTargets(launched.Online),
		Targets: a.viewTargets(launched.Targets), ExpiresAt: iso(q.ExpiresAt),
	}}, nil
}

func (a *api) viewTargets(targets []*hosts.Host) []targetView {
	views := make([]targetView, 0, len(targets))
	for _, h := range targets {
		views = append(views, targetView{HostIdentifier: h.Identifier, Hostname: h.DisplayName(), NodeID: h.ID, Online: h.Online(a.Now())})
	}
	return views
}

// liveSubject names a live query in the audit trail.
func liveSubject(id int64) string { return "live query " + strconv.FormatInt(id, 10) }

// excerpt keeps the audit trail readable; the query itself is kept with its answers.
func excerpt(sql string) string {
	if runes := []rune(sql); len(runes) > 500 {
		return string(runes[:500]) + "..."
	}
	return sql
}

// liveView is a live query with its counts. Times that did not come are null.
type liveView struct {
	ID          int64    `json:"id"`
	Query       string   `json:"query"`
	Description string   `json:"description"`
	Username    string   `json:"username"`
	Nodes       []string `json:"nodes"`
	Tags        []string `json:"tags"`
	CreatedAt   *string  `json:"created_at"`
	ExpiresAt   *string  `json:"expires_at"`
	FinishedAt  *string  `json:"finished_at"`
	CancelledAt *string  `json:"cancelled_at"`
	progressView
}

// progressView counts targets: Sent, those that were handed the query, whatever
// became of them; Open, those without an outcome yet; the others, outcomes.
type progressView struct {
	Targeted  int `json:"targeted"`
	Sent      int `json:"sent"`
	Open      int `json:"open"`
	Answered  int `json:"answered"`
	Empty     int `json:"empty"`
	Failed    int `json:"failed"`
	Expired   int `json:"expired"`
	Cancelled int `json:"cancelled"`
}

func viewProgress(p distributed.Progress) progressView {
	return progressView{
		Targeted: p.Targeted, Sent: p.Sent, Open: p.Open(), Answered: p.Answered,
		Empty: p.Empty, Failed: p.Failed, Expired: p.Expired, Cancelled: p.Cancelled,
	}
}

func viewLive(q distributed.Query) liveView {
	return liveView{
		ID: q.ID, Query: q.SQL, Description: q.Description, Username: q.Username, Nodes: list(q.Identifiers), Tags: list(q.Tags),
		CreatedAt: iso(q.CreatedAt), ExpiresAt: iso(q.ExpiresAt), FinishedAt: iso(q.FinishedAt), CancelledAt: iso(q.CancelledAt),
		progressView: viewProgress(q.Progress),
	}
}

type listLive struct {
	Open  bool `arg:"open,default=false"`
	Start int  `arg:"start,default=0,min=0"`
	Limit int  `arg:"limit,default=50,min=0,max=1000,page"`
}

func (a *api) listLive(ctx context.Context, r listLive) (answer[page[liveView]], error) {
	queries, count, err := a.Distributed.List(ctx, distributed.Filter{Open: r.Open, Start: r.Start, Limit: r.Limit})
	if err != nil {
		return answer[page[liveView]]{}, err
	}
	views := make([]liveView, 0, len(queries))
	for _, q := range queries {
		views = append(views, viewLive(q))
	}
	return answer[page[liveView]]{"Successfully fetched the live queries", page[liveView]{views, count, count}}, nil
}

type pathLive struct {
	ID int64 `path:"id"`
}

func (a *api) viewLiveQuery(ctx context.Context, r pathLive) (answer[liveView], error) {
	q, err := a.Distributed.Find(ctx, r.ID)
	if err != nil {
		return answer[liveView]{}, err
	}
	return answer[liveView]{"Successfully fetched the live query", viewLive(q)}, nil
}

// taskView is what became of a query on one target. Node has no name when the
// host was deleted. Rows are left out, with rows_omitted, where a page would get
// too large: they can be fetched with limit=1.
type taskView struct {
	Node       nodeView        `json:"node"`
	State      string          `json:"state"`
	Sends      int             `json:"sends"`
	SentAt     *string         `json:"sent_at"`
	FinishedAt *string         `json:"finished_at"`
	RowCount   int             `json:"row_count"`
	Rows       json.RawMessage `json:"rows,omitempty"`
	Omitted    bool            `json:"rows_omitted,omitempty"`
	Error      string          `json:"error"`
	Stats      json.RawMessage `json:"stats"`
}

type listTasks struct {
	ID     int64    `path:"id"`
	States []string `arg:"state"`
	Rows   bool     `arg:"rows,default=true"`
	Start  int      `arg:"start,default=0,min=0"`
	Limit  int      `arg:"limit,default=50,min=0,max=1000,page"`
}

var taskStates = []distributed.State{
	distributed.Pending, distributed.Sent, distributed.Answered, distributed.Empty,
	distributed.Failed, distributed.Denylisted, distributed.Expired, distributed.Cancelled,
}

// Check refuses states that do not exist, rather than finding nothing.
func (r *listTasks) Check() error {
	for _, state := range r.States {
		if !slices.Contains(taskStates, distributed.State(state)) {
			return fault.Fields(map[string]string{"state": "a state is one of pending, sent, answered, empty, error, denylisted, expired and cancelled"})
		}
	}
	return nil
}

func (a *api) listTasks(ctx context.Context, r listTasks) (answer[page[taskView]], error) {
	filter := distributed.TaskFilter{QueryID: r.ID, WithoutRows: !r.Rows, Start: r.Start, Limit: r.Limit}
	for _, state := range r.States {
		filter.States = append(filter.States, distributed.State(state))
	}
	tasks, count, err := a.Distributed.Tasks(ctx, filter)
	if err != nil {
		return answer[page[taskView]]{}, err
	}
	views := make([]taskView, 0, len(tasks))
	for _, t := range tasks {
		view := taskView{
			Node: viewNode(t.HostID, t.Host), State: string(t.State), Sends: t.Sends, SentAt: iso(t.SentAt), FinishedAt: iso(t.FinishedAt),
			RowCount: t.RowCount, Omitted: t.RowsOmitted, Error: t.Error, Stats: orObject(t.Stats),
		}
		if r.Rows && !t.RowsOmitted {
			view.Rows = orList(t.Rows)
		}
		views = append(views, view)
	}
	return answer[page[taskView]]{"Successfully fetched the outcomes of the live query", page[taskView]{views, count, count}}, nil
}

func (a *api) cancelLive(ctx context.Context, r pathLive) (answer[none], error) {
	before, err := a.Distributed.Find(ctx, r.ID)
	if err == nil {
		err = a.Distributed.Cancel(ctx, r.ID)
	}
	if err != nil {
		return answer[none]{}, err
	}
	a.record(ctx, "live.cancel", liveSubject(r.ID), map[string]any{
		"before": map[string]any{"open_targets": before.Progress.Open()}, "after": map[string]any{"open_targets": 0},
	})
	return answer[none]{message: "The live query is cancelled"}, nil
}

type ticketView struct {
	Ticket    string `json:"ticket"`
	ExpiresIn int    `json:"expires_in"` // seconds
}

// ticket lets a browser open one WebSocket: it can send no header there.
func (a *api) ticket(ctx context.Context, _ nothing) (answer[ticketView], error) {
	ticket, err := a.Accounts.Ticket(ctx, callerOf(ctx).account)
	if err != nil {
		return answer[ticketView]{}, err
	}
	return answer[ticketView]{"A ticket for one WebSocket is issued", ticketView{ticket, int(accounts.TicketLifetime.Seconds())}}, nil
}
