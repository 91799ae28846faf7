// Package dbtest gives a test a fresh database of each engine.
//
// PostgreSQL comes from MUSTER_TEST_POSTGRES, the URL of a server where the user
// may create databases; make test sets it. Without it the tests fail: a skipped
// engine is an untested one.
package dbtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"muster/server/database"
)

// Each runs test once per engine, as a subtest named after the engine, with a
// migrated database of its own.
func Each(t *testing.T, test func(t *testing.T, db *database.DB)) {
	t.Helper()
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		t.Run(string(engine), func(t *testing.T) { test(t, Open(t, engine)) })
	}
}

// Open returns a migrated database that is closed and dropped after the test. It
// is a copy of one that was migrated once: migrating for each test would cost
// more than most tests do.
func Open(t testing.TB, engine database.Engine) *database.DB {
	t.Helper()
	db, err := database.Open(context.Background(), migrated(t, engine))
	if err != nil {
		t.Fatalf("open %s: %v", engine, err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// URL returns the address of an empty database that is dropped after the test.
func URL(t testing.TB, engine database.Engine) string {
	t.Helper()
	if engine == database.SQLite {
		return "sqlite://" + filepath.Join(t.TempDir(), "muster.db")
	}
	return createDatabase(t, postgresServer(t), "template1")
}

func migrated(t testing.TB, engine database.Engine) string {
	t.Helper()
	if engine == database.SQLite {
		path := filepath.Join(t.TempDir(), "muster.db")
		if err := os.WriteFile(path, sqliteTemplate(t), 0o600); err != nil {
			t.Fatal(err)
		}
		return "sqlite://" + path
	}
	server := postgresServer(t)
	return createDatabase(t, server, postgresTemplate(t, server))
}

func postgresServer(t testing.TB) string {
	t.Helper()
	server := os.Getenv("MUSTER_TEST_POSTGRES")
	if server == "" {
		t.Fatal("MUSTER_TEST_POSTGRES is not set: run make test, or export it from scripts/postgres.sh start DIR")
	}
	return server
}

// createDatabase makes a database that is dropped after the test.
func createDatabase(t testing.TB, server, template string) string {
	t.Helper()
	name := fmt.Sprintf("muster_%x", rand.Uint64())
	execute(t, server, "CREATE DATABASE "+name+" TEMPLATE "+template)
	t.Cleanup(func() { execute(t, server, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	return named(t, server, name)
}

func named(t testing.TB, server, name string) string {
	t.Helper()
	parsed, err := url.Parse(server)
	if err != nil {
		t.Fatalf("MUSTER_TEST_POSTGRES: %v", err)
	}
	parsed.Path = "/" + name
	return parsed.String()
}

func execute(t testing.TB, server, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatalf("connect to MUSTER_TEST_POSTGRES: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// Server is a PostgreSQL server of the test's own, which it may restart.
type Server struct {
	URL string // of a database that is empty at first
	dir string
}

// StartServer starts a PostgreSQL server that is stopped and removed after the
// test. It keeps fsync on, so that a restart loses nothing that was committed.
func StartServer(t testing.TB) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "muster-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { script(t, "stop", dir) })
	server := &Server{dir: dir}
	server.URL = createDatabase(t, strings.TrimSpace(script(t, "start", dir)), "template1")
	return server
}

// Restart stops the server as a crash would and starts it on the same port.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	script(t, "restart", s.dir)
}

func script(t testing.TB, action, dir string) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	path := filepath.Join(filepath.Dir(here), "../../../scripts/postgres.sh")
	command := exec.Command("bash", path, action, dir)
	command.Env = append(os.Environ(), "MUSTER_TEST_FSYNC=on")
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("postgres.sh %s: %v", action, err)
	}
	return string(out)
}
