package adminapi

import (
	"context"
	"encoding/json"
	"time"

	"muster/server/condition"
	"muster/server/fault"
	"muster/server/hosts"
	"muster/server/results"
)

func (a *api) searchRoutes() []route {
	in := a.signedIn
	return []route{
		{"POST", "/search", in, handle(a, a.search), "Search in what hosts reported"},
		{"POST", "/activity/search", in, handle(a, a.searchActivity), "Search in what hosts reported: the newest rows of all hosts"},
		{"POST", "/hosts/search/export", in, handle(a, a.exportSearch), "Export what a host reported for a query, or what matches of it, to a CSV file"},
		{"POST", "/schedule_query/export", in, handle(a, a.exportActivity), "Export what a host reported for a query to a CSV file"},
		{"POST", "/queryresult/delete", in, act(a, a.deleteResults), "Delete what hosts reported before some days"},
	}
}

const (
	searchFetched   = "Successfully fetched the results through the payload given"
	searchNoQuery   = "Please provide the query name"
	searchHostWrong = "Please provide correct host identifier!"
)

// named says whether the request names a host.
func (r hostArgs) named() bool { return r.HostIdentifier != "" || r.NodeID != nil }

// conditions reads the conditions of the query builder.
func conditions(given map[string]any) (*condition.Tree, error) {
	return condition.Parse(given, condition.Options{Own: results.SearchFields()})
}

type searchRequest struct {
	hostArgs
	windowArgs
	Conditions map[string]any `arg:"conditions,required"`
	QueryName  string         `arg:"query_name"`
	Start      int            `arg:"start,default=0,min=0"`
	Limit      int            `arg:"limit,default=100,min=0,max=10000,page"`
}

// searchAnswer is what a search found, and how far it looked.
type searchAnswer struct {
	said
	Data     matchesView  `json:"data"`
	Searched searchedView `json:"searched"`
}

// search counts by host and query or, of one host and query, gives the rows.
func (a *api) search(ctx context.Context, r searchRequest) (searchAnswer, error) {
	q, err := a.searchOf(r, noDate)
	if err != nil {
		return searchAnswer{}, err
	}
	if r.named() {
		return a.searchRows(ctx, r, q)
	}
	known := a.activeHosts(ctx)
	q.Visible = known.visible
	groups, reach, err := a.Results.Search(ctx, q)
	if err != nil {
		return searchAnswer{}, err
	}
	return searchAnswer{succeeded(searchFetched), matchesView{groups: known.group(groups)}, viewReach(reach)}, nil
}

// searchOf is the request without its host.
func (a *api) searchOf(r searchRequest, today time.Time) (results.Search, error) {
	where, err := conditions(r.Conditions)
	if err != nil {
		return results.Search{}, err
	}
	from, to, err := r.window(today)
	return results.Search{Where: where, From: from, To: to, Name: r.QueryName}, err
}

func (a *api) searchRows(ctx context.Context, r searchRequest, q results.Search) (searchAnswer, error) {
	if r.QueryName == "" {
		return searchAnswer{}, fault.New(fault.Invalid, searchNoQuery)
	}
	host, err := a.argHost(ctx, r.hostArgs, searchHostWrong, searchHostWrong)
	if err != nil {
		return searchAnswer{}, err
	}
	q.HostID = host.ID
	rows, count, reach, err := a.Results.SearchRows(ctx, q, results.Page{Start: r.Start, Limit: r.Limit})
	if err != nil {
		return searchAnswer{}, err
	}
	return searchAnswer{succeeded(searchFetched), matchesView{rows: viewMatches(rows, count)}, viewReach(reach)}, nil
}

// foundRow is a row that a search over all hosts found (reference 1.3).
type foundRow struct {
	ID             int64           `json:"id"`
	Name           string          `json:"name"`
	Timestamp      string          `json:"timestamp"`
	Action         string          `json:"action"`
	Columns        json.RawMessage `json:"columns"`
	NodeID         int64           `json:"node_id"`
	UUID           string          `json:"uuid"`
	Hostname       string          `json:"hostname"`
	HostIdentifier string          `json:"host_identifier"`
}

type foundRows struct {
	Count   int64      `json:"count"`
	Results []foundRow `json:"results"`
}

// foundAnswer is a page of rows of all hosts, and how far the search looked.
type foundAnswer struct {
	said
	Data     foundRows    `json:"data"`
	Searched searchedView `json:"searched"`
}

func (a *api) searchActivity(ctx context.Context, r searchRequest) (foundAnswer, error) {
	q, err := a.searchOf(r, a.Now())
	if err != nil {
		return foundAnswer{}, err
	}
	known := a.activeHosts(ctx)
	q.Visible = known.visible
	if r.named() {
		host, err := a.argHost(ctx, r.hostArgs, searchHostWrong, searchHostWrong)
		if err != nil {
			return foundAnswer{}, err
		}
		q.HostID, q.Visible, known[host.ID] = host.ID, nil, host
	}
	rows, count, reach, err := a.Results.SearchRows(ctx, q, results.Page{Start: r.Start, Limit: r.Limit})
	if err != nil {
		return foundAnswer{}, err
	}
	data := foundRows{Count: count, Results: make([]foundRow, 0, len(rows))}
	for _, row := range rows {
		data.Results = append(data.Results, known.row(row))
	}
	return foundAnswer{succeeded(searchFetched), data, viewReach(reach)}, nil
}

// knownHosts are hosts by their id.
type knownHosts map[int64]*hosts.Host

// activeHosts are the hosts whose rows a search shows: those that are neither
// removed nor deleted.
func (a *api) activeHosts(ctx context.Context) knownHosts {
	rows, _, _, _ := a.Hosts.List(ctx, hosts.Filter{}) // reads memory only, and cannot fail
	known := make(knownHosts, len(rows))
	for _, h := range rows {
		known[h.ID] = h
	}
	return known
}

func (k knownHosts) visible(hostID int64) bool { return k[hostID] != nil }

// group puts groups, which are in the order of hosts, under their hosts.
func (k knownHosts) group(groups []results.Group) []huntGroup {
	views, last := []huntGroup{}, int64(0)
	for _, g := range groups {
		host := k[g.HostID]
		if host == nil {
			continue
		}
		if len(views) == 0 || g.HostID != last {
			views, last = append(views, huntGroup{Hostname: host.DisplayName(), HostIdentifier: host.Identifier}), g.HostID
		}
		view := &views[len(views)-1]
		view.Queries = append(view.Queries, queryCount{QueryName: g.Name, Count: int(g.Count)})
	}
	return views
}

func (k knownHosts) row(r results.Row) foundRow {
	view := foundRow{
		ID: r.ID, Name: r.Name, Timestamp: r.Time.UTC().Format(activityFormat), Action: r.Action, Columns: orObject(r.Columns), NodeID: r.HostID,
		UUID: rowUUID(r.ID),
	}
	if host := k[r.HostID]; host != nil {
		view.Hostname, view.HostIdentifier = host.DisplayName(), host.Identifier
	}
	return view
}
