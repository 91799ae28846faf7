package schedule

import (
	"fmt"
	"slices"
)

// document is the config of a platform: what its hosts run whatever their tags.
type document struct {
	options map[string]any
	queries map[string]Query
	filters map[string]any // further top-level keys of the osquery config
}

// ownKeys are the top-level keys that no filter may set: they are assembled here,
// or they steer the agent (osquery-tls 2.1, 2.3).
var ownKeys = []string{"options", "schedule", "packs", "error", "node_invalid", "etag"}

// readDocument reads a stored or shipped config: options, queries as in a schedule
// with a status each, and filters. where stands for it in query ids.
func readDocument(where string, data []byte) (document, error) {
	value, err := decode(data, maxDepth)
	if err != nil {
		return document{}, err
	}
	f := newFields("config", value)
	d := document{queries: map[string]Query{}, filters: f.object("filters")}
	options, queries := f.object("options"), f.object("queries")
	if f.err != nil {
		return document{}, f.err
	}
	if d.options, err = checkOptions(options); err != nil {
		return document{}, err
	}
	for name, value := range queries {
		query, _, err := readQuery(name, value, true)
		if err != nil {
			return document{}, fmt.Errorf("config, %w", err)
		}
		query.ID = queryID(where, name)
		d.queries[name] = query
	}
	for key, value := range d.filters {
		if key == "" || slices.Contains(ownKeys, key) {
			return document{}, fmt.Errorf("config: filters cannot set %q", key)
		}
		if err := checkFilter(key, value); err != nil {
			return document{}, err
		}
	}
	return d, nil
}

// schedule is the part of the queries that is switched on, as osquery reads it.
func (d document) schedule() map[string]any {
	schedule := map[string]any{}
	for name, query := range d.queries {
		if query.Status {
			schedule[name] = query.object(false)
		}
	}
	return schedule
}

// filePaths is the member of that name among the filters.
func (d document) filePaths() map[string][]string {
	paths := map[string][]string{}
	object, _ := d.filters["file_paths"].(map[string]any)
	for category, value := range object {
		list, _ := value.([]any)
		for _, item := range list {
			if pattern, ok := item.(string); ok {
				paths[category] = append(paths[category], pattern)
			}
		}
	}
	return paths
}
