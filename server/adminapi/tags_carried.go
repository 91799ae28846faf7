package adminapi

import (
	"context"

	"muster/server/hosts"
	"muster/server/schedule"
)

// viewTags looks up what carries the tags: one question to each feature, however
// many tags there are.
func (a *api) viewTags(ctx context.Context, tags []hosts.Tag) ([]tagView, error) {
	views := make([]tagView, len(tags))
	if len(tags) == 0 {
		return views, nil
	}
	place := make(map[string]*tagView, len(tags))
	ids := make([]int64, len(tags))
	for i, tag := range tags {
		views[i] = tagView{Value: tag.Value, Packs: []string{}, Queries: []string{}, FilePaths: []string{}, YARA: []string{}}
		place[tag.Value], ids[i] = &views[i], tag.ID
	}
	carriers := a.Hosts.Carriers(ctx, ids)
	for i, id := range ids {
		views[i].Nodes = list(carriers[id])
	}
	err := a.eachTagged(ctx, ids, func(value string, add func(*tagView)) {
		if view := place[value]; view != nil {
			add(view)
		}
	})
	return views, err
}

// eachTagged tells for everything but hosts that carries one of the tags by which
// tag, and how to note it.
func (a *api) eachTagged(ctx context.Context, ids []int64, each func(tag string, add func(*tagView))) error {
	packs, _, _, err := a.scheduleOf(ctx).ListPacks(ctx, schedule.PackFilter{TagIDs: ids})
	if err != nil {
		return err
	}
	for _, pack := range packs {
		for _, tag := range pack.Tags {
			each(tag, func(v *tagView) { v.Packs = append(v.Packs, pack.Name) })
		}
	}
	queries, _, _, err := a.scheduleOf(ctx).ListQueries(ctx, schedule.QueryFilter{TagIDs: ids})
	if err != nil {
		return err
	}
	for _, query := range queries {
		for _, tag := range query.Tags {
			each(tag, func(v *tagView) { v.Queries = append(v.Queries, query.Name) })
		}
	}
	files, err := a.YARA.ListTagged(ctx, ids)
	if err != nil {
		return err
	}
	for _, file := range files {
		for _, tag := range file.Tags {
			each(tag.Value, func(v *tagView) { v.YARA = append(v.YARA, file.Name) })
		}
	}
	return nil
}
