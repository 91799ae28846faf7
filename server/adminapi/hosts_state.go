package adminapi

import (
	"context"
	"strconv"
	"strings"

	"muster/server/fault"
)

func (a *api) listHostTags(ctx context.Context, r pathHost) (answer[[]string], error) {
	h, err := a.findHost(ctx, r.Host, tagHostWrong)
	if err != nil {
		return answer[[]string]{}, err
	}
	return answer[[]string]{"Successfully fetched the tags of host", list(h.Tags)}, nil
}

type hostTag struct {
	Host string `path:"host"`
	Tag  string `arg:"tag,required"`
}

func (a *api) addHostTag(ctx context.Context, r hostTag) (answer[none], error) {
	h, err := a.findHost(ctx, r.Host, tagHostWrong)
	if err != nil {
		return answer[none]{}, err
	}
	if err := a.Hosts.AddTag(ctx, h.ID, r.Tag); err != nil {
		return answer[none]{}, err
	}
	a.record(ctx, "host.tag.add", h.Identifier, map[string]any{"tag": strings.TrimSpace(r.Tag)})
	return answer[none]{message: "Successfully created tags to host"}, nil
}

func (a *api) removeHostTag(ctx context.Context, r hostTag) (answer[none], error) {
	h, err := a.findHost(ctx, r.Host, tagHostWrong)
	if err != nil {
		return answer[none]{}, err
	}
	if err := a.Hosts.RemoveTag(ctx, h.ID, r.Tag); err != nil {
		return answer[none]{}, err
	}
	a.record(ctx, "host.tag.remove", h.Identifier, map[string]any{"tag": strings.TrimSpace(r.Tag)})
	return answer[none]{message: "Successfully removed tags from host"}, nil
}

func (a *api) removeHost(ctx context.Context, r pathHost) (answer[none], error) {
	h, err := a.findHost(ctx, r.Host, hostNotPresent)
	if err != nil {
		return answer[none]{}, err
	}
	if err := a.Hosts.Remove(ctx, h.ID); err != nil {
		return answer[none]{}, err
	}
	a.record(ctx, "host.remove", h.Identifier, nil)
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
	a.record(ctx, "host.enable", h.Identifier, nil)
	return answer[none]{message: "Successfully enabled the host"}, nil
}

// deleteHost is the document's, plus reenroll: whether the machine may enrol
// anew. A host that is deleted already can be given that by its id.
type deleteHost struct {
	Host     string `path:"host"`
	Reenroll bool   `arg:"reenroll,default=false"`
}

func (a *api) deleteHost(ctx context.Context, r deleteHost) (answer[none], error) {
	id, subject := int64(0), r.Host
	h, err := a.findHost(ctx, r.Host, hostNotPresent)
	number, notNumber := strconv.ParseInt(r.Host, 10, 64)
	switch {
	case err == nil:
		id, subject = h.ID, h.Identifier
	case fault.Is(err, fault.NotFound) && r.Reenroll && notNumber == nil:
		id = number
	default:
		return answer[none]{}, err
	}
	if err := a.Hosts.Delete(ctx, id, r.Reenroll); err != nil {
		return answer[none]{}, err
	}
	a.record(ctx, "host.delete", subject, map[string]any{"node_id": id, "reenroll": r.Reenroll})
	return answer[none]{message: "Successfully deleted the host"}, nil
}
