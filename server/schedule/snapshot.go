package schedule

import (
	"log/slog"
	"maps"
	"slices"

	"muster/server/hosts"
)

// snapshot is everything that was stored at one time, ready to assemble. It does
// not change but for its cache of groups.
type snapshot struct {
	version string
	log     *slog.Logger
	stored  map[string]any // options
	packs   []renderedPack // by name
	configs []*platformConfig
	shipped map[string]*platformConfig // by platform
	tagged  map[string]map[string][]int
	cache   cache
}

// renderedPack is a pack with its JSON for agents, and what both were read from.
type renderedPack struct {
	Pack
	json     rawJSON
	document string
}

// platformConfig is the config of a platform and architecture with its JSON for agents.
type platformConfig struct {
	row      configRow
	document document
	options  map[string]any     // as agents get them
	top      map[string]rawJSON // top-level keys, without packs
}

func newSnapshot(version string, cacheBytes int, log *slog.Logger) *snapshot {
	return &snapshot{
		version: version, log: log,
		shipped: map[string]*platformConfig{},
		cache:   cache{limit: cacheBytes, groups: map[string]*group{}, lastGood: map[string][]byte{}},
	}
}

func newPlatformConfig(row configRow, d document, stored map[string]any) *platformConfig {
	c := &platformConfig{row: row, document: d, options: agentOptions(builtinOptions, d.options, stored)}
	c.top = map[string]rawJSON{
		"options":  appendJSON(nil, c.options),
		"schedule": appendJSON(nil, d.schedule()),
	}
	for key, value := range d.filters {
		c.top[key] = appendJSON(nil, value)
	}
	return c
}

// assemble writes the config with these packs.
func (c *platformConfig) assemble(packs []renderedPack) []byte {
	inline := map[string]rawJSON{}
	for _, p := range packs {
		inline[p.Name] = p.json
	}
	top := maps.Clone(c.top)
	top["packs"] = appendJSON(nil, inline)
	return appendJSON(nil, top)
}

// addConfig keeps the first active config of a platform and architecture.
func (s *snapshot) addConfig(c *platformConfig) {
	for _, other := range s.configs {
		if other.row.Platform == c.row.Platform && other.row.Arch == c.row.Arch {
			s.log.Warn("two configs are active for one platform; the first one by type is used",
				"platform", c.row.Platform, "arch", c.row.Arch, "unused", c.row.Type)
			return
		}
	}
	s.configs = append(s.configs, c)
}

// configFor finds the config of platform and architecture, else one of the platform
// (the shipped architecture first), else the platform's that ships. Never nil.
func (s *snapshot) configFor(platform, arch string) *platformConfig {
	for _, wanted := range [...]string{arch, shippedArch, ""} {
		for _, c := range s.configs {
			if c.row.Platform == platform && (c.row.Arch == wanted || wanted == "") {
				return c
			}
		}
	}
	return s.shipped[platform]
}

// indexTags notes for each platform which tags select which packs.
func (s *snapshot) indexTags() {
	s.tagged = map[string]map[string][]int{}
	for _, platform := range families {
		tags := map[string][]int{}
		for i, p := range s.packs {
			if p.runsOn(platform) {
				for _, tag := range p.Tags {
					tags[tag] = append(tags[tag], i)
				}
			}
		}
		s.tagged[platform] = tags
	}
}

// packsFor returns the packs that share a tag with the host and can run there, by name.
func (s *snapshot) packsFor(platform string, tags []string) []renderedPack {
	var chosen []int
	for _, tag := range tags {
		chosen = append(chosen, s.tagged[platform][tag]...)
	}
	slices.Sort(chosen)
	var selected []renderedPack
	for _, i := range slices.Compact(chosen) {
		selected = append(selected, s.packs[i])
	}
	return selected
}

// appendKey names the group of hosts that get the same config: their platform, the
// config chosen, and those of their tags that select a pack there.
func (s *snapshot) appendKey(key []byte, c *platformConfig, h *hosts.Host) []byte {
	platform := family(h.Platform)
	key = append(append(append(key, platform...), 0), c.row.Platform...)
	key = append(append(append(key, 0), c.row.Arch...), 0)
	selecting := s.tagged[platform]
	for _, tag := range h.Tags {
		if _, selects := selecting[tag]; selects {
			key = append(append(key, tag...), 0)
		}
	}
	return key
}
