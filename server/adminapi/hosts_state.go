package adminapi

import (
	"context"
	"strconv"
	"strings"

	"muster/server/fault"
	"muster/server/hosts"
)

func (a *api) listHostTags(ctx context.Context, r pathHost) (answer[[]string], error) {
	h, err := a.findHost(ctx, r.Host, tagHostWrong)
	if err != nil {
		return answer[[]string]{}, err
	}
	return answer[[]string]{"Successfully fetched the tags of host", list(h.Tags)}, nil
}

type hostTag struct {
	dryRun
	Host string `path:"host"`
	Tag  string `arg:"tag,required"`
}

func (a *api) addHostTag(ctx context.Context, r hostTag) (answer[none], error) {
	h, err := a.findHost(ctx, r.Host, tagHostWrong)
	if err != nil {
		return answer[none]{}, err
	}
	if err := a.hostsOf(ctx).AddTag(ctx, h.ID, r.Tag); err != nil {
		return answer[none]{}, err
	}
	a.recordHostTag(ctx, "host.tag.add", h, r.Tag)
	return answer[none]{message: "Successfully created tags to host"}, nil
}

func (a *api) removeHostTag(ctx context.Context, r hostTag) (answer[none], error) {
	h, err := a.findHost(ctx, r.Host, tagHostWrong)
	if err != nil {
		return answer[none]{}, err
	}
	if err := a.hostsOf(ctx).RemoveTag(ctx, h.ID, r.Tag); err != nil {
		return answer[none]{}, err
	}
	a.recordHostTag(ctx, "host.tag.remove", h, r.Tag)
	return answer[none]{message: "Successfully removed tags from host"}, nil
}

// recordHostTag notes a change of the tags of a host; before is the host as it was.
func (a *api) recordHostTag(ctx context.Context, action string, before *hosts.Host, tag string) {
	detail := map[string]any{"tag": strings.TrimSpace(tag), "before": list(before.Tags)}
	if now, err := a.hostsOf(ctx).FindByID(ctx, before.ID); err == nil {
		detail["after"] = list(now.Tags)
	}
	a.record(ctx, action, before.Identifier, detail)
}

// recordHostState notes a change of the state of a host.
func (a *api) recordHostState(ctx context.Context, action string, before *hosts.Host, after hosts.State) {
	a.record(ctx, action, before.Identifier, map[string]any{"before": string(before.State), "after": string(after)})
}

func (a *api) removeHost(ctx context.Context, r pathHost) (answer[none], error) {
	h, err := a.findHost(ctx, r.Host, hostNotPresent)
	if err != nil {
		return answer[none]{}, err
	}
	if err := a.Hosts.Remove(ctx, h.ID); err != nil {
		return answer[none]{}, err
	}
	a.recordHostState(ctx, "host.remove", h, hosts.Removed)
	return answer[none]{message: "Successfully removed the host"}, nil
}

func (a *api) enableHost(ctx context.Context, r pathHost) (answer[none], error) {
	h, err := a.findHost(ctx, r.Host, hostNotPresent)
	if err != nil {
		return answer[none]{}, err
	}
	if err := a.Hosts.Enable(ctx, h.ID); err != nil {
		return answer[none]{}, err
	}
	a.recordHostState(ctx, "host.enable", h, hosts.Active)
	return answer[none]{message: "Successfully enabled the host"}, nil
}

// deleteHost is the document's, plus reenroll: whether the machine may enrol
// anew. A host that is deleted already can be given that by its id.
type deleteHost struct {
	Host     string `path:"host"`
	Reenroll bool   `arg:"reenroll,default=false"`
}

func (a *api) deleteHost(ctx context.Context, r deleteHost) (answer[none], error) {
	id, subject, before := int64(0), r.Host, hosts.Deleted
	h, err := a.findHost(ctx, r.Host, hostNotPresent)
	number, notNumber := strconv.ParseInt(r.Host, 10, 64)
	switch {
	case err == nil:
		id, subject, before = h.ID, h.Identifier, h.State
	case fault.Is(err, fault.NotFound) && r.Reenroll && notNumber == nil:
		id = number
	default:
		return answer[none]{}, err
	}
	if err := a.Hosts.Delete(ctx, id, r.Reenroll); err != nil {
		return answer[none]{}, err
	}
	a.record(ctx, "host.delete", subject, map[string]any{
		"node_id": id, "reenroll": r.Reenroll, "before": string(before), "after": string(hosts.Deleted),
	})
	return answer[none]{message: "Successfully deleted the host"}, nil
}
