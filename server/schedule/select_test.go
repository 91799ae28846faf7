package schedule

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/hosts"
)

// addQuery stores a query of its own.
func addQuery(t testing.TB, s *Store, name, sql string, tags ...string) StoredQuery {
	t.Helper()
	q, err := s.AddQuery(t.Context(), StoredQuery{Name: name, Query: Query{SQL: sql, Interval: 60, Removed: true, Denylist: true, Tags: tags}})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// scheduled is the SQL of the schedule that h gets, by name, without the config's own.
func scheduled(t testing.TB, s *Store, h *hosts.Host, own map[string]map[string]any) string {
	t.Helper()
	var found []string
	got := decodedConfig(t, configOf(t, s, h).Plain).Schedule
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if sql, _ := got[name]["query"].(string); own[name]["query"] != sql {
			found = append(found, name+": "+sql)
		}
	}
	return strings.Join(found, ", ")
}

func TestQueriesWithTagsRunInTheSchedule(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		log := &journal{}
		s := New(db, bus.NewMemory(), log.logger(), Options{})
		if err := s.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"health", "inventory", "security"} { // they have queries of the names below
			if _, err := s.DeletePack(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		addQuery(t, s, "one", "select 1", "lab", "web")
		addQuery(t, s, "nowhere", "select 2")
		mac := addQuery(t, s, "mac", "select 3", "lab")
		if _, _, err := s.UpdateQuery(t.Context(), "mac", func(q *StoredQuery) error { q.Platform = "darwin"; return nil }); err != nil {
			t.Fatal(err)
		}
		addQuery(t, s, "users", "select 4", "lab") // the config has one of that name
		add(t, s, parsed(t, "p1", `{"queries":{"packed":{"query":"select 5"},"twice":{"query":"select 6"}}}`))
		add(t, s, parsed(t, "p2", `{"queries":{"twice":{"query":"select 7"}}}`))
		if err := s.AddQueryTag(t.Context(), "packed", "web"); err != nil {
			t.Fatal(err)
		}
		tests := []struct {
			name     string
			platform string
			tags     []string
			want     string
		}{
			{"a host without tags runs its config alone", linux, nil, ""},
			{"a tag brings a query; the config's own of the name wins, and other platforms' stay away", linux, []string{"lab"}, "one: select 1"},
			{"a query of a pack runs by a tag of its own, without its pack", linux, []string{"web"}, "one: select 1, packed: select 5"},
			{"two tags bring a query once", linux, []string{"lab", "web"}, "one: select 1, packed: select 5"},
			{"where it can run, it does", darwin, []string{"lab"}, "mac: select 3, one: select 1"},
		}
		for _, test := range tests {
			own := decodedConfig(t, configOf(t, s, host(test.platform, "x86_64")).Plain).Schedule
			if got := scheduled(t, s, host(test.platform, "x86_64", test.tags...), own); got != test.want {
				t.Errorf("%s: got %q, want %q", test.name, got, test.want)
			}
		}
		if mac.ID == 0 || packNames(t, s, host(linux, "x86_64", "web")) != "" {
			t.Error("a tag on a query brings its pack")
		}
		// The config's query is switched off: the tagged one runs.
		exec(t, db, `UPDATE configs SET document = '{"queries":{"users":{"query":"select 9","status":false}}}', updated_at = updated_at + 1 WHERE platform = 'linux'`)
		s.changed(t.Context())
		if got := scheduled(t, s, host(linux, "x86_64", "lab"), nil); got != "one: select 1, users: select 4" {
			t.Errorf("with the config's query switched off: %q", got)
		}
		// Two of one name: the older one.
		for i, tag := range []string{"lab", "lab"} {
			exec(t, db, `INSERT INTO query_tags (query_id, tag_id) SELECT q.id, t.id FROM queries q, tags t
				WHERE q.name = 'twice' AND q.document LIKE ? AND t.value = ?`, "%select "+[]string{"7", "6"}[i]+"%", tag)
		}
		for range 3 {
			s.refreshAfter(t, db)
		}
		if got := scheduled(t, s, host(linux, "x86_64", "lab"), nil); !strings.Contains(got, "twice: select 6") {
			t.Errorf("of two queries of one name: %q", got)
		}
		if n := log.count("two queries with tags share a name"); n != 1 {
			t.Errorf("it is said %d times", n)
		}
	})
}

func TestATagSelectsByItsIdentity(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		add(t, s, parsed(t, "p", `{"queries":{"q":{"query":"select 1"}}}`, "before"))
		addQuery(t, s, "alone", "select 2", "before")
		h := known(t, s, host(linux, "x86_64", "before"))
		was := configOf(t, s, h)
		exec(t, db, "UPDATE tags SET value = 'after', updated_at = updated_at + 1 WHERE value = 'before'")
		if err := s.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now := configOf(t, s, h); !bytes.Equal(now.WithETag, was.WithETag) {
			t.Error("renaming a tag changes what its hosts get")
		}
		full, err := s.FullConfig(t.Context(), h)
		if err != nil || len(full.Packs) != 1 || strings.Join(full.Packs[0].Tags, " ") != "after" {
			t.Errorf("the pack is shown with %+v %v", full.Packs, err)
		}
		exec(t, db, "DELETE FROM tags WHERE value = 'after'")
		if err := s.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if configOf(t, s, h).ETag != configOf(t, s, host(linux, "x86_64")).ETag {
			t.Error("a tag that is gone selects still")
		}
	})
}

func TestWhatRunsElsewhereChangesNothingHere(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		add(t, s, parsed(t, "p", `{"queries":{"q":{"query":"select 1"}}}`, "lab"))
		h := host(linux, "x86_64", "lab")
		was := configOf(t, s, h).ETag
		add(t, s, parsed(t, "p", `{"queries":{"w":{"query":"select 2","platform":"windows"}}}`))
		addQuery(t, s, "untagged", "select 3")
		addQuery(t, s, "elsewhere", "select 4", "other")
		if configOf(t, s, h).ETag != was {
			t.Error("a query for Windows in a pack changes the config on Linux")
		}
		got := decodedConfig(t, configOf(t, s, host(windows, "x86_64", "lab")).Plain).Packs["p"].Queries
		if len(got) != 2 {
			t.Errorf("Windows gets %v", got)
		}
	})
}

func TestQueriesWithTagsAreLeftOutWhereThereIsNoRoom(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		add(t, s, huge(t, "big", 980<<10, "lab"))
		addQuery(t, s, "large", "select '"+strings.Repeat("x", 60<<10)+"'", "lab")
		addQuery(t, s, "small", "select 1", "lab")
		got := decodedConfig(t, configOf(t, s, host(linux, "x86_64", "lab")).Plain)
		if len(got.Packs) != 0 || got.Schedule["large"] == nil || got.Schedule["small"] == nil {
			t.Errorf("%d packs, %d queries", len(got.Packs), len(got.Schedule))
		}
	})
}
