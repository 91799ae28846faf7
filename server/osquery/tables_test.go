package osquery

import (
	"slices"
	"strings"
	"testing"
)

func TestTables(t *testing.T) {
	columns, evented := 0, 0
	for _, table := range Tables() {
		columns += len(table.Columns)
		if table.Evented {
			evented++
		}
		if found, ok := Find(strings.ToUpper(table.Name)); !ok || found.Name != table.Name {
			t.Errorf("%s is not found by its name in capitals", table.Name)
		}
	}
	// The counts of osquery 5.23.1 (osquery-tls.md 9.2).
	if len(Tables()) != 286 || columns != 2624 || evented != 22 {
		t.Errorf("%d tables, %d columns, %d evented", len(Tables()), columns, evented)
	}
	for platform, want := range map[string]int{"linux": 158, "darwin": 187, "windows": 115, "plan9": 0} {
		if got := len(TablesOf(platform)); got != want {
			t.Errorf("%s has %d tables, want %d", platform, got, want)
		}
	}
	if hosts, ok := Find("hosts"); !ok || hosts.Name != "etc_hosts" || !slices.Contains(hosts.Aliases, "hosts") {
		t.Errorf("the alias hosts is %+v", hosts)
	}
	if _, ok := Find("userss"); ok {
		t.Error("a table that does not exist is found")
	}
}

// TestAgreement asks the checker about everything that the catalogue names.
func TestAgreement(t *testing.T) {
	for _, table := range Tables() {
		var names []string
		for _, column := range table.Columns {
			names = append(names, quote(column.Name))
		}
		list := strings.Join(names, ", ")
		for _, name := range append([]string{table.Name}, table.Aliases...) {
			if err := Check(t.Context(), "SELECT "+list+" FROM "+quote(name)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, f := range agentFunctions(nil) {
		for count := f.min; count <= f.max; count++ {
			sql := "SELECT " + f.name + "(" + strings.TrimSuffix(strings.Repeat("'1',", count), ",") + ")"
			if err := Check(t.Context(), sql); err != nil {
				t.Errorf("%s: %v", sql, err)
			}
		}
	}
}
