package schedule

import (
	"encoding/json"
	"strings"

	"muster/server/hosts"
	"muster/server/osquery"
)

// Tables names the tables of osquery that a scheduled query of a host reads, by the
// name under which its rows are logged: that of a query, or pack/PACK/QUERY. Rows of
// a query that the host does not run any more may still come: if the last part of its
// name is that of a table, it is taken for one of that table. None when nothing is
// known. The list is shared: do not modify it.
//
// It reads memory only, and allocates nothing once a host of its group has asked.
func (s *Store) Tables(h *hosts.Host, name string) []string {
	now := s.current.Load()
	if now == nil {
		return namedTable(name)
	}
	if tables, found := now.renderedFor(h).tables()[name]; found {
		return tables
	}
	return namedTable(name)
}

// namedTable is the table that a query is named after.
func namedTable(name string) []string {
	if at := strings.LastIndex(name, packDelimiter); at >= 0 {
		name = name[at+1:]
	}
	if table, found := osquery.Find(name); found {
		return []string{table.Name}
	}
	if strings.HasPrefix(name, "win_") { // tables of the original's extension
		return []string{name}
	}
	return nil
}

// readTables maps the names of a config's queries to the tables that they read.
func readTables(plain []byte) map[string][]string {
	type queries map[string]struct{ Query string }
	var config struct {
		Schedule queries
		Packs    map[string]struct{ Queries queries }
	}
	tables := map[string][]string{}
	if json.Unmarshal(plain, &config) != nil {
		return tables
	}
	add := func(prefix string, all queries) {
		for name, q := range all {
			if read := osquery.Reads(q.Query); len(read) > 0 {
				tables[prefix+name] = read
			}
		}
	}
	add("", config.Schedule)
	for pack, p := range config.Packs {
		add("pack"+packDelimiter+pack+packDelimiter, p.Queries)
	}
	return tables
}
