package adminapi

import (
	"cmp"
	"context"
	"slices"

	"muster/server/fault"
	"muster/server/hosts"
	"muster/server/schedule"
)

// tagArgs names tags; what carries one of them is asked for.
type tagArgs struct {
	Tags []string `arg:"tags,required"`
}

// argTags finds the tags of the request. One that is unknown is left out, unless
// all of them are.
func (a *api) argTags(ctx context.Context, r tagArgs) ([]hosts.Tag, error) {
	tags, err := a.Hosts.FindTags(ctx, r.Tags)
	if err == nil && len(tags) == 0 {
		err = fault.New(fault.NotFound, "Tag(s) doesn't exists for the value(s) provided")
	}
	return tags, err
}

// taggedView is what carries one of some tags (document, "View all hosts, packs,
// queries of a tag"), the newest first.
type taggedView struct {
	Hosts   []hostItem  `json:"hosts"`
	Packs   []packView  `json:"packs"`
	Queries []packQuery `json:"queries"`
}

func (a *api) listTagged(ctx context.Context, r tagArgs) (answer[taggedView], error) {
	tags, err := a.argTags(ctx, r)
	if err != nil {
		return answer[taggedView]{}, err
	}
	view := taggedView{}
	if view.Hosts, err = a.taggedHosts(ctx, tags); err != nil {
		return answer[taggedView]{}, err
	}
	if view.Packs, err = a.taggedPacks(ctx, tags); err != nil {
		return answer[taggedView]{}, err
	}
	view.Queries, err = a.taggedQueries(ctx, tags)
	return answer[taggedView]{"All hosts, queries, packs for the tag provided!", view}, err
}

func (a *api) listTaggedHosts(ctx context.Context, r tagArgs) (answer[[]hostItem], error) {
	tags, err := a.argTags(ctx, r)
	if err != nil {
		return answer[[]hostItem]{}, err
	}
	items, err := a.taggedHosts(ctx, tags)
	return answer[[]hostItem]{"All hosts for the tag provided!", items}, err
}

func (a *api) listTaggedPacks(ctx context.Context, r tagArgs) (answer[[]packView], error) {
	tags, err := a.argTags(ctx, r)
	if err != nil {
		return answer[[]packView]{}, err
	}
	views, err := a.taggedPacks(ctx, tags)
	return answer[[]packView]{"All packs for the tag provided!", views}, err
}

func (a *api) listTaggedQueries(ctx context.Context, r tagArgs) (answer[[]packQuery], error) {
	tags, err := a.argTags(ctx, r)
	if err != nil {
		return answer[[]packQuery]{}, err
	}
	views, err := a.taggedQueries(ctx, tags)
	return answer[[]packQuery]{"All queries for the tag provided!", views}, err
}

func (a *api) taggedHosts(ctx context.Context, tags []hosts.Tag) ([]hostItem, error) {
	values := make([]string, len(tags))
	for i, tag := range tags {
		values[i] = tag.Value
	}
	rows, _, err := a.Hosts.Targets(ctx, nil, values)
	items := make([]hostItem, 0, len(rows))
	for _, h := range rows {
		items = append(items, a.viewHostItem(h))
	}
	return items, err
}

func (a *api) taggedPacks(ctx context.Context, tags []hosts.Tag) ([]packView, error) {
	packs, _, _, err := a.Schedule.ListPacks(ctx, schedule.PackFilter{TagIDs: tagIDs(tags)})
	views := make([]packView, 0, len(packs))
	for _, p := range packs {
		views = append(views, viewPack(p))
	}
	return views, err
}

func (a *api) taggedQueries(ctx context.Context, tags []hosts.Tag) ([]packQuery, error) {
	queries, _, _, err := a.Schedule.ListQueries(ctx, schedule.QueryFilter{TagIDs: tagIDs(tags)})
	slices.SortFunc(queries, func(x, y schedule.StoredQuery) int { return cmp.Compare(y.ID, x.ID) })
	views := make([]packQuery, 0, len(queries))
	for _, q := range queries {
		views = append(views, viewStored(q))
	}
	return views, err
}

func tagIDs(tags []hosts.Tag) []int64 {
	ids := make([]int64, len(tags))
	for i, tag := range tags {
		ids[i] = tag.ID
	}
	return ids
}
