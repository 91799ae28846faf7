package adminapi

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"muster/server/hosts"
	"muster/server/lineage"
)

// viewChildren are events of a page. Of what began it is looked up whether it did
// something; known are the events at hand.
func (a *api) viewChildren(ctx context.Context, host *hosts.Host, page, known []lineage.Event) ([]processChild, error) {
	var begun []string
	for _, e := range page {
		if _, _, ours := lineage.ParseID(e.Process); e.Kind == lineage.Start && !ours && !slices.Contains(begun, e.Process) {
			begun = append(begun, e.Process)
		}
	}
	if len(begun) > 0 { // processes with identifiers of their own: only those asked for were read
		more, err := a.eventsOf(ctx, host, begun)
		if err != nil {
			return nil, err
		}
		known = more
	}
	forest := lineage.Build(known)
	children := make([]processChild, 0, len(page))
	for _, e := range page {
		child := processChild{Color: "red", Name: "child", Data: processColumns(e)}
		if p := forest.Find(e.Process); p != nil && e.Kind == lineage.Start {
			child.HasChild = len(p.Children) > 0 || slices.ContainsFunc(p.Events, func(e lineage.Event) bool { return e.Kind == lineage.Other })
		}
		children = append(children, child)
	}
	return children, nil
}

// processPageView is a page of what a process did.
type processPageView struct {
	Children []processChild `json:"child_data"`
	LastTime string         `json:"last_time"` // to be sent for the next page; empty when this one is
}

type viewProcessChildrenRequest struct {
	hostArgs
	ProcessGUID string `arg:"process_guid,required"`
	Action      string `arg:"action,required"`
	LastTime    int64  `arg:"last_time,default=0,min=0"`
	AlertID     int64  `arg:"alert_id,default=0,min=0"`
}

func (a *api) viewProcessChildren(ctx context.Context, r viewProcessChildrenRequest) (answer[processPageView], error) {
	host, err := a.argHost(ctx, r.hostArgs, processNeither, processHostGone)
	if err != nil {
		return answer[processPageView]{}, err
	}
	near, _, err := a.alertAt(ctx, host, r.AlertID)
	if err != nil {
		return answer[processPageView]{}, err
	}
	forest, events, err := a.forestOf(ctx, host, r.ProcessGUID, near)
	if err != nil {
		return answer[processPageView]{}, err
	}
	view := processPageView{Children: []processChild{}}
	if p := forest.Find(r.ProcessGUID); p != nil {
		for _, of := range actionsOf(p) {
			if of.action == r.Action {
				page := firstPage(of.events, r.LastTime)
				view.LastTime = lastTime(page)
				view.Children, err = a.viewChildren(ctx, host, page, events)
			}
		}
	}
	return answer[processPageView]{"Successfully get the data", view}, err
}

// firstPage is the events after a second: a page of them, and those of its last
// second, so that the next page can begin behind it.
func firstPage(events []lineage.Event, after int64) []lineage.Event {
	from := 0
	for from < len(events) && events[from].Time <= after {
		from++
	}
	to := min(from+processPage, len(events))
	for to > from && to < len(events) && to-from < 50*processPage && events[to].Time == events[to-1].Time {
		to++
	}
	return events[from:to]
}

func lastTime(page []lineage.Event) string {
	if len(page) == 0 {
		return ""
	}
	return strconv.FormatInt(page[len(page)-1].Time, 10)
}

// processColumns are the columns of an event with the identifiers of its processes,
// where they are not among them anyway.
func processColumns(e lineage.Event) json.RawMessage {
	if strings.HasPrefix(e.Table, "win_") {
		return orObject(e.Columns)
	}
	return with(e.Columns, map[string]string{"process_guid": e.Process, "parent_process_guid": e.Parent, "action": e.Action})
}
