package adminapi

import (
	"context"

	"muster/server/schedule"
)

// explainView says where each part of a host's config comes from.
type explainView struct {
	Config     explainConfigView `json:"config"`
	Queries    []explainedQuery  `json:"queries"`
	Options    []explainedValue  `json:"options"`
	Withheld   []explainedValue  `json:"withheld"` // options that are set and that agents do not get
	Filters    []explainedValue  `json:"filters"`
	Size       int               `json:"size"` // bytes
	ETag       string            `json:"etag"`
	ConfigHash string            `json:"config_hash"` // what osquery_info will say of it
}

// explainConfigView is the config that is active for the host.
type explainConfigView struct {
	Platform string `json:"platform"`
	Arch     string `json:"arch"`
	Type     string `json:"type"`
	Version  int    `json:"version"`
}

// explainedQuery is a query that could come to the host. Runs is yes, no, or
// depends on what only the host knows.
type explainedQuery struct {
	Name     string        `json:"name"` // as results carry it
	Query    string        `json:"query"`
	Interval int           `json:"interval"`
	Source   explainSource `json:"source"`
	Runs     string        `json:"runs"`
	Reason   string        `json:"reason"`
}

// explainSource is a config, query or pack with the tags that brought it.
type explainSource struct {
	Kind string   `json:"kind"`
	ID   int64    `json:"id"`
	Name string   `json:"name"`
	Tags []string `json:"tags"`
}

type explainedValue struct {
	Name   string `json:"name"`
	Value  any    `json:"value"`
	Origin string `json:"origin"`
	Reason string `json:"reason,omitempty"`
}

func (a *api) explainConfig(ctx context.Context, r pathHost) (answer[explainView], error) {
	host, err := a.findHost(ctx, r.Host, hostNotCorrect)
	if err != nil {
		return answer[explainView]{}, err
	}
	e, err := a.Schedule.Explain(ctx, host)
	if err != nil {
		return answer[explainView]{}, err
	}
	view := explainView{
		Config:  explainConfigView{e.Config.Platform, e.Config.Arch, e.Config.Type, e.Version},
		Queries: []explainedQuery{}, Options: viewValues(e.Options), Withheld: viewValues(e.Withheld), Filters: viewValues(e.Filters),
		Size: e.Size, ETag: e.ETag, ConfigHash: e.Hash,
	}
	for _, q := range e.Queries {
		view.Queries = append(view.Queries, explainedQuery{
			Name: q.Name, Query: q.Query.SQL, Interval: q.Query.Interval, Runs: q.Runs, Reason: q.Reason,
			Source: explainSource{q.Source.Kind, q.Source.ID, q.Source.Name, list(q.Source.Tags)},
		})
	}
	return answer[explainView]{"Successfully explained the config of the host", view}, nil
}

func viewValues(values []schedule.ExplainedValue) []explainedValue {
	views := make([]explainedValue, 0, len(values))
	for _, v := range values {
		views = append(views, explainedValue{v.Name, v.Value, v.Origin, v.Reason})
	}
	return views
}
