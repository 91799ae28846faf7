package schedule

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

// imported reads a file of testdata, stores its packs and returns them as stored.
func imported(t *testing.T, s *Store, name, file string) (map[string]Pack, []string) {
	t.Helper()
	data, err := os.ReadFile("testdata/imports/" + file)
	if err != nil {
		t.Fatal(err)
	}
	packs, warnings, err := ParseFile(name, data)
	if err != nil {
		t.Fatal(err)
	}
	stored, more, err := s.ImportPacks(t.Context(), packs)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]Pack{}
	for _, p := range stored {
		byName[p.Name] = p
	}
	return byName, append(warnings, more...)
}

// warned checks that each warning has the words of one place in want, and the reverse.
func warned(t *testing.T, got []string, want ...string) {
	t.Helper()
	for _, words := range want {
		at := slices.IndexFunc(got, func(warning string) bool { return strings.Contains(warning, words) })
		if at < 0 {
			t.Errorf("no warning says %q: %q", words, got)
			continue
		}
		got = slices.Delete(slices.Clone(got), at, at+1)
	}
	if len(got) > 0 {
		t.Errorf("nobody expects %q", got)
	}
}

func TestPacksWithQuirksImportWithoutLoss(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		packs, warnings := imported(t, s, "quirks", "quirks.conf")
		warned(t, warnings, "author is kept", "oncall is kept", "status is kept", `platform "gentoo"`, "no such table: opera_extensions")
		p := packs["quirks"]
		if p.Platform != "darwin,ubuntu" || p.Version != "1.4.5" || p.Shard != 50 || p.Other["author"] != "somebody" || len(p.Discovery) != 1 {
			t.Errorf("the pack is %+v", p)
		}
		plain := Query{Interval: 3600, Removed: true, Denylist: true}
		with := func(change func(q *Query)) Query { q := plain; change(&q); return q }
		want := map[string]Query{
			"mithra`s_rootkit": with(func(q *Query) { q.SQL, q.Version = "select * from file where path = '/x';", "1.4.5" }),
			"sadmind/iis_worm": with(func(q *Query) { q.SQL = "select * from file where path = '/y';" }),
			"name with spaces ": with(func(q *Query) {
				q.SQL, q.Interval, q.Platform = "select * from chrome_extensions;", 10, "windows,darwin"
			}),
			"ubuntu":     with(func(q *Query) { q.SQL, q.Platform = "select * from apt_sources;", "ubuntu" }),
			"gentoo":     with(func(q *Query) { q.SQL, q.Platform = "select * from portage_packages;", "gentoo" }),
			"everywhere": with(func(q *Query) { q.SQL = "select * from users" }),
			"long": with(func(q *Query) {
				q.SQL = `select * from         launchd where         name = 'com.example.x\y';`
				q.Description, q.Value = "(an example http://example.com/#anchor)", "Artifact // used"
			}),
			"denied":      with(func(q *Query) { q.SQL, q.Denylist = "select 1", false }),
			"blacklisted": with(func(q *Query) { q.SQL, q.Denylist = "select 1", false }),
			"snapshots":   with(func(q *Query) { q.SQL, q.Snapshot, q.Removed, q.Interval = "select 1", true, false, 28800 }),
			"old table":   with(func(q *Query) { q.SQL = "select * from opera_extensions" }),
		}
		for name, query := range want {
			got := p.Queries[name]
			got.ID, got.Status, got.Packs = 0, false, nil
			if !reflect.DeepEqual(got, query) {
				t.Errorf("%s is %+v, not %+v", name, got, query)
			}
		}
		if len(p.Queries) != len(want)+1 || string(appendJSON(nil, p.Queries["unknown members"].Other)) != `{"oncall":["a",{"b":1.50}],"status":true}` {
			t.Errorf("%d queries, the last with %v", len(p.Queries), p.Queries["unknown members"].Other)
		}
		if err := s.SetPackTags(t.Context(), "quirks", []string{"lab"}); err != nil {
			t.Fatal(err)
		}
		sent := decodedConfig(t, configOf(t, s, host(linux, "x86_64", "lab")).Plain).Packs["quirks"].Queries
		if sent["gentoo"] != nil || sent["name with spaces "] != nil || sent["mithra`s_rootkit"]["interval"] != 3600.0 || len(sent) != 10 {
			t.Errorf("agents on Linux get %v", sent)
		}
	})
}

func TestSpecsOfOtherManagersImport(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		packs, warnings := imported(t, loaded(t, db, Options{}), "fleet", "fleet.yml")
		warned(t, warnings, `"on demand" runs by no clock`, "disabled is kept", "targets is kept", "observer_can_run is kept")
		macs, rest := packs["office macs"], packs["fleet"]
		if len(packs) != 2 || len(macs.Queries) != 2 || len(rest.Queries) != 1 || macs.Platform != "darwin" || macs.Description == "" {
			t.Fatalf("packs %+v", packs)
		}
		info, rows, users := macs.Queries["osquery_info"], macs.Queries["info as rows"], rest.Queries["logged in"]
		if info.SQL != "select i.*\nfrom osquery_info i;" || info.Interval != 7200 || info.Removed || info.Description != "A heartbeat" {
			t.Errorf("osquery_info is %+v", info)
		}
		if rows.SQL != info.SQL || !rows.Snapshot || rows.Interval != 3600 || rows.Shard != 10 || rows.Version != "5.0.0" {
			t.Errorf("info as rows is %+v", rows)
		}
		if users.Interval != 300 || users.Platform != "linux,windows" || users.Version != "5.1.0" || !users.Snapshot || users.Other["observer_can_run"] != true {
			t.Errorf("logged in is %+v", users)
		}
	})
}

func TestConfigsOfOtherFleetsImport(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		packs, warnings := imported(t, loaded(t, db, Options{}), "config", "config.conf")
		warned(t, warnings, "comments behind values", `pack "on disk" is the file`, "options is part of a config", "decorators is part of a config")
		if len(packs) != 3 || packs["inline"].Queries["q"].SQL != "select 2" || packs["config"].Queries["q"].SQL != "select 3" {
			t.Errorf("packs %+v", packs)
		}
		p := packs["config schedule"]
		if p.Queries["crontab"].Interval != 300 || !reflect.DeepEqual(p.FilePaths, map[string][]string{"etc": {"/etc/%%"}}) {
			t.Errorf("the schedule is %+v", p)
		}
	})
}

func TestParseFileRefuses(t *testing.T) {
	tests := []struct {
		name, data, says string
	}{
		{"nothing", "", "cannot be read"},
		{"a word", "hello", "compulsory"},
		{"a list", "[1]", "compulsory"},
		{"an empty object", "{}", "compulsory"},
		{"an empty schedule", `{"schedule":{}}`, "compulsory"},
		{"YAML that is none", "a: [", "line 1"},
		{"an anchor", "kind: pack\nspec: &a\n  name: x\nother: *a\n", "anchors"},
		{"a key given twice in YAML", "kind: pack\nkind: pack\n", "line 2"},
		{"a tower of YAML", strings.Repeat("- ", 60) + "x", "deeply"},
		{"a pack spec whose query is missing", "kind: pack\nspec: {name: p, queries: [{query: q, interval: 1}]}", `no query of the name "q"`},
		{"a pack spec without queries", "kind: pack\nspec: {name: p}", "must be a list"},
		{"a pack spec without a name", "kind: pack\nspec: {queries: []}", "name is missing"},
		{"two pack specs of one name", "kind: pack\nspec: {name: p, queries: []}\n---\nkind: pack\nspec: {name: p, queries: []}", "two packs"},
		{"two query specs of one name", "kind: query\nspec: {name: q, query: select 1}\n---\nkind: query\nspec: {name: q, query: select 2}", "two of the name"},
		{"a document that is something else", "kind: query\nspec: {name: q, query: select 1}\n---\nkind: label\n", "several documents"},
		{"a pack of a config that osquery would refuse", `{"packs":{"main":{"queries":{"q":{"query":"select 1"}}}}}`, "reserved"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := ParseFile("p", []byte(test.data))
			if !fault.Is(err, fault.Unprocessable) || !strings.Contains(fault.Public(err), test.says) {
				t.Errorf("got %v, want a word of %q", err, test.says)
			}
		})
	}
	if packs, warnings, err := ParseFile("p", []byte("queries:\n  - name: q\n    query: select 1\n    interval: 60\n    logging: differential\n")); err != nil || len(packs) != 1 || len(warnings) > 0 {
		t.Errorf("a list of queries: %v %v %v", packs, warnings, err)
	}
}

// Whatever is accepted can be stored and read again.
func FuzzParseFile(f *testing.F) {
	for _, file := range []string{"quirks.conf", "fleet.yml", "config.conf"} {
		data, err := os.ReadFile("testdata/imports/" + file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("queries:\n- {name: a, query: select 1, interval: 0x10}\n- {name: 'b', query: !!binary eA==, interval: 2001-01-01}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		packs, _, err := ParseFile("p", data)
		if err != nil {
			if !fault.Is(err, fault.Unprocessable) {
				t.Fatalf("not a fault of the sender: %v", err)
			}
			return
		}
		for _, p := range packs {
			again, _, err := ParsePack(p.Name, []byte(p.document()))
			if err != nil || !reflect.DeepEqual(p, again) {
				t.Fatalf("what is stored reads as\n%+v (%v), not\n%+v", again, err, p)
			}
		}
	})
}
