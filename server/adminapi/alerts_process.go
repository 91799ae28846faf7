package adminapi

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"muster/server/alerts"
	"muster/server/hosts"
	"muster/server/lineage"
)

const (
	processPage     = 20 // events on a page of a tree
	processNeither  = "Please provide the node id!"
	processHostGone = "Host identifier or node id passed is not correct!"
)

// processChild is an event in a tree (document, "Get alerts data for process
// analysis"). HasChild: what began in it did something, and can be asked for.
type processChild struct {
	Color    string          `json:"color"`
	Name     string          `json:"name"`
	Data     json.RawMessage `json:"data"`
	HasChild bool            `json:"has_child,omitempty"`
}

// processAction is the events of a process with one action. Those of the alert's
// action come filled in.
type processAction struct {
	Action      string         `json:"action"`
	Count       int            `json:"count"`
	Color       string         `json:"color"`
	NodeType    string         `json:"node_type"`
	Children    []processChild `json:"children,omitempty"`
	LastTime    string         `json:"last_time,omitempty"`
	AllChildren []processChild `json:"all_children,omitempty"`
	Name        string         `json:"name"`
	Fetched     bool           `json:"fetched,omitempty"`
	ProcessGUID string         `json:"process_guid"`
}

// processView is a process with what it did.
type processView struct {
	Name        string          `json:"name"`
	Path        string          `json:"path"`
	AllChildren []processAction `json:"all_children"`
	NodeType    string          `json:"node_type"`
	Data        json.RawMessage `json:"data"`
}

type viewProcessRequest struct {
	hostArgs
	ProcessGUID string `arg:"process_guid,required"`
	AlertID     int64  `arg:"alert_id,default=0,min=0"`
}

func (a *api) viewProcess(ctx context.Context, r viewProcessRequest) (answer[processView], error) {
	host, err := a.argHost(ctx, r.hostArgs, processNeither, processHostGone)
	if err != nil {
		return answer[processView]{}, err
	}
	near, about, err := a.alertAt(ctx, host, r.AlertID)
	if err != nil {
		return answer[processView]{}, err
	}
	forest, events, err := a.forestOf(ctx, host, r.ProcessGUID, near)
	if err != nil {
		return answer[processView]{}, err
	}
	p := forest.Find(r.ProcessGUID)
	if p == nil {
		p = &lineage.Process{ID: r.ProcessGUID, Path: r.ProcessGUID}
	}
	view := processView{Path: cmp.Or(p.Path, p.ID), NodeType: "root", AllChildren: []processAction{}}
	view.Name = view.Path[strings.LastIndexAny(view.Path, `\/`)+1:]
	view.Data = with(nil, map[string]string{"process_guid": p.ID, "path": view.Path})
	if len(p.Starts) > 0 {
		view.Data = processColumns(p.Starts[len(p.Starts)-1])
	}
	for _, of := range actionsOf(p) {
		action := processAction{Action: of.action, Count: len(of.events), Color: "blue", NodeType: "action", Name: of.action, ProcessGUID: p.ID}
		if about != nil && about.Action == of.action && shownAt(forest, *about) == p.ID {
			page := firstPage(of.events, 0)
			if action.Children, err = a.viewChildren(ctx, host, page, events); err != nil {
				return answer[processView]{}, err
			}
			action.AllChildren, action.LastTime, action.Fetched = action.Children, lastTime(page), true
		}
		view.AllChildren = append(view.AllChildren, action)
	}
	return answer[processView]{alertsFetched, view}, nil
}

// shownAt is the process under which a tree shows an event: a beginning is shown as
// what the parent did.
func shownAt(forest *lineage.Forest, e lineage.Event) string {
	p := forest.Of(e)
	switch {
	case p == nil:
		return ""
	case e.Kind != lineage.Start && e.Kind != lineage.Fork:
		return p.ID
	case p.Parent == nil:
		return ""
	}
	return p.Parent.ID
}

// alertAt is when an alert of the host was and what its row tells; without an alert,
// now.
func (a *api) alertAt(ctx context.Context, host *hosts.Host, id int64) (moment, *lineage.Event, error) {
	if id == 0 {
		return moment{arrived: a.Now()}, nil, nil
	}
	alert, of, err := a.findAlert(ctx, id)
	if err != nil {
		return moment{}, nil, err
	}
	if of.ID != host.ID {
		return moment{}, nil, alerts.ErrNoAlert
	}
	m, err := a.momentOf(ctx, alert)
	if err != nil {
		return moment{}, nil, err
	}
	e, ok := a.alertEvent(host, alert)
	if !ok {
		return m, nil, nil
	}
	return m, &e, nil
}

// actionEvents are events of a process with one action, by time.
type actionEvents struct {
	action string
	events []lineage.Event
}

// actionsOf are what a process did, by action: what it started is a part of it.
func actionsOf(p *lineage.Process) []actionEvents {
	var events []lineage.Event
	for _, child := range p.Children {
		events = append(events, child.Starts...)
	}
	events = append(events, p.Events...)
	slices.SortStableFunc(events, func(a, b lineage.Event) int { return cmp.Compare(a.Time, b.Time) })
	var all []actionEvents
	for _, e := range events {
		at := slices.IndexFunc(all, func(of actionEvents) bool { return of.action == e.Action })
		if at < 0 {
			at = len(all)
			all = append(all, actionEvents{action: e.Action})
		}
		all[at].events = append(all[at].events, e)
	}
	return all
}
