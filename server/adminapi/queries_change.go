package adminapi

import (
	"context"
	"slices"
	"strings"

	"muster/server/fault"
	"muster/server/schedule"
)

// querySpec is what a query is made of (document, "Add a query"). What is absent
// is a default in a new query, and stays as it is in one that is modified.
type querySpec struct {
	dryRun
	Name        string    `arg:"name,required"`
	Query       string    `arg:"query,required"`
	Interval    int       `arg:"interval,required"`
	Tags        *[]string `arg:"tags"`
	Packs       *[]string `arg:"packs"`
	Platform    *string   `arg:"platform"`
	Version     *string   `arg:"version"`
	Description *string   `arg:"description"`
	Value       *string   `arg:"value"`
	Snapshot    *bool     `arg:"snapshot"`
	Removed     *bool     `arg:"removed"`
	Shard       *int      `arg:"shard,min=0,max=100"`
}

// onto writes what was sent over a query.
func (r *querySpec) onto(q *schedule.StoredQuery) error {
	if err := checkPlatform(r.Platform); err != nil {
		return err
	}
	q.Name, q.SQL, q.Interval = r.Name, strings.TrimSpace(r.Query), r.Interval
	set(&q.Platform, r.Platform)
	set(&q.Version, r.Version)
	set(&q.Description, r.Description)
	set(&q.Value, r.Value)
	set(&q.Snapshot, r.Snapshot)
	set(&q.Removed, r.Removed)
	set(&q.Shard, r.Shard)
	set(&q.Tags, r.Tags)
	set(&q.Packs, r.Packs)
	return nil
}

// set copies a value that was sent.
func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// platforms are the words of osquery for where a query runs.
var platforms = []string{"all", "any", "windows", "linux", "darwin", "freebsd", "posix", "ubuntu", "centos"}

// checkPlatform refuses a platform, or a list of them, that would run nowhere.
func checkPlatform(platform *string) error {
	if platform == nil || *platform == "" {
		return nil
	}
	for word := range strings.SplitSeq(*platform, ",") {
		if !slices.Contains(platforms, strings.TrimSpace(word)) {
			return fault.New(fault.Unprocessable, "The platform %q is none of %s", strings.TrimSpace(word), strings.Join(platforms, ", "))
		}
	}
	return nil
}

// queryAdded has the id beside the envelope (document, "Add a query").
type queryAdded struct {
	said
	QueryID int64 `json:"query_id"`
}

func (a *api) addQuery(ctx context.Context, r querySpec) (queryAdded, error) {
	q := schedule.StoredQuery{Query: schedule.Query{Snapshot: true, Denylist: true}}
	if err := r.onto(&q); err != nil {
		return queryAdded{}, err
	}
	added, err := a.scheduleOf(ctx).AddQuery(ctx, q)
	if err != nil {
		return queryAdded{}, err
	}
	a.record(ctx, "query.add", added.Name, map[string]any{"after": viewStored(added)})
	return queryAdded{succeeded("Successfully added the query for the data given"), added.ID}, nil
}

type editQuery struct {
	pathQuery
	querySpec
}

func (a *api) editQuery(ctx context.Context, r editQuery) (answer[packQuery], error) {
	before, after, err := a.scheduleOf(ctx).UpdateQuery(ctx, r.pathQuery.Query, r.onto)
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.NotFound, "%s", queryUnknown)
	}
	if err != nil {
		return answer[packQuery]{}, err
	}
	a.record(ctx, "query.edit", after.Name, map[string]any{"before": viewStored(before), "after": viewStored(after)})
	return answer[packQuery]{"Successfully edited the query info for the given id", viewStored(after)}, nil
}
