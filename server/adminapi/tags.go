package adminapi

import (
	"context"
	"strings"

	"muster/server/hosts"
)

func (a *api) tagRoutes() []route {
	in := a.signedIn
	return []route{
		{"GET", "/tags", in, handle(a, a.listTags), "View all tags and what carries them"},
		{"POST", "/tags/add", in, change(a, a.addTag), "Add a tag"},
		{"POST", "/tags/rename", in, change(a, a.renameTag), "Rename a tag wherever it is"},
		{"POST", "/tags/delete", in, change(a, a.deleteTag), "Delete a tag: it is taken off everything"},
		{"POST", "/tags/tagged", in, handle(a, a.listTagged), "View all hosts, packs and queries of tags"},
		{"POST", "/hosts/tagged", in, handle(a, a.listTaggedHosts), "View all hosts of tags"},
		{"POST", "/packs/tagged", in, handle(a, a.listTaggedPacks), "View all packs of tags"},
		{"POST", "/queries/tagged", in, handle(a, a.listTaggedQueries), "View all queries of tags"},
	}
}

// tagView is a tag and what carries it (document, "View list of all tags"): hosts
// by identifier, the rest by name. Yara is ours. Paths to watch belong to packs
// and configs here, so that file_paths is empty.
type tagView struct {
	Value     string   `json:"value"`
	Nodes     []string `json:"nodes"`
	Packs     []string `json:"packs"`
	Queries   []string `json:"queries"`
	FilePaths []string `json:"file_paths"`
	YARA      []string `json:"yara"`
}

type listTags struct {
	Search string `arg:"searchterm"`
	Start  int    `arg:"start,default=0,min=0"`
	Limit  int    `arg:"limit,default=0,min=0"`
}

func (a *api) listTags(ctx context.Context, r listTags) (answer[page[tagView]], error) {
	tags, count, total, err := a.Hosts.ListTags(ctx, hosts.TagFilter{Search: r.Search, Start: r.Start, Limit: r.Limit})
	if err != nil {
		return answer[page[tagView]]{}, err
	}
	views, err := a.viewTags(ctx, tags)
	if err != nil {
		return answer[page[tagView]]{}, err
	}
	return answer[page[tagView]]{"Successfully fetched the tags info", page[tagView]{views, count, total}}, nil
}

type tagRequest struct {
	dryRun
	Tag string `arg:"tag,required"`
}

func (a *api) addTag(ctx context.Context, r tagRequest) (answer[none], error) {
	tag, err := a.hostsOf(ctx).CreateTag(ctx, r.Tag)
	if err != nil {
		return answer[none]{}, err
	}
	a.record(ctx, "tag.add", tag.Value, nil)
	return answer[none]{message: "Tag is added successfully"}, nil
}

type renameTag struct {
	dryRun
	Tag string `arg:"tag,required"`
	New string `arg:"new_tag,required"`
}

// renameTag changes no config: what hosts run is selected by the tag's id.
func (a *api) renameTag(ctx context.Context, r renameTag) (answer[none], error) {
	if err := a.hostsOf(ctx).RenameTag(ctx, r.Tag, r.New); err != nil {
		return answer[none]{}, err
	}
	a.tagsChanged(ctx)
	before, after := strings.TrimSpace(r.Tag), strings.TrimSpace(r.New)
	a.record(ctx, "tag.rename", before, map[string]any{"before": before, "after": after})
	return answer[none]{message: "Tag is renamed successfully"}, nil
}

func (a *api) deleteTag(ctx context.Context, r tagRequest) (answer[none], error) {
	before, err := a.carriedBy(ctx, r.Tag)
	if err != nil {
		return answer[none]{}, err
	}
	if err := a.hostsOf(ctx).DeleteTag(ctx, r.Tag); err != nil {
		return answer[none]{}, err
	}
	a.tagsChanged(ctx)
	a.record(ctx, "tag.delete", strings.TrimSpace(r.Tag), before)
	return answer[none]{message: "Tag is deleted successfully"}, nil
}

// carriedBy is what the trail says of a tag that goes. A dry run records nothing,
// and must not ask for YARA files: that takes a second connection to the database,
// for which it would wait with all others that have one.
func (a *api) carriedBy(ctx context.Context, value string) (map[string]any, error) {
	if rehearsing(ctx) {
		return map[string]any{}, nil
	}
	tags, err := a.Hosts.FindTags(ctx, []string{value})
	if err != nil {
		return nil, err
	}
	views, err := a.viewTags(ctx, tags)
	if err != nil || len(views) == 0 {
		return map[string]any{}, err
	}
	// Hosts are counted: there may be too many for the trail.
	carried := map[string]any{
		"nodes": len(views[0].Nodes), "packs": views[0].Packs, "queries": views[0].Queries, "yara": views[0].YARA,
	}
	return map[string]any{"before": carried}, nil
}

// tagsChanged lets what is rendered follow a change of tags before the answer is
// given. Where that fails, the hint that was published makes up for it.
func (a *api) tagsChanged(ctx context.Context) {
	if rehearsing(ctx) {
		return
	}
	if err := a.Schedule.Refresh(ctx); err != nil {
		a.Log.Warn("a change of tags is not rendered yet", "error", err)
	}
}
