package schedule

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

func TestPacksAreStored(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		p := parsed(t, "lab", `{"description":"d","category":"General","queries":{"q":{"query":"x","interval":60,"value":"v"}}}`, " b ", "a", "b")
		added, err := s.AddPack(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		listed, err := s.ListPacks(t.Context())
		if err != nil || len(listed) != 4 {
			t.Fatal(listed, err)
		}
		if got := listed[2]; !reflect.DeepEqual(got, added) || strings.Join(got.Tags, " ") != "a b" || got.Builtin {
			t.Errorf("listed %+v, added %+v", got, added)
		}
		if _, err := s.AddPack(t.Context(), p); !fault.Is(err, fault.Conflict) {
			t.Errorf("added again: %v", err)
		}
		if err := s.SetPackTags(t.Context(), "nothing", nil); !fault.Is(err, fault.NotFound) {
			t.Errorf("tags of no pack: %v", err)
		}
		for _, tag := range []string{"", "a,b", "a\nb", strings.Repeat("x", 256)} {
			if err := s.SetPackTags(t.Context(), "lab", []string{tag}); !fault.Is(err, fault.Unprocessable) {
				t.Errorf("tag %q: %v", tag, err)
			}
		}
		p.Name, p.Queries = "bad", map[string]Query{"epoch": {SQL: "x", Interval: 1}}
		if _, err := s.AddPack(t.Context(), p); !fault.Is(err, fault.Unprocessable) {
			t.Errorf("a reserved name: %v", err)
		}
		exec(t, db, "UPDATE packs SET document = '{' WHERE name = 'lab'")
		if listed, err = s.ListPacks(t.Context()); err != nil || len(listed) != 4 || listed[2].Name != "lab" || len(listed[2].Queries) != 0 {
			t.Errorf("a broken pack is listed as %+v, %v", listed, err)
		}
	})
}

func TestInstallKeepsWhatUsersChanged(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		// An earlier version shipped other documents.
		const earlier = `{"queries":{"old":{"interval":60,"query":"x"}}}`
		i := installer{installed: map[string]string{}}
		for _, key := range []string{"packs/health", "packs/inventory", "packs/security", "configs/linux", "configs/darwin", "configs/windows", "configs/freebsd"} {
			i.record(key, earlier)
		}
		if err := db.SetSetting(t.Context(), shippedSetting, i.installed); err != nil {
			t.Fatal(err)
		}
		exec(t, db, "UPDATE packs SET document = ?", earlier)
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
			packs, err := s.ListPacks(t.Context())
			if err != nil || len(packs) != 2 {
				t.Fatal(packs, err)
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
			if rows != 3 {
				t.Errorf("%d configs", rows)
			}
		}
	})
}

func TestAUsersPackOfABuiltinNameStays(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		exec(t, db, `INSERT INTO packs (name, builtin, document, created_at, updated_at) VALUES ('health', 0, '{"queries":{"mine":{"query":"x"}}}', 1, 1)`)
		for range 2 {
			s := loaded(t, db, Options{})
			packs, err := s.ListPacks(t.Context())
			if err != nil || len(packs) != 3 || packs[0].Builtin || packs[0].Queries["mine"].SQL != "x" || len(packs[0].Tags) != 0 {
				t.Fatalf("%+v %v", packs, err)
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
		if _, err := db.Setting(t.Context(), shippedSetting, &shipped); err != nil || len(shipped) != 7 {
			t.Errorf("recorded %v %v", shipped, err)
		}
	})
}

func TestStoredDocumentsAreOurOwnForm(t *testing.T) {
	s := loaded(t, dbtest.Open(t, database.SQLite), Options{})
	rows, err := s.packRows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if !json.Valid([]byte(row.Document)) || strings.ContainsAny(row.Document, "\n") {
			t.Errorf("%s is stored as %s", row.Name, row.Document)
		}
	}
}
