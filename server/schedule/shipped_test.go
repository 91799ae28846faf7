package schedule

import (
	"regexp"
	"strings"
	"testing"

	"muster/server/osquery"
)

// checkers hold an osquery of each platform; FreeBSD's has what the others share.
func checkers(t *testing.T) map[string]*osquery.SQLite {
	t.Helper()
	all := map[string]*osquery.SQLite{}
	for _, platform := range families {
		checker, err := osquery.OpenSQLite(platform)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = checker.Close() })
		all[platform] = checker
	}
	return all
}

var everyColumn = regexp.MustCompile(`(?i)(select|distinct|,)\s+(\w+\.)?\*`)

// checkShipped holds a query that ships to what packs/README.md promises.
func checkShipped(t *testing.T, all map[string]*osquery.SQLite, q Query, platforms []string) {
	t.Helper()
	if err := osquery.Check(t.Context(), q.SQL); err != nil {
		t.Errorf("osquery refuses it: %v", err)
	}
	if strings.TrimSpace(q.Description) == "" {
		t.Error("no description")
	}
	if everyColumn.MatchString(q.SQL) {
		t.Error("it selects every column: what comes with a new osquery would change its rows")
	}
	ran := false
	for _, platform := range platforms {
		if !runsOn(q.Platform, platform) {
			continue
		}
		ran = true
		tables, err := all[platform].TablesUsed(t.Context(), q.SQL)
		if err != nil {
			t.Errorf("on %s: %v", platform, err)
			continue
		}
		checkIntervals(t, q, tables)
	}
	if !ran {
		t.Errorf("its platform %q is none of %v", q.Platform, platforms)
	}
}

// checkIntervals holds a query to the interval of what it reads. What events are
// joined with is looked up for each event, by a key, and costs little.
func checkIntervals(t *testing.T, q Query, tables []string) {
	t.Helper()
	var read, events []osquery.Table
	for _, name := range tables {
		table, _ := osquery.Find(name)
		read = append(read, table)
		if table.Evented {
			events = append(events, table)
		}
	}
	if len(events) > 0 {
		read = events
	}
	for _, table := range read {
		checkInterval(t, q, table)
	}
}

func checkInterval(t *testing.T, q Query, table osquery.Table) {
	t.Helper()
	switch {
	case table.Evented && (q.Interval < 30 || q.Interval > 300):
		t.Errorf("events of %s every %d s", table.Name, q.Interval)
	case table.Evented && (q.Snapshot || !q.Removed):
		t.Errorf("events of %s have no snapshots and no removals", table.Name)
	case !table.Evented && (q.Interval < 300 || q.Interval > 86400):
		t.Errorf("%s every %d s", table.Name, q.Interval)
	}
}

func TestShippedPacks(t *testing.T) {
	all := checkers(t)
	shipped, err := shippedPacks()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range shipped {
		names = append(names, p.Name)
		_, warnings, _ := ParsePack(p.Name, []byte(p.document()))
		if len(warnings) > 0 || p.Description == "" {
			t.Errorf("pack %s: %v", p.Name, warnings)
		}
		for name, q := range p.Queries {
			t.Run(p.Name+"/"+name, func(t *testing.T) { checkShipped(t, all, q, families) })
		}
	}
	if got := strings.Join(names, " "); got != "health inventory security" {
		t.Errorf("packs %s", got)
	}
}

func TestShippedConfigs(t *testing.T) {
	all := checkers(t)
	for _, c := range shippedConfigs {
		platform := c.Platform
		d, err := readDocument("config", []byte(c.document()))
		if err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		if (platform == linux || platform == darwin) && (len(d.filePaths()) == 0 || d.options["enable_file_events"] != true) {
			t.Errorf("%s watches no files", platform)
		}
		if names := Withheld(d.options); len(names) > 0 {
			t.Errorf("%s has options that agents never get: %v", platform, names)
		}
		for name, q := range d.queries {
			t.Run(c.String()+"/"+name, func(t *testing.T) { checkShipped(t, all, q, []string{platform}) })
		}
	}
}

// Events of one change must not be reported by the default config and a pack.
func TestFileCategoriesAreDivided(t *testing.T) {
	shipped, err := shippedPacks()
	if err != nil {
		t.Fatal(err)
	}
	security := shipped[2]
	categories := regexp.MustCompile(`'[a-z]+'`).FindAllString(security.Queries["file_events"].SQL, -1)
	if len(categories) != len(security.FilePaths) {
		t.Errorf("the pack reports %v and watches %v", categories, security.FilePaths)
	}
	for _, platform := range []string{linux, darwin} {
		d, err := readDocument("config", shippedDocument(platform))
		if err != nil {
			t.Fatal(err)
		}
		for _, category := range categories {
			if _, watched := d.filePaths()[strings.Trim(category, "'")]; watched {
				t.Errorf("%s watches %s too", platform, category)
			}
			if !strings.Contains(d.queries["file_events"].SQL, category) {
				t.Errorf("%s reports %s too", platform, category)
			}
		}
	}
}

func TestBuiltinOptionsReachAgents(t *testing.T) {
	if names := Withheld(builtinOptions); len(names) > 0 {
		t.Errorf("agents never get %v", names)
	}
}
