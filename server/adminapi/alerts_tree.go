package adminapi

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"muster/server/alerts"
	"muster/server/hosts"
	"muster/server/lineage"
)

// treeBounds are how large a tree of processes is shown.
var treeBounds = lineage.Bounds{Ancestors: 32, Depth: 6, Children: 100, Nodes: 500, Events: 100, Rows: 1_000}

// treeAlert is an alert that a process of the tree has raised.
type treeAlert struct {
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	Severity string `json:"severity"`
	State    string `json:"state"`
}

// treeEvent is something that a process did.
type treeEvent struct {
	Table   string          `json:"table"`
	Action  string          `json:"action"`
	At      *string         `json:"at"` // the clock of the host
	Columns json.RawMessage `json:"columns"`
}

// treeNode is a process. Begun is null when its beginning was not reported.
type treeNode struct {
	ProcessGUID  string      `json:"process_guid"`
	PID          *int64      `json:"pid"`
	Name         string      `json:"name"`
	Path         string      `json:"path"`
	Cmdline      string      `json:"cmdline"`
	Username     string      `json:"username"`
	Begun        *string     `json:"begun"`
	Ended        *string     `json:"ended"`
	Focus        bool        `json:"focus"` // it is the alert's process
	Alerts       []treeAlert `json:"alerts"`
	Events       []treeEvent `json:"events"`
	MoreEvents   int         `json:"more_events"` // that are left out
	Children     []treeNode  `json:"children"`
	MoreChildren int         `json:"more_children"` // that are left out
}

// treeView is the processes around an alert. Tree is null when its row tells of no
// process. Complete is false when there were too many rows to read all of the day
// before and the day after.
type treeView struct {
	ProcessGUID *string   `json:"process_guid"`
	Tree        *treeNode `json:"tree"`
	Complete    bool      `json:"complete"`
}

func (a *api) viewProcessTree(ctx context.Context, r pathAlert) (answer[treeView], error) {
	const fetched = "Successfully fetched the process tree of the alert"
	alert, host, err := a.findAlert(ctx, r.ID)
	if err != nil {
		return answer[treeView]{}, err
	}
	about, ok := a.alertEvent(host, alert)
	if !ok {
		return answer[treeView]{fetched, treeView{Complete: true}}, nil
	}
	m, err := a.momentOf(ctx, alert)
	if err != nil {
		return answer[treeView]{}, err
	}
	events, complete, err := a.eventsAround(ctx, host, m)
	if err != nil {
		return answer[treeView]{}, err
	}
	forest := lineage.Build(events)
	p := forest.Of(about)
	if p == nil { // the row was purged, or there were too many
		forest = lineage.Build(append(events, about))
		p = forest.Of(about)
	}
	marks, err := a.alertMarks(ctx, host, forest, alert)
	if err != nil {
		return answer[treeView]{}, err
	}
	tree := viewTreeNode(forest.Tree(p, treeBounds), marks)
	return answer[treeView]{fetched, treeView{ProcessGUID: &p.ID, Tree: &tree, Complete: complete}}, nil
}

// alertMarks are the alerts of a host from the days around one, by process.
func (a *api) alertMarks(ctx context.Context, host *hosts.Host, forest *lineage.Forest, around alerts.Alert) (map[string][]treeAlert, error) {
	const most = 1_000
	near, _, _, err := a.Alerts.List(ctx, alerts.Filter{
		HostID: host.ID, From: around.Created.Add(-2 * day), To: around.Created.Add(2 * day), Limit: most,
	})
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(near, func(alert alerts.Alert) bool { return alert.ID == around.ID }) {
		near = append(near, around) // there are too many, or the host was removed
	}
	marks := map[string][]treeAlert{}
	mark := func(alert alerts.Alert) {
		e, ok := a.alertEvent(host, alert)
		if !ok {
			return
		}
		of := treeAlert{alert.ID, alert.Name, alert.Severity, string(alert.Status)}
		if p := forest.Of(e); p != nil && !slices.Contains(marks[p.ID], of) {
			marks[p.ID] = append(marks[p.ID], of)
		}
	}
	for _, alert := range near {
		mark(alert)
	}
	gathered, _, err := a.Alerts.Events(ctx, around.ID, alerts.Page{Limit: most})
	for _, e := range gathered { // of the others the first alone
		around.QueryName, around.Columns, around.Time = e.QueryName, e.Columns, e.Time
		mark(around)
	}
	return marks, err
}

func viewTreeNode(n *lineage.Node, marks map[string][]treeAlert) treeNode {
	view := treeNode{
		ProcessGUID: n.ID, PID: orNull(n.PID), Path: n.Path, Name: n.Path[strings.LastIndexAny(n.Path, `\/`)+1:], Cmdline: n.Cmdline, Username: n.User,
		Begun: isoSeconds(n.Begun), Ended: isoSeconds(n.Ended), Focus: n.Focus, Alerts: list(marks[n.ID]), Events: []treeEvent{}, MoreEvents: n.MoreEvents,
		Children: []treeNode{}, MoreChildren: n.MoreChildren,
	}
	for _, e := range n.Did {
		view.Events = append(view.Events, treeEvent{e.Table, e.Action, isoSeconds(e.Time), orObject(e.Columns)})
	}
	for _, child := range n.Below {
		view.Children = append(view.Children, viewTreeNode(child, marks))
	}
	return view
}

// isoSeconds renders seconds since 1970; 0 is null.
func isoSeconds(at int64) *string {
	if at == 0 {
		return nil
	}
	return iso(time.Unix(at, 0))
}
