package database

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"muster/server/fault"
)

// sqliteReaders bounds the read connections of one process. Searches, exports and
// hunts, which take up to eight at once, must leave some for everything else.
const sqliteReaders = 12

func gormConfig() *gorm.Config {
	return &gorm.Config{
		SkipDefaultTransaction: true,
		TranslateError:         true,
		PrepareStmt:            false,
		Logger:                 logger.Discard,
		NowFunc:                func() time.Time { return time.Now().UTC() },
	}
}

func openSQLite(path string) (*DB, error) {
	if path == "" {
		return nil, fault.New(fault.Invalid, "the database URL names no file: sqlite://PATH")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "the database folder cannot be made")
	}
	common := "?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=10000&_foreign_keys=1&_cache_size=-65536"
	file := "file:" + (&url.URL{Path: path}).EscapedPath()
	write, err := sqlitePool(file+common+"&_txlock=immediate", 1)
	if err != nil {
		return nil, err
	}
	read, err := sqlitePool(file+common+"&_query_only=1", sqliteReaders)
	if err != nil {
		return nil, err
	}
	return &DB{engine: SQLite, read: read, write: write}, nil
}

func sqlitePool(dsn string, connections int) (*gorm.DB, error) {
	handle, err := gorm.Open(sqlite.Open(dsn), gormConfig())
	if err != nil {
		return nil, fault.Wrap(err, fault.Busy, "the SQLite database cannot be opened")
	}
	pool, err := handle.DB()
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "the SQLite database has no pool")
	}
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	return handle, nil
}

func openPostgres(ctx context.Context, rawURL string) (*DB, error) {
	config, err := pgxpool.ParseConfig(rawURL)
	if err != nil {
		// The parser's error repeats the URL with its password.
		return nil, fault.New(fault.Invalid, "the PostgreSQL URL cannot be parsed")
	}
	config.MinConns = 2
	if !strings.Contains(rawURL, "pool_max_conns") {
		// The driver's default follows the processors; searches, exports and hunts,
		// which are bounded, must leave room for what agents send.
		config.MaxConns = 20
	}
	config.MaxConnLifetime = time.Hour
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fault.Wrap(err, fault.Busy, "PostgreSQL cannot be reached")
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fault.Wrap(err, fault.Busy, "PostgreSQL cannot be reached")
	}
	handle, err := gorm.Open(postgres.New(postgres.Config{Conn: stdlib.OpenDBFromPool(pool)}), gormConfig())
	if err != nil {
		pool.Close()
		return nil, fault.Wrap(err, fault.Busy, "PostgreSQL cannot be reached")
	}
	return &DB{engine: Postgres, read: handle, write: handle, pool: pool}, nil
}
