package schedule

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"muster/server/fault"
)

// specs are the packs and queries of a file in the format that other managers of
// osquery share: objects with kind and spec, or one with a list of queries.
type specs struct {
	packs   []map[string]any
	queries []map[string]any
}

// take keeps an object if it is a spec of a pack or of queries.
func (s *specs) take(object map[string]any) bool {
	spec, _ := object["spec"].(map[string]any)
	switch kind := strings.ToLower(textOf(object, "kind")); {
	case kind == "pack" && spec != nil:
		s.packs = append(s.packs, spec)
		return true
	case (kind == "query" || kind == "report") && spec != nil:
		s.queries = append(s.queries, spec)
		return true
	case kind == "" && isQueryList(object["queries"]):
		for _, item := range object["queries"].([]any) {
			s.queries = append(s.queries, item.(map[string]any))
		}
		return true
	}
	return false
}

func isQueryList(value any) bool {
	list, _ := value.([]any)
	for _, item := range list {
		if object, _ := item.(map[string]any); textOf(object, "name") == "" {
			return false
		}
	}
	return len(list) > 0
}

// arrange makes packs of the specs; queries that no pack has become one of the name given.
func (s *specs) arrange(name string, r *arranged) error {
	queries := map[string]map[string]any{}
	for _, q := range s.queries {
		key := textOf(q, "name")
		if key == "" || queries[key] != nil {
			return fault.New(fault.Unprocessable, "The file has a query without a name, or two of the name %q", key)
		}
		queries[key] = q
	}
	packed := map[string]bool{}
	for _, spec := range s.packs {
		members, err := packMembers(spec, queries, packed)
		if err != nil {
			return err
		}
		if err := r.add(textOf(spec, "name"), members); err != nil {
			return err
		}
	}
	rest := map[string]any{}
	for key, q := range queries {
		switch {
		case packed[key]:
		case q["interval"] == nil || q["interval"] == json.Number("0"):
			r.warn("query %q runs by no clock there: it is not imported", key)
		default:
			rest[key] = translated(q)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	if _, taken := r.members[name]; taken {
		name += " queries"
	}
	return r.add(name, map[string]any{"queries": rest})
}

// packMembers is the spec of a pack in osquery's words; its list of queries names
// those whose SQL stands elsewhere in the file.
func packMembers(spec map[string]any, queries map[string]map[string]any, packed map[string]bool) (map[string]any, error) {
	pack := textOf(spec, "name")
	list, ok := spec["queries"].([]any)
	if !ok {
		return nil, fault.New(fault.Unprocessable, "Pack %q: queries must be a list", pack)
	}
	entries := map[string]any{}
	for _, item := range list {
		entry, _ := item.(map[string]any)
		source := textOf(entry, "query")
		key := cmp.Or(textOf(entry, "name"), source)
		if queries[source] == nil {
			return nil, fault.New(fault.Unprocessable, "Pack %q, query %q: the file has no query of the name %q", pack, key, source)
		}
		if entries[key] != nil {
			return nil, fault.New(fault.Unprocessable, "Pack %q has two queries of the name %q", pack, key)
		}
		packed[source] = true
		merged := translated(queries[source])
		for member, value := range entry {
			if value != nil && member != "name" && member != "query" {
				merged[member] = value
			}
		}
		entries[key] = merged
	}
	members := maps.Clone(spec)
	delete(members, "name")
	members["queries"] = entries
	return members, nil
}

// translated is the spec of a query in osquery's words.
func translated(spec map[string]any) map[string]any {
	members := maps.Clone(spec)
	delete(members, "name")
	if version, there := members["min_osquery_version"]; there {
		delete(members, "min_osquery_version")
		members["version"] = version
	}
	switch logging := fmt.Sprint(members["logging"]); logging {
	case "snapshot":
		members["snapshot"] = true
	case "differential_ignore_removals":
		members["removed"] = false
	case "differential", "", "<nil>":
	default:
		return members // kept as it is, and warned of
	}
	delete(members, "logging")
	return members
}
