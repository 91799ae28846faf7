// Package database opens either engine and hides what differs between them:
// connection pools, migrations, transactions, engine errors, LISTEN/NOTIFY.
//
// It writes the table settings (see Setting). It knows no feature.
//
// SQLite serves one process: one writer connection, several readers, WAL with
// synchronous=FULL, so that a commit survives a power cut. PostgreSQL serves
// several replicas. Times are stored on both as microseconds since 1970 in UTC
// (0 = never): see Micros and FromMicros.
package database

import (
	"context"
	"database/sql"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"gorm.io/gorm"

	"muster/server/fault"
)

// Engine names a database engine.
type Engine string

// The two engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// DB is an open database, or a transaction of one: stores are given either.
type DB struct {
	engine Engine
	read   *gorm.DB
	write  *gorm.DB
	pool   *pgxpool.Pool // PostgreSQL only
	inTx   bool
}

// Open connects to url (sqlite://PATH or postgres://...) and applies the
// migrations that are missing. Faults: Invalid for a URL that is neither, Busy
// when the database cannot be reached.
func Open(ctx context.Context, rawURL string) (*DB, error) {
	db, err := connect(ctx, rawURL)
	if err != nil {
		return nil, err
	}
	if err := db.migrate(ctx); err != nil {
		_ = db.Close()
		return nil, fault.Wrap(err, fault.Internal, "the database schema cannot be brought up to date")
	}
	return db, nil
}

func connect(ctx context.Context, rawURL string) (*DB, error) {
	switch {
	case strings.HasPrefix(rawURL, "sqlite://"):
		return openSQLite(strings.TrimPrefix(rawURL, "sqlite://"))
	case strings.HasPrefix(rawURL, "postgres://"), strings.HasPrefix(rawURL, "postgresql://"):
		return openPostgres(ctx, rawURL)
	}
	return nil, fault.New(fault.Invalid, "the database URL must start with sqlite:// or postgres://")
}

// Redact returns the URL without its password, for logs.
func Redact(rawURL string) string {
	parsed, err := url.Parse(rawURL)
	if err != nil {
		return "(unparsable database URL)"
	}
	return parsed.Redacted()
}

// Engine says which engine this is.
func (db *DB) Engine() Engine { return db.engine }

// Read returns a handle for statements that change nothing. Inside Tx it is the
// transaction.
func (db *DB) Read(ctx context.Context) *gorm.DB { return db.read.WithContext(ctx) }

// Write returns a handle for single statements that change something. Inside Tx
// it is the transaction.
func (db *DB) Write(ctx context.Context) *gorm.DB { return db.write.WithContext(ctx) }

// Tx runs fn in one transaction, or in a savepoint when db is a transaction
// already, and commits if fn returns nil. fn must use tx only: on SQLite a write
// through the outer handle would wait for ever. Engine errors come back as faults.
func (db *DB) Tx(ctx context.Context, fn func(tx *DB) error) error {
	err := db.write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		return fn(&DB{engine: db.engine, read: tx, write: tx, pool: db.pool, inTx: true})
	})
	return Fault(err)
}

// InTx reports whether db is a transaction.
func (db *DB) InTx() bool { return db.inTx }

// SQL returns the pool that writes: for bulk inserts and for tests.
func (db *DB) SQL() (*sql.DB, error) { return db.write.DB() }

// Pool returns PostgreSQL's connection pool; nil on SQLite.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// Ready reports whether the database answers and every migration is applied.
// Faults: Busy when either is not so.
func (db *DB) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	pending, err := db.pending(ctx)
	if err != nil { // one connection of the pool may have died while the database lives
		pending, err = db.pending(ctx)
	}
	if err != nil {
		return fault.Wrap(err, fault.Busy, "the database cannot be reached")
	}
	if pending {
		return fault.New(fault.Busy, "the database schema is not up to date")
	}
	return nil
}

// Close closes the pools. On SQLite the write-ahead log is folded in.
func (db *DB) Close() error {
	var first error
	seen := map[*sql.DB]bool{}
	for _, handle := range []*gorm.DB{db.read, db.write} {
		pool, err := handle.DB()
		if err == nil && !seen[pool] {
			seen[pool] = true
			err = pool.Close()
		}
		if err != nil && first == nil {
			first = err
		}
	}
	if db.pool != nil {
		db.pool.Close()
	}
	return first
}

// Micros is a time as both engines store it; 0 for the zero time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// FromMicros reads a stored time; the zero time for 0.
func FromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
