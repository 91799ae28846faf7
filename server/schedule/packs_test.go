package schedule

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"muster/server/database"
	"muster/server/database/dbtest"
)

func TestInstallKeepsWhatUsersChanged(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		// An earlier version shipped other documents.
		const earlier = `{"queries":{"old":{"interval":60,"query":"x"}}}`
		i := installer{installed: map[string]string{}}
		old := parsed(t, "any", earlier)
		for _, key := range []string{"packs/health", "packs/inventory", "packs/security", "configs/linux", "configs/darwin", "configs/windows", "configs/freebsd", "configs/windows/x86_64/deep", "configs/windows/x86/default"} {
			i.record(key, earlier)
		}
		if err := db.SetSetting(t.Context(), shippedSetting, i.installed); err != nil {
			t.Fatal(err)
		}
		if err := s.edit(t.Context(), func(e *editor) error {
			for _, row := range e.library.packs {
				if err := e.replacePack(row, old); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		exec(t, db, "UPDATE configs SET document = ?", earlier)
		// Since then a user changed one config, deleted another and a pack, and moved a tag.
		const mine = `{"queries":{"mine":{"query":"x"}}}`
		exec(t, db, "UPDATE configs SET document = ? WHERE platform = 'linux'", mine)
		exec(t, db, "DELETE FROM configs WHERE platform = 'freebsd'")
		exec(t, db, "DELETE FROM packs WHERE name = 'security'")
		if err := s.SetPackTags(t.Context(), "health", []string{"canary"}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			s = loaded(t, db, Options{})
			packs := packsByName(t, s)
			if len(packs) != 2 {
				t.Fatal(packs)
			}
			if packs[0].Queries["schedule"].SQL == "" || !reflect.DeepEqual(packs[0].Tags, []string{"canary"}) {
				t.Errorf("health: %+v", packs[0])
			}
			if d := decodedConfig(t, configOf(t, s, host(linux, "x86_64")).Plain); len(d.Schedule) != 1 || d.Schedule["mine"] == nil {
				t.Errorf("the changed config: %v", d.Schedule)
			}
			if d := decodedConfig(t, configOf(t, s, host(darwin, "x86_64")).Plain); d.Schedule["old"] != nil || d.Schedule["apps"] == nil {
				t.Errorf("the unchanged config: %v", d.Schedule)
			}
			if d := decodedConfig(t, configOf(t, s, host(freebsd, "x86_64")).Plain); d.Schedule["users"] == nil {
				t.Errorf("the deleted config: %v", d.Schedule)
			}
			var rows int64
			db.Read(t.Context()).Raw("SELECT count(*) FROM configs").Scan(&rows)
			if rows != 5 {
				t.Errorf("%d configs", rows)
			}
		}
	})
}

// packsByName are the stored packs.
func packsByName(t *testing.T, s *Store) []Pack {
	t.Helper()
	packs, _, _, err := s.ListPacks(t.Context(), PackFilter{})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(packs, func(a, b Pack) int { return strings.Compare(a.Name, b.Name) })
	return packs
}

func TestAUsersPackOfABuiltinNameStays(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		exec(t, db, `INSERT INTO packs (name, builtin, document, created_at, updated_at) VALUES ('health', 0, '{}', 1, 1)`)
		exec(t, db, `INSERT INTO queries (name, document, created_at, updated_at) VALUES ('mine', '{"query":"x"}', 1, 1)`)
		exec(t, db, `INSERT INTO pack_queries (pack_id, query_id) SELECT packs.id, queries.id FROM packs, queries`)
		for range 2 {
			s := loaded(t, db, Options{})
			packs := packsByName(t, s)
			if len(packs) != 3 || packs[0].Builtin || packs[0].Queries["mine"].SQL != "x" || len(packs[0].Tags) != 0 {
				t.Fatalf("%+v", packs)
			}
		}
	})
}

func TestReplicasInstallAtTheSameTime(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		done := make(chan error)
		for range 4 {
			go func() { done <- New(db, nil, quiet(), Options{}).Load(t.Context()) }()
		}
		for range 4 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		var shipped map[string]string
		if _, err := db.Setting(t.Context(), shippedSetting, &shipped); err != nil || len(shipped) != 9 {
			t.Errorf("recorded %v %v", shipped, err)
		}
	})
}

func TestStoredDocumentsAreOurOwnForm(t *testing.T) {
	s := loaded(t, dbtest.Open(t, database.SQLite), Options{})
	l, err := s.library(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range l.queries {
		if !json.Valid([]byte(row.Document)) || strings.ContainsAny(row.Document, "\n") {
			t.Errorf("%s is stored as %s", row.Name, row.Document)
		}
	}
}
