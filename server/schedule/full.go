package schedule

import (
	"context"
	"maps"

	"muster/server/hosts"
)

// FullConfig is what a host gets, in parts, for people to read (esp-api 1.2,
// hosts/config). Its maps are shared: do not modify what they hold.
type FullConfig struct {
	// Key names the config of the host's platform that is active.
	Key ConfigKey
	// Options are those that the agent gets: built-in, the config's, the stored ones.
	Options map[string]any
	// FilePaths are the config's own, category to patterns; packs bring theirs.
	FilePaths map[string][]string
	// Queries are those of the schedule by name: the config's that are switched on,
	// and those of TagQueries.
	Queries map[string]Query
	// TagQueries share a tag with the host, and no query of the config has their name; by id.
	TagQueries []StoredQuery
	// Packs share a tag with the host; by name, with the queries that can run on its platform.
	Packs []Pack
	// Filters are the other top-level keys of the config, decoded JSON with numbers
	// as json.Number.
	Filters map[string]any
}

// FullConfig returns the parts that ConfigFor assembles for the host. Faults: Busy
// before Load.
func (s *Store) FullConfig(_ context.Context, h *hosts.Host) (FullConfig, error) {
	now := s.current.Load()
	if now == nil {
		return FullConfig{}, errNotLoaded
	}
	platform := family(h.Platform)
	c := now.configFor(platform, architecture(h.Arch))
	full := FullConfig{
		Key:       ConfigKey{c.row.Platform, c.row.Arch, c.row.Type},
		Options:   maps.Clone(c.options),
		FilePaths: c.document.filePaths(),
		Queries:   map[string]Query{},
		Packs:     []Pack{},
		Filters:   maps.Clone(c.filters),
	}
	delete(full.Filters, "file_paths")
	for name, q := range c.document.queries {
		if q.Status {
			full.Queries[name] = q
		}
	}
	chosen := now.choose(platform, h.TagIDs)
	for _, q := range chosen.queries {
		if _, taken := full.Queries[q.Name]; !taken {
			full.Queries[q.Name] = q.Query
			full.TagQueries = append(full.TagQueries, q.StoredQuery)
		}
	}
	for _, p := range chosen.packs {
		full.Packs = append(full.Packs, p.on(platform))
	}
	return full, nil
}

// on is the pack with the queries that can run on a platform.
func (p Pack) on(platform string) Pack {
	queries := map[string]Query{}
	for name, q := range p.Queries {
		if runsOn(q.Platform, platform) {
			queries[name] = q
		}
	}
	p.Queries = queries
	return p
}
