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
	moreFetched   = "Successfully fetched additional config of the node for the host identifier passed"
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

	// Ours, where they are set. Other is what neither osquery nor Muster knows.
	Denylist        *bool          `json:"denylist,omitempty"`
	StartupPriority *int           `json:"startup_priority,omitempty"`
	Other           map[string]any `json:"other,omitempty"`
}

type configQuery struct {
	queryFields
	Query  string   `json:"query"`
	Status *bool    `json:"status,omitempty"` // of the config's own, which are switched on
	Tags   []string `json:"tags,omitempty"`   // of those that a tag brought
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

	// Ours, where they are set.
	Discovery []string            `json:"discovery,omitempty"`
	FilePaths map[string][]string `json:"file_paths,omitempty"`
	Other     map[string]any      `json:"other,omitempty"`
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
		view.Queries[name] = viewConfigQuery(q)
	}
	for _, p := range full.Packs {
		view.Packs = append(view.Packs, viewPack(p))
	}
	return answer[configView]{configFetched, view}, nil
}

// viewConfigQuery shows the tags of a query that has some, and the status of one of the config.
func viewConfigQuery(q schedule.Query) configQuery {
	view := configQuery{queryFields: viewQuery(q), Query: q.SQL, Tags: q.Tags}
	if len(q.Tags) == 0 {
		view.Status = &q.Status
	}
	return view
}

func viewQuery(q schedule.Query) queryFields {
	view := queryFields{
		ID: q.ID, Interval: q.Interval, Platform: orNull(q.Platform), Version: orNull(q.Version),
		Description: orNull(q.Description), Value: orNull(q.Value), Removed: q.Removed, Snapshot: q.Snapshot, Shard: orAll(q.Shard),
		StartupPriority: q.StartupPriority, Other: q.Other,
	}
	if !q.Denylist {
		view.Denylist = &q.Denylist
	}
	return view
}

// additionalView is what tags add to a host's config (document, "View additional config").
type additionalView struct {
	Queries []packQuery `json:"queries"`
	Packs   []packView  `json:"packs"`
	Tags    []string    `json:"tags"`
}

func (a *api) additionalConfig(ctx context.Context, r hostArgs) (answer[additionalView], error) {
	host, err := a.argHost(ctx, r, configNeither, hostNotCorrect)
	if err != nil {
		return answer[additionalView]{}, err
	}
	full, err := a.Schedule.FullConfig(ctx, host)
	if err != nil {
		return answer[additionalView]{}, err
	}
	view := additionalView{Queries: []packQuery{}, Packs: []packView{}, Tags: list(host.Tags)}
	for _, q := range full.TagQueries {
		view.Queries = append(view.Queries, packQuery{queryFields: viewQuery(q.Query), Name: q.Name, SQL: q.SQL, Tags: list(q.Tags), Packs: list(q.Packs)})
	}
	for _, p := range full.Packs {
		view.Packs = append(view.Packs, viewPack(p))
	}
	return answer[additionalView]{moreFetched, view}, nil
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
		Discovery: p.Discovery, FilePaths: p.FilePaths, Other: p.Other,
	}
	if view.Category == "" {
		view.Category = "General"
	}
	for _, name := range slices.Sorted(maps.Keys(p.Queries)) {
		q := p.Queries[name]
		view.Queries = append(view.Queries, packQuery{queryFields: viewQuery(q), Name: name, SQL: q.SQL, Tags: list(q.Tags), Packs: list(q.Packs)})
	}
	return view
}
