package dbtest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"muster/migrations"
	"muster/server/database"
)

var (
	sqliteOnce, postgresOnce sync.Once
	sqliteBytes              []byte
	postgresName             string
)

// sqliteTemplate is the file of a migrated database, made once a process.
func sqliteTemplate(t testing.TB) []byte {
	t.Helper()
	sqliteOnce.Do(func() {
		dir, err := os.MkdirTemp("", "muster-template-")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		path := filepath.Join(dir, "muster.db")
		migrate(t, "sqlite://"+path)
		if sqliteBytes, err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	})
	return sqliteBytes
}

// postgresTemplate is the name of a migrated database of the server. Test
// processes share it; its name says which migrations it holds.
func postgresTemplate(t testing.TB, server string) string {
	t.Helper()
	postgresOnce.Do(func() { postgresName = makeTemplate(t, server) })
	if postgresName == "" {
		t.Fatal("the template database could not be made")
	}
	return postgresName
}

func makeTemplate(t testing.TB, server string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatalf("connect to MUSTER_TEST_POSTGRES: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }() // frees the lock
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(7700)"); err != nil {
		t.Fatal(err)
	}
	name := "muster_template_" + schemaHash(t)
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil {
		t.Fatal(err)
	}
	if exists {
		return name
	}
	if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+name+"_new"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name+"_new"); err != nil {
		t.Fatal(err)
	}
	migrate(t, named(t, server, name+"_new"))
	if _, err := conn.Exec(ctx, "ALTER DATABASE "+name+"_new RENAME TO "+name); err != nil {
		t.Fatal(err)
	}
	return name
}

func migrate(t testing.TB, url string) {
	t.Helper()
	db, err := database.Open(context.Background(), url)
	if err != nil {
		t.Fatalf("migrate the template: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func schemaHash(t testing.TB) string {
	t.Helper()
	hash := sha256.New()
	err := fs.WalkDir(migrations.Files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(migrations.Files, path)
		fmt.Fprintf(hash, "%s %d ", path, len(text))
		hash.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:8])
}
