package adminapi

import (
	"context"
	"strconv"
	"strings"

	"muster/server/fault"
	"muster/server/schedule"
)

func (a *api) queryRoutes() []route {
	in := a.signedIn
	return []route{
		{"POST", "/queries", in, handle(a, a.listQueries), "View all queries"},
		{"POST", "/queries/packed", in, handle(a, a.listPackedQueries), "View all queries that are in a pack"},
		{"GET", "/queries/{query}", in, handle(a, a.viewQuery), "View a query"},
		{"POST", "/queries/add", in, change(a, a.addQuery), "Add a query"},
		{"POST", "/queries/{query}", in, change(a, a.editQuery), "Modify a query"},
		{"GET", "/queries/{query}/tags", in, handle(a, a.listQueryTags), "View the tags of a query"},
		{"POST", "/queries/{query}/tags", in, change(a, a.addQueryTag), "Add a tag to a query"},
		{"DELETE", "/queries/{query}/tags", in, change(a, a.removeQueryTag), "Take a tag off a query"},
		{"DELETE", "/queries/{query}/delete", in, change(a, a.deleteQuery), "Delete a query, from its packs too"},
	}
}

type listQueries struct {
	Search string `arg:"searchterm"`
	Start  int    `arg:"start,default=0,min=0"`
	Limit  int    `arg:"limit,default=0,min=0"`
}

func (a *api) listQueries(ctx context.Context, r listQueries) (answer[page[packQuery]], error) {
	return a.queriesPage(ctx, schedule.QueryFilter{Search: r.Search, Start: r.Start, Limit: r.Limit}, "Successfully fetched the queries info!")
}

func (a *api) listPackedQueries(ctx context.Context, r listQueries) (answer[page[packQuery]], error) {
	return a.queriesPage(ctx, schedule.QueryFilter{Search: r.Search, Packed: true, Start: r.Start, Limit: r.Limit},
		"Successfully fetched the packed queries info")
}

func (a *api) queriesPage(ctx context.Context, f schedule.QueryFilter, message string) (answer[page[packQuery]], error) {
	queries, count, total, err := a.Schedule.ListQueries(ctx, f)
	if err != nil {
		return answer[page[packQuery]]{}, err
	}
	views := make([]packQuery, 0, len(queries))
	for _, q := range queries {
		views = append(views, viewStored(q))
	}
	return answer[page[packQuery]]{message, page[packQuery]{views, count, total}}, nil
}

func viewStored(q schedule.StoredQuery) packQuery {
	return packQuery{queryFields: viewQuery(q.Query), Name: q.Name, SQL: q.SQL, Tags: list(q.Tags), Packs: list(q.Packs)}
}

// The failures of lookups (reference 1.10); the document has one for each place.
const (
	queryUnknown     = "Query with this id does not exist"
	queryTagsWrong   = "Query id passed it not correct"
	queryTagWrong    = "query id passed it not correct"
	queryUntagWrong  = "Query id name passed it not correct"
	queryDeleteWrong = "Query is not available with this query_name or query_id"
)

// pathQuery is a query in a path, by id or by name.
type pathQuery struct {
	Query string `path:"query"`
}

func (a *api) findQuery(ctx context.Context, idOrName, unknown string) (schedule.StoredQuery, error) {
	q, err := a.scheduleOf(ctx).FindQuery(ctx, idOrName)
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.NotFound, "%s", unknown)
	}
	return q, err
}

func (a *api) viewQuery(ctx context.Context, r pathQuery) (answer[packQuery], error) {
	q, err := a.findQuery(ctx, r.Query, queryUnknown)
	if err != nil {
		return answer[packQuery]{}, err
	}
	return answer[packQuery]{"Successfully fetched the query info for the given id", viewStored(q)}, nil
}

func (a *api) deleteQuery(ctx context.Context, r deleteQuery) (answer[none], error) {
	q, err := a.findQuery(ctx, r.Query, queryDeleteWrong)
	if err != nil {
		return answer[none]{}, err
	}
	deleted, err := a.scheduleOf(ctx).DeleteQuery(ctx, strconv.FormatInt(q.ID, 10))
	if err != nil {
		return answer[none]{}, err
	}
	a.record(ctx, "query.delete", deleted.Name, map[string]any{"before": viewStored(deleted)})
	return answer[none]{message: "Successfully deleted the query"}, nil
}

type deleteQuery struct {
	dryRun
	pathQuery
}

func (a *api) listQueryTags(ctx context.Context, r pathQuery) (answer[[]string], error) {
	q, err := a.findQuery(ctx, r.Query, queryTagsWrong)
	if err != nil {
		return answer[[]string]{}, err
	}
	return answer[[]string]{"Successfully fetched the tags of query", list(q.Tags)}, nil
}

type queryTag struct {
	dryRun
	pathQuery
	Tag string `arg:"tag,required"`
}

func (a *api) addQueryTag(ctx context.Context, r queryTag) (answer[none], error) {
	q, err := a.findQuery(ctx, r.Query, queryTagWrong)
	if err != nil {
		return answer[none]{}, err
	}
	if err := a.scheduleOf(ctx).AddQueryTag(ctx, strconv.FormatInt(q.ID, 10), r.Tag); err != nil {
		return answer[none]{}, err
	}
	a.recordQueryTag(ctx, "query.tag.add", q, r.Tag)
	return answer[none]{message: "Successfully created the tag(s) to queries"}, nil
}

func (a *api) removeQueryTag(ctx context.Context, r queryTag) (answer[none], error) {
	q, err := a.findQuery(ctx, r.Query, queryUntagWrong)
	if err != nil {
		return answer[none]{}, err
	}
	if err := a.scheduleOf(ctx).RemoveQueryTag(ctx, strconv.FormatInt(q.ID, 10), r.Tag); err != nil {
		return answer[none]{}, err
	}
	a.recordQueryTag(ctx, "query.tag.remove", q, r.Tag)
	return answer[none]{message: "Successfully removed tags from query"}, nil
}

// recordQueryTag notes a change of the tags of a query; before is the query as it was.
func (a *api) recordQueryTag(ctx context.Context, action string, before schedule.StoredQuery, tag string) {
	detail := map[string]any{"query_id": before.ID, "tag": strings.TrimSpace(tag), "before": list(before.Tags)}
	if now, err := a.scheduleOf(ctx).FindQuery(ctx, strconv.FormatInt(before.ID, 10)); err == nil {
		detail["after"] = list(now.Tags)
	}
	a.record(ctx, action, before.Name, detail)
}
