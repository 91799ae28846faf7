// Package osquery knows what osquery is: the tables, columns and SQL functions of
// its agents, and whether a text is a query that they would take.
//
// It writes no table of Muster's database: its SQLite databases are its own, in
// memory and empty. It knows no host, no query's purpose and no network.
//
// The tables are those of osquery 5.23.1 (tables.tsv says where they come from).
package osquery

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

// Column is a column of a table.
type Column struct {
	Name string
	// Type is SQLite's: TEXT, INTEGER, BIGINT, UNSIGNED BIGINT or DOUBLE.
	Type string
	// Hidden columns are answered only when named: * leaves them out.
	Hidden bool
	// Required columns want a constraint, or the table is empty on the agent.
	Required bool
	// Index columns make a lookup cheap on the agent.
	Index bool
}

// Table is a table of osquery.
type Table struct {
	Name      string
	Aliases   []string
	Platforms []string // of darwin, linux, windows; sorted
	Evented   bool
	Columns   []Column // in osquery's order
}

// On reports whether agents of that platform (windows, linux, darwin, freebsd)
// have the table. FreeBSD's have what Linux's and macOS's share.
func (t Table) On(platform string) bool {
	if platform == "freebsd" {
		return t.On("linux") && t.On("darwin")
	}
	return slices.Contains(t.Platforms, platform)
}

// aliases are osquery's other names of a table.
var aliases = map[string]string{
	"alf_services":          "sharing_preferences",
	"cb_info":               "carbon_black_info",
	"configurations":        "augeas",
	"hosts":                 "etc_hosts",
	"hvci_status":           "deviceguard_status",
	"packages":              "package_receipts",
	"programs_and_features": "programs",
	"syslog":                "syslog_events",
	"yara":                  "yara_file",
}

//go:embed tables.tsv
var tablesFile string

type catalogue struct {
	tables []Table
	index  map[string]int // by name and alias
}

var loadCatalogue = sync.OnceValue(func() *catalogue {
	c := &catalogue{index: map[string]int{}}
	for line := range strings.Lines(tablesFile) {
		if !strings.HasPrefix(line, "#") {
			c.add(strings.Split(strings.TrimRight(line, "\n"), "\t"))
		}
	}
	for alias, name := range aliases {
		at := c.index[name]
		c.tables[at].Aliases = append(c.tables[at].Aliases, alias)
		c.index[alias] = at
	}
	for i := range c.tables {
		slices.Sort(c.tables[i].Aliases)
	}
	return c
})

func (c *catalogue) add(fields []string) {
	name, flags := fields[0], strings.Split(fields[5], ",")
	at, known := c.index[name]
	if !known {
		at = len(c.tables)
		c.index[name] = at
		c.tables = append(c.tables, Table{Name: name, Platforms: strings.Split(fields[1], ","), Evented: fields[2] == "1"})
	}
	c.tables[at].Columns = append(c.tables[at].Columns, Column{
		Name: fields[3], Type: fields[4],
		Hidden:   slices.Contains(flags, "hidden"),
		Required: slices.Contains(flags, "required"),
		Index:    slices.Contains(flags, "index"),
	})
}

// Tables returns every table of every platform, by name. The answer is shared:
// do not modify it.
func Tables() []Table { return loadCatalogue().tables }

// TablesOf returns the tables that agents of a platform have; see Table.On.
func TablesOf(platform string) []Table {
	var tables []Table
	for _, table := range Tables() {
		if table.On(platform) {
			tables = append(tables, table)
		}
	}
	return tables
}

// Find returns the table of that name or alias, whatever its case.
func Find(name string) (Table, bool) {
	c := loadCatalogue()
	at, ok := c.index[strings.ToLower(name)]
	if !ok {
		return Table{}, false
	}
	return c.tables[at], true
}
