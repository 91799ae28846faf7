package database_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/server/database"
	"muster/server/database/dbtest"
)

// column is one line of either engine's catalogue, in words that both share.
type column struct {
	Table, Column, Type string
	NotNull             bool
}

const postgresColumns = `
	SELECT c.table_name AS "table", c.column_name AS "column", c.data_type AS type, c.is_nullable = 'NO' AS not_null
	FROM information_schema.columns c
	JOIN pg_class p ON p.relname = c.table_name AND p.relnamespace = 'public'::regnamespace
	WHERE c.table_schema = 'public' AND NOT p.relispartition AND c.table_name <> 'goose_db_version'
	ORDER BY 1, 2`

const sqliteColumns = `
	SELECT m.name AS "table", p.name AS "column", p.type, p."notnull" OR p.pk > 0 AS not_null
	FROM sqlite_master m JOIN pragma_table_info(m.name) p
	WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> 'goose_db_version'
	ORDER BY 1, 2`

const postgresIndexes = `
	SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
	WHERE t.relnamespace = 'public'::regnamespace AND NOT t.relispartition AND NOT i.indisprimary
		AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid)
	ORDER BY 1`

const sqliteIndexes = `SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY 1`

// family maps an engine's type to what both engines mean by it.
func family(engine string) string {
	switch engine = strings.ToLower(engine); engine {
	case "bytea":
		return "blob"
	case "bigint":
		return "integer"
	}
	return engine
}

func TestTheEnginesHaveOneSchema(t *testing.T) {
	columns := map[database.Engine][]column{}
	indexes := map[database.Engine][]string{}
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		columnQuery, indexQuery := sqliteColumns, sqliteIndexes
		if db.Engine() == database.Postgres {
			columnQuery, indexQuery = postgresColumns, postgresIndexes
		}
		var found []column
		if err := db.Read(t.Context()).Raw(columnQuery).Scan(&found).Error; err != nil {
			t.Fatal(err)
		}
		for i := range found {
			found[i].Type = family(found[i].Type)
		}
		columns[db.Engine()] = found
		var names []string
		if err := db.Read(t.Context()).Raw(indexQuery).Scan(&names).Error; err != nil {
			t.Fatal(err)
		}
		indexes[db.Engine()] = names
	})
	if len(columns[database.SQLite]) < 100 {
		t.Fatalf("only %d columns were found", len(columns[database.SQLite]))
	}
	if diff := cmp.Diff(columns[database.SQLite], columns[database.Postgres]); diff != "" {
		t.Errorf("columns differ (- SQLite, + PostgreSQL):\n%s", diff)
	}
	// PostgreSQL drops a day's partition where SQLite looks rows up by arrival.
	partitioned := map[string]bool{"status_logs_received": true}
	var lite []string
	for _, name := range indexes[database.SQLite] {
		if !partitioned[name] {
			lite = append(lite, name)
		}
	}
	if diff := cmp.Diff(lite, indexes[database.Postgres]); diff != "" {
		t.Errorf("indexes differ (- SQLite, + PostgreSQL):\n%s", diff)
	}
}
