package schedule

import (
	"encoding/binary"
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
	// signatures are the addresses of YARA rules, the same in every snapshot.
	signatures []string
	packs      []*renderedPack       // by name; those that agents can run
	queries    map[int64]*readyQuery // those that packs or tags select
	tagged     []*readyQuery         // those with tags of their own, by id
	twice      map[int64]bool        // those of them whose name an older one has
	configs    []*platformConfig
	shipped    map[string]*platformConfig // by platform
	// selects says for each platform which packs and queries a tag brings there.
	selects map[string]map[int64]picks
	cache   cache
}

// picks are places in snapshot.packs and snapshot.tagged.
type picks struct{ packs, queries []int }

// selection is what the tags of a host bring on its platform.
type selection struct {
	packs   []*renderedPack // by name
	queries []*readyQuery   // by id, one for each name
}

// platformConfig is the config of a platform and architecture with its JSON for agents.
type platformConfig struct {
	row      configRow
	document document
	options  map[string]any     // as agents get them
	filters  map[string]any     // top-level keys besides options, schedule and packs, as agents get them
	top      map[string]rawJSON // top-level keys, without packs
}

func newSnapshot(version string, cacheBytes int, log *slog.Logger) *snapshot {
	return &snapshot{
		version: version, log: log, queries: map[int64]*readyQuery{}, twice: map[int64]bool{},
		shipped: map[string]*platformConfig{},
		cache:   cache{limit: cacheBytes, groups: map[string]*group{}, lastGood: map[string][]byte{}},
	}
}

func (s *snapshot) additions() additions { return additions{s.stored, s.signatures} }

func newPlatformConfig(row configRow, d document, over additions) *platformConfig {
	c := &platformConfig{
		row: row, document: d, options: agentOptions(builtinOptions, d.options, over.options), filters: d.topLevel(over.signatureURLs),
	}
	c.top = map[string]rawJSON{
		"options":  appendJSON(nil, c.options),
		"schedule": appendJSON(nil, d.schedule()),
	}
	for key, value := range c.filters {
		c.top[key] = appendJSON(nil, value)
	}
	return c
}

// assemble writes the config with what tags bring. A query of the config that is
// switched on wins over another of its name.
func (c *platformConfig) assemble(chosen selection) []byte {
	top := maps.Clone(c.top)
	packs := map[string]rawJSON{}
	for _, p := range chosen.packs {
		packs[p.Name] = p.json[c.row.Platform]
	}
	top["packs"] = appendJSON(nil, packs)
	if len(chosen.queries) > 0 {
		schedule := map[string]any{}
		for _, q := range chosen.queries {
			schedule[q.Name] = q.content.json
		}
		maps.Copy(schedule, c.document.schedule())
		top["schedule"] = appendJSON(nil, schedule)
	}
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

// indexTags notes for each platform what the tags select there.
func (s *snapshot) indexTags() {
	s.selects = map[string]map[int64]picks{}
	for _, platform := range families {
		tags := map[int64]picks{}
		for i, p := range s.packs {
			if p.json[platform] == nil {
				continue
			}
			for _, id := range p.tagIDs {
				tags[id] = picks{append(tags[id].packs, i), tags[id].queries}
			}
		}
		for i, q := range s.tagged {
			if !runsOn(q.Platform, platform) {
				continue
			}
			for _, id := range q.tagIDs {
				tags[id] = picks{tags[id].packs, append(tags[id].queries, i)}
			}
		}
		s.selects[platform] = tags
	}
}

// choose returns the packs and the queries that share a tag with a host and can
// run on its platform. Tags count by id: one that is renamed selects the same.
func (s *snapshot) choose(platform string, tagIDs []int64) selection {
	var packs, queries []int
	for _, id := range tagIDs {
		picked := s.selects[platform][id]
		packs, queries = append(packs, picked.packs...), append(queries, picked.queries...)
	}
	var chosen selection
	slices.Sort(packs)
	for _, i := range slices.Compact(packs) {
		chosen.packs = append(chosen.packs, s.packs[i])
	}
	slices.Sort(queries)
	taken := map[string]bool{}
	for _, i := range slices.Compact(queries) {
		if q := s.tagged[i]; !taken[q.Name] {
			taken[q.Name] = true
			chosen.queries = append(chosen.queries, q)
		}
	}
	return chosen
}

// appendKey names the group of hosts that get the same config: their platform, the
// config chosen, and those of their tags that select something there.
func (s *snapshot) appendKey(key []byte, c *platformConfig, h *hosts.Host) []byte {
	platform := family(h.Platform)
	key = append(append(append(key, platform...), 0), c.row.Platform...)
	key = append(append(append(key, 0), c.row.Arch...), 0)
	selecting := s.selects[platform]
	for _, id := range h.TagIDs {
		if _, selects := selecting[id]; selects {
			key = binary.BigEndian.AppendUint64(key, uint64(id)) //nolint:gosec // any 64 bits will do
		}
	}
	return key
}
