package database_test

import (
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"muster/migrations"
	"muster/server/database"
	"muster/server/database/dbtest"
)

// migrator moves a database between versions of the schema.
func migrator(t *testing.T, db *database.DB) *goose.Provider {
	t.Helper()
	folder, err := fs.Sub(migrations.Files, string(db.Engine()))
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.SQL()
	if err != nil {
		t.Fatal(err)
	}
	dialect := map[database.Engine]goose.Dialect{database.SQLite: goose.DialectSQLite3, database.Postgres: goose.DialectPostgres}[db.Engine()]
	provider, err := goose.NewProvider(dialect, pool, folder)
	if err != nil {
		t.Fatal(err)
	}
	return provider
}

const (
	firstPack = `{"category":"General","description":"d","discovery":["select 1"],"file_paths":{"etc":["/etc/%%"]},"platform":"linux",` +
		`"queries":{"a/b ":{"denylist":false,"interval":60,"query":"select '\"\\ é'","shard":10,"startup_priority":0},"same":{"interval":3600,"query":"x"}},"shard":50,"version":"5.0.0"}`
	secondPack = `{"queries":{"same":{"interval":3600,"query":"x"}}}`
	brokenPack = `{"queries":{}}`
)

func TestAnUpgradeKeepsPacksQueriesAndTags(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		schema := migrator(t, db)
		if _, err := schema.DownTo(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		run := func(sql string, args ...any) {
			t.Helper()
			if err := db.Write(t.Context()).Exec(sql, args...).Error; err != nil {
				t.Fatal(err)
			}
		}
		run("INSERT INTO tags (value, created_at) VALUES ('prod', 5), ('hosts only', 6)")
		for i, document := range []string{firstPack, secondPack, brokenPack} {
			run("INSERT INTO packs (name, builtin, document, created_at, updated_at) VALUES (?, ?, ?, ?, ?)",
				[]string{"first", "second", "third"}[i], i%2, document, 10+i, 20+i)
		}
		run(`INSERT INTO pack_tags (pack_id, tag) SELECT id, 'prod' FROM packs WHERE name <> 'third'`)
		run(`INSERT INTO pack_tags (pack_id, tag) SELECT id, 'only a text' FROM packs WHERE name = 'first'`)
		run(`INSERT INTO configs (platform, arch, type, active, document, created_at, updated_at)
			VALUES ('windows', 'x86_64', 'default', 1, '{}', 1, 1), ('linux', 'x86_64', 'default', 1, '{}', 1, 1)`)

		for range 2 { // there, back, and there again
			if _, err := schema.UpTo(t.Context(), 2); err != nil {
				t.Fatal(err)
			}
			checkUpgraded(t, db)
			if _, err := schema.DownTo(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			checkDowngraded(t, db)
		}
	})
}

func checkUpgraded(t *testing.T, db *database.DB) {
	t.Helper()
	got := texts(t, db, `SELECT p.name || ' ' || q.name || ' ' || q.packed || ' ' || q.created_at || ' ' || q.updated_at
		FROM packs p JOIN pack_queries l ON l.pack_id = p.id JOIN queries q ON q.id = l.query_id ORDER BY q.id`)
	want := []string{"first a/b  1 10 20", "first same 1 10 20", "second same 1 11 21"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("queries of packs: %s", diff)
	}
	same(t, texts(t, db, "SELECT document FROM queries ORDER BY id")[0],
		`{"denylist":false,"interval":60,"query":"select '\"\\ é'","shard":10,"startup_priority":0}`)
	same(t, texts(t, db, "SELECT document FROM packs ORDER BY id")[0],
		`{"category":"General","description":"d","discovery":["select 1"],"file_paths":{"etc":["/etc/%%"]},"platform":"linux","shard":50,"version":"5.0.0"}`)
	same(t, texts(t, db, "SELECT document FROM packs ORDER BY id")[2], `{}`)
	got = texts(t, db, `SELECT p.name || ' ' || t.value FROM packs p JOIN pack_tags l ON l.pack_id = p.id JOIN tags t ON t.id = l.tag_id ORDER BY p.id, t.id`)
	if diff := cmp.Diff([]string{"first prod", "first only a text", "second prod"}, got); diff != "" {
		t.Errorf("tags of packs: %s", diff)
	}
	got = texts(t, db, "SELECT platform || ' ' || type || ' ' || active || ' ' || version FROM configs ORDER BY id")
	if diff := cmp.Diff([]string{"windows shallow 1 1", "linux default 1 1"}, got); diff != "" {
		t.Errorf("configs: %s", diff)
	}
}

func checkDowngraded(t *testing.T, db *database.DB) {
	t.Helper()
	documents := texts(t, db, "SELECT document FROM packs ORDER BY id")
	same(t, documents[0], firstPack)
	same(t, documents[1], secondPack)
	same(t, documents[2], brokenPack)
	got := texts(t, db, "SELECT p.name || ' ' || l.tag FROM packs p JOIN pack_tags l ON l.pack_id = p.id ORDER BY p.id, length(l.tag)")
	if diff := cmp.Diff([]string{"first prod", "first only a text", "second prod"}, got); diff != "" {
		t.Errorf("tags of packs: %s", diff)
	}
}

func texts(t *testing.T, db *database.DB, sql string) []string {
	t.Helper()
	var rows []string
	if err := db.Read(t.Context()).Raw(sql).Scan(&rows).Error; err != nil {
		t.Fatal(err)
	}
	return rows
}

// same compares JSON by what it says: PostgreSQL writes it down in its own way.
func same(t *testing.T, got, want string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(got), &a); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, a); diff != "" {
		t.Error(diff)
	}
}
