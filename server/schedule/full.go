package schedule

import (
	"context"
	"maps"

	"muster/server/hosts"
)

// FullConfig is what a host runs, in parts, for people to read (esp-api 1.2,
// hosts/config). Its maps are shared: do not modify what they hold.
type FullConfig struct {
	// Options are those that the agent gets: built-in, the config's, the stored ones.
	Options map[string]any
	// FilePaths are the config's own, category to patterns; packs bring theirs.
	FilePaths map[string][]string
	// Queries are the platform config's by name, those that are switched off too.
	Queries map[string]Query
	// Packs share a tag with the host and can run on its platform; by name.
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
		Options:   maps.Clone(c.options),
		FilePaths: c.document.filePaths(),
		Queries:   maps.Clone(c.document.queries),
		Packs:     []Pack{},
		Filters:   maps.Clone(c.document.filters),
	}
	delete(full.Filters, "file_paths")
	for _, p := range now.packsFor(platform, h.Tags) {
		full.Packs = append(full.Packs, p.Pack)
	}
	return full, nil
}
