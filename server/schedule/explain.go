package schedule

import (
	"context"
	"maps"
	"slices"

	"muster/server/hosts"
)

// Explanation says where each part of a host's config comes from.
type Explanation struct {
	// Config is the platform's that is active, and Version which of its versions.
	Config  ConfigKey
	Version int
	// Queries are all that could come to the host: the config's, those of its tags and
	// those of their packs. By name within each kind.
	Queries []ExplainedQuery
	// Options that the agent gets, and those that are set and stay here; by name.
	Options, Withheld []ExplainedValue
	// Filters are the other top-level keys, and what packs watch; by name.
	Filters []ExplainedValue
	// Size is that of the config in bytes, ETag stands for its bytes, and Hash is what
	// the agent will report as osquery_info.config_hash.
	Size       int
	ETag, Hash string
}

// Source is where a query comes from.
type Source struct {
	Kind string // config, query or pack
	ID   int64  // of the config, query or pack
	Name string // of the config, query or pack
	Tags []string
}

// Whether a query runs on a host.
const (
	Runs    = "yes"
	RunsNot = "no"
	RunsIf  = "depends" // on what the server does not know
)

// ExplainedQuery is a query that could come to a host.
type ExplainedQuery struct {
	Name   string // as results carry it
	Query  Query
	Source Source
	Runs   string // Runs, RunsNot or RunsIf
	Reason string // why not, or what it depends on; empty for Runs
}

// ExplainedValue is an option or a filter.
type ExplainedValue struct {
	Name   string
	Value  any
	Origin string // built-in, config, stored, server or pack NAME
	Reason string // why it is withheld
}

// Explain tells where each part of what ConfigFor gives the host comes from, and
// what does not come and why. Faults: Busy before Load.
func (s *Store) Explain(_ context.Context, h *hosts.Host) (Explanation, error) {
	now := s.current.Load()
	if now == nil {
		return Explanation{}, errNotLoaded
	}
	c := now.configFor(family(h.Platform), architecture(h.Arch))
	sent := now.first(string(now.appendKey(nil, c, h)), c, h)
	x := explainer{host: h, platform: family(h.Platform), snapshot: now, config: c, sent: members(sent.Plain), shard: shardOf(h.Hostname)}
	e := Explanation{
		Config: ConfigKey{c.row.Platform, c.row.Arch, c.row.Type}, Version: c.row.Version,
		Size: len(sent.Plain), ETag: sent.ETag, Hash: ConfigHash(sent.Plain),
	}
	e.Queries = slices.Concat(x.configQueries(), x.tagQueries(), x.packQueries())
	e.Options, e.Withheld = x.options()
	e.Filters = x.filters()
	return e, nil
}

// options are those of each layer, the one that counts last.
func (x *explainer) options() (sent, withheld []ExplainedValue) {
	for _, name := range slices.Sorted(maps.Keys(x.config.options)) {
		origin := "built-in"
		for _, layer := range x.layers() {
			if value, set := layer.options[name]; set && value != "" {
				origin = layer.origin
			}
		}
		sent = append(sent, ExplainedValue{Name: name, Value: x.config.options[name], Origin: origin})
	}
	for _, layer := range x.layers() {
		for _, name := range slices.Sorted(maps.Keys(layer.options)) {
			v := ExplainedValue{Name: name, Value: layer.options[name], Origin: layer.origin}
			switch {
			case isWithheld(name):
				v.Reason = "osquery takes it from its command line only, or it would change the host's identity"
			case v.Value == "":
				v.Reason = "agents skip empty texts"
			default:
				continue
			}
			withheld = append(withheld, v)
		}
	}
	return sent, withheld
}

type layer struct {
	origin  string
	options map[string]any
}

func (x *explainer) layers() []layer {
	return []layer{{"built-in", builtinOptions}, {"config", x.config.document.options}, {"stored", x.snapshot.stored}}
}

func (x *explainer) filters() []ExplainedValue {
	var filters []ExplainedValue
	for _, key := range slices.Sorted(maps.Keys(x.config.filters)) {
		v := ExplainedValue{Name: key, Value: x.config.filters[key], Origin: "config"}
		if _, own := x.config.document.filters[key]; !own {
			v.Origin = "server"
		} else if key == "yara" && len(x.snapshot.signatures) > 0 {
			v.Origin = "config and server"
		}
		filters = append(filters, v)
	}
	for _, p := range x.snapshot.choose(x.platform, x.host.TagIDs).packs {
		if len(p.FilePaths) > 0 {
			filters = append(filters, ExplainedValue{Name: "file_paths", Value: p.FilePaths, Origin: "pack " + p.Name})
		}
	}
	return filters
}
