package adminapi

import (
	"context"
	"slices"
	"strings"
	"time"

	"muster/server/alerts"
	"muster/server/hosts"
	"muster/server/indicator"
	"muster/server/lineage"
	"muster/server/results"
)

// Bounds of the rows that a tree of processes is made of, for each query.
const (
	processesBefore = 5_000
	processesAfter  = 3_000
	processesFor    = 24 * time.Hour // before and after
)

// processTable is the table whose rows a query's are, as far as they tell of
// processes; empty when they do not.
func (a *api) processTable(host *hosts.Host, name string) string {
	tables := a.Schedule.Tables(host, name)
	if last := name[strings.LastIndexByte(name, '/')+1:]; slices.Contains(tables, last) && lineage.Tells(last) {
		return last // of the tables that are joined the one that it is called after
	}
	for _, table := range tables {
		if lineage.Tells(table) {
			return table
		}
	}
	return ""
}

// alertEvent is the row of an alert as an event of a process; false when it tells of
// none.
func (a *api) alertEvent(host *hosts.Host, alert alerts.Alert) (lineage.Event, bool) {
	unix := int64(0)
	if !alert.Time.IsZero() {
		unix = alert.Time.Unix()
	}
	return lineage.Read(a.processTable(host, alert.QueryName), alert.Columns, unix)
}

// processEvents reads rows as events of processes.
func (a *api) processEvents(host *hosts.Host, rows []results.Row) []lineage.Event {
	events := make([]lineage.Event, 0, len(rows))
	tables := map[string]string{}
	for _, row := range rows {
		table, known := tables[row.Name]
		if !known {
			table = a.processTable(host, row.Name)
			tables[row.Name] = table
		}
		if e, ok := lineage.Read(table, row.Columns, row.Time.Unix()); ok {
			events = append(events, e)
		}
	}
	return events
}

// eventsAround are the events of processes of a host in the day before a moment and
// the day after it, the nearest of them where there are too many: complete is false
// then.
func (a *api) eventsAround(ctx context.Context, host *hosts.Host, m moment) (events []lineage.Event, complete bool, err error) {
	names, err := a.Results.Names(ctx, host.ID)
	if err != nil {
		return nil, false, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return a.processTable(host, name) == "" })
	from, to := m.arrival()
	middle := m.arrived.Add(time.Minute) // the alert's row itself is before it
	before, all, err := a.Results.Around(ctx, results.Around{
		HostID: host.ID, Names: names, From: from.Add(-processesFor), To: middle, Limit: processesBefore,
	})
	if err != nil {
		return nil, false, err
	}
	after, rest, err := a.Results.Around(ctx, results.Around{
		HostID: host.ID, Names: names, From: middle, To: to.Add(processesFor), Limit: processesAfter, First: true,
	})
	return a.processEvents(host, slices.Concat(before, after)), all && rest, err
}

// eventsOf are the events of processes with identifiers of their own, and the
// beginnings of their children, however long ago.
func (a *api) eventsOf(ctx context.Context, host *hosts.Host, ids []string) ([]lineage.Event, error) {
	var events []lineage.Event
	for _, column := range []indicator.Type{"process_guid", "parent_process_guid"} {
		rows, _, _, err := a.Results.HuntRows(ctx, results.Hunt{Type: column, Values: ids, HostID: host.ID}, results.Page{Limit: results.MaxLimit})
		if err != nil {
			return nil, err
		}
		for _, e := range a.processEvents(host, rows) {
			// A beginning with this parent is among both, if its own id is asked for too.
			if named := slices.Contains(ids, e.Process); named == (column == "process_guid") {
				events = append(events, e)
			}
		}
	}
	return events, nil
}

// forestOf is the part of a host's processes that has the one of an id in it. near
// says when to look for a process whose beginning is not known.
func (a *api) forestOf(ctx context.Context, host *hosts.Host, id string, near moment) (*lineage.Forest, []lineage.Event, error) {
	pid, start, ours := lineage.ParseID(id)
	var events []lineage.Event
	var err error
	switch {
	case !ours:
		events, err = a.eventsOf(ctx, host, []string{id})
	case pid > 0 && start > 0 && start < a.Now().Add(day).Unix():
		at := time.Unix(start, 0)
		if near.at != 0 && start <= near.at && near.at-start < int64(processesFor/time.Second) {
			at = near.arrived
		}
		events, _, err = a.eventsAround(ctx, host, moment{at: start, unix: start, arrived: at})
	default:
		events, _, err = a.eventsAround(ctx, host, near)
	}
	if err != nil {
		return nil, nil, err
	}
	return lineage.Build(events), events, nil
}
