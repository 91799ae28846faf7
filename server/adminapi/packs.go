package adminapi

import (
	"context"
	"strconv"
	"strings"

	"muster/server/fault"
	"muster/server/schedule"
)

func (a *api) packRoutes() []route {
	in := a.signedIn
	return []route{
		{"POST", "/packs", in, handle(a, a.listPacks), "View all packs"},
		{"GET", "/packs/{pack}", in, handle(a, a.viewPack), "View a pack"},
		{"POST", "/packs/add", in, changeUpTo(a, packLimit, a.addPack), "Add a pack, or add to the one of its name"},
		{"POST", "/packs/upload", in, changeUpTo(a, packLimit, a.uploadPack), "Upload a file of packs"},
		{"GET", "/packs/{pack}/tags", in, handle(a, a.listPackTags), "View the tags of a pack"},
		{"POST", "/packs/{pack}/tags", in, change(a, a.addPackTag), "Add a tag to a pack"},
		{"DELETE", "/packs/{pack}/tags", in, change(a, a.removePackTag), "Take a tag off a pack"},
		{"DELETE", "/packs/{pack}/delete", in, change(a, a.deletePack), "Delete a pack"},
	}
}

const (
	packsFetched = "successfully fetched the packs info"

	packUnknown     = "Pack info with this pack id does not exist"
	packTagWrong    = "Pack id or pack name passed it not correct"
	packDeleteWrong = "Pack is not available with this pack name or pack id"
)

type listPacks struct {
	Search string `arg:"searchterm"`
	Start  int    `arg:"start,default=0,min=0"`
	Limit  int    `arg:"limit,default=0,min=0"`
}

func (a *api) listPacks(ctx context.Context, r listPacks) (answer[page[packView]], error) {
	packs, count, total, err := a.Schedule.ListPacks(ctx, schedule.PackFilter{Search: r.Search, Start: r.Start, Limit: r.Limit})
	if err != nil {
		return answer[page[packView]]{}, err
	}
	views := make([]packView, 0, len(packs))
	for _, p := range packs {
		views = append(views, viewPack(p))
	}
	return answer[page[packView]]{packsFetched, page[packView]{views, count, total}}, nil
}

// pathPack is a pack in a path, by id or by name.
type pathPack struct {
	Pack string `path:"pack"`
}

func (a *api) findPack(ctx context.Context, idOrName, unknown string) (schedule.Pack, error) {
	p, err := a.scheduleOf(ctx).FindPack(ctx, idOrName)
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.NotFound, "%s", unknown)
	}
	return p, err
}

func (a *api) viewPack(ctx context.Context, r pathPack) (answer[packView], error) {
	p, err := a.findPack(ctx, r.Pack, packUnknown)
	if err != nil {
		return answer[packView]{}, err
	}
	return answer[packView]{packsFetched, viewPack(p)}, nil
}

type deletePack struct {
	dryRun
	pathPack
}

func (a *api) deletePack(ctx context.Context, r deletePack) (answer[none], error) {
	p, err := a.findPack(ctx, r.Pack, packDeleteWrong)
	if err != nil {
		return answer[none]{}, err
	}
	deleted, err := a.scheduleOf(ctx).DeletePack(ctx, strconv.FormatInt(p.ID, 10))
	if err != nil {
		return answer[none]{}, err
	}
	a.record(ctx, "pack.delete", deleted.Name, map[string]any{"before": auditPack(deleted)})
	return answer[none]{message: "Successfully deleted the pack"}, nil
}

func (a *api) listPackTags(ctx context.Context, r pathPack) (answer[[]string], error) {
	p, err := a.findPack(ctx, r.Pack, packTagWrong)
	if err != nil {
		return answer[[]string]{}, err
	}
	return answer[[]string]{"Successfully fetched the tags of pack", list(p.Tags)}, nil
}

type packTag struct {
	dryRun
	pathPack
	Tag string `arg:"tag,required"`
}

func (a *api) addPackTag(ctx context.Context, r packTag) (answer[none], error) {
	p, err := a.findPack(ctx, r.Pack, packTagWrong)
	if err != nil {
		return answer[none]{}, err
	}
	if err := a.scheduleOf(ctx).AddPackTag(ctx, strconv.FormatInt(p.ID, 10), r.Tag); err != nil {
		return answer[none]{}, err
	}
	a.recordPackTag(ctx, "pack.tag.add", p, r.Tag)
	return answer[none]{message: "Successfully created the tag(s) to packs"}, nil
}

func (a *api) removePackTag(ctx context.Context, r packTag) (answer[none], error) {
	p, err := a.findPack(ctx, r.Pack, packTagWrong)
	if err != nil {
		return answer[none]{}, err
	}
	if err := a.scheduleOf(ctx).RemovePackTag(ctx, strconv.FormatInt(p.ID, 10), r.Tag); err != nil {
		return answer[none]{}, err
	}
	a.recordPackTag(ctx, "pack.tag.remove", p, r.Tag)
	return answer[none]{message: "Successfully removed tags from pack"}, nil
}

// recordPackTag notes a change of the tags of a pack; before is the pack as it was.
func (a *api) recordPackTag(ctx context.Context, action string, before schedule.Pack, tag string) {
	detail := map[string]any{"tag": strings.TrimSpace(tag), "before": list(before.Tags)}
	if now, err := a.scheduleOf(ctx).FindPack(ctx, strconv.FormatInt(before.ID, 10)); err == nil {
		detail["after"] = list(now.Tags)
	}
	a.record(ctx, action, before.Name, detail)
}
