package adminapi

import (
	"context"
	"maps"
	"slices"

	"muster/server/schedule"
)

const (
	configNeither = "Atleast one of host identifier or node id should be given!"
	configFetched = "Successfully fetched full config of the node for the host identifier passed"
)

// configView is what a host's config is made of (document, "View full config").
type configView struct {
	Options   map[string]any         `json:"options"`
	FilePaths map[string][]string    `json:"file_paths"`
	Queries   map[string]configQuery `json:"queries"`
	Packs     []packView             `json:"packs"`
	Filters   map[string]any         `json:"filters"`
}

// queryFields are a query's besides its SQL, whose name differs by place. What
// is not set is null.
type queryFields struct {
	ID          int64   `json:"id"`
	Interval    int     `json:"interval"`
	Platform    *string `json:"platform"`
	Version     *string `json:"version"`
	Description *string `json:"description"`
	Value       *string `json:"value"`
	Removed     bool    `json:"removed"`
	Snapshot    bool    `json:"snapshot"`
	Shard       int     `json:"shard"` // percent of hosts
}

type configQuery struct {
	queryFields
	Query  string   `json:"query"`
	Status bool     `json:"status"`
	Tags   []string `json:"tags,omitempty"`
}

type packView struct {
	ID          int64       `json:"id"`
	Name        string      `json:"name"`
	Platform    *string     `json:"platform"`
	Version     *string     `json:"version"`
	Description *string     `json:"description"`
	Shard       int         `json:"shard"`
	Category    string      `json:"category"`
	Tags        []string    `json:"tags"`
	Queries     []packQuery `json:"queries"`
}

type packQuery struct {
	queryFields
	Name  string   `json:"name"`
	SQL   string   `json:"sql"`
	Tags  []string `json:"tags"`
	Packs []string `json:"packs"`
}

func (a *api) hostConfig(ctx context.Context, r hostArgs) (answer[configView], error) {
	host, err := a.argHost(ctx, r, configNeither, hostNotCorrect)
	if err != nil {
		return answer[configView]{}, err
	}
	full, err := a.Schedule.FullConfig(ctx, host)
	if err != nil {
		return answer[configView]{}, err
	}
	view := configView{
		Options: orEmpty(full.Options), FilePaths: orEmpty(full.FilePaths), Filters: orEmpty(full.Filters),
		Queries: map[string]configQuery{}, Packs: []packView{},
	}
	for name, q := range full.Queries {
		view.Queries[name] = configQuery{queryFields: viewQuery(q), Query: q.SQL, Status: q.Status, Tags: q.Tags}
	}
	for _, p := range full.Packs {
		view.Packs = append(view.Packs, viewPack(p))
	}
	return answer[configView]{configFetched, view}, nil
}

func viewQuery(q schedule.Query) queryFields {
	return queryFields{
		ID: q.ID, Interval: q.Interval, Platform: orNull(q.Platform), Version: orNull(q.Version),
		Description: orNull(q.Description), Value: orNull(q.Value), Removed: q.Removed, Snapshot: q.Snapshot, Shard: orAll(q.Shard),
	}
}

// orAll is the percentage of a shard; none set means every host.
func orAll(shard int) int {
	if shard == 0 {
		return 100
	}
	return shard
}

func viewPack(p schedule.Pack) packView {
	view := packView{
		ID: p.ID, Name: p.Name, Platform: orNull(p.Platform), Version: orNull(p.Version), Description: orNull(p.Description),
		Shard: orAll(p.Shard), Category: p.Category, Tags: list(p.Tags), Queries: []packQuery{},
	}
	if view.Category == "" {
		view.Category = "General"
	}
	for _, name := range slices.Sorted(maps.Keys(p.Queries)) {
		q := p.Queries[name]
		view.Queries = append(view.Queries, packQuery{queryFields: viewQuery(q), Name: name, SQL: q.SQL, Tags: list(q.Tags), Packs: []string{p.Name}})
	}
	return view
}
