package database

import (
	"context"
	"database/sql"
	"hash/fnv"

	"gorm.io/gorm"
)

// View runs fn over one state of the database: what others commit meanwhile is
// not seen between two of its statements. fn only reads, and holds up nobody who
// writes. When db is a transaction already, fn runs inside it.
func (db *DB) View(ctx context.Context, fn func(view *DB) error) error {
	if db.inTx {
		return fn(db)
	}
	options := &sql.TxOptions{ReadOnly: true}
	if db.engine == Postgres {
		options.Isolation = sql.LevelRepeatableRead // SQLite's transactions are so anyway
	}
	err := db.read.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		return fn(&DB{engine: db.engine, read: tx, write: tx, pool: db.pool, inTx: true})
	}, options)
	return Fault(err)
}

// Lock makes other transactions that ask for the lock of that name wait until
// this one ends, for rules that no constraint of a table can hold. Outside a
// transaction it does nothing.
func (db *DB) Lock(ctx context.Context, name string) error {
	if !db.inTx || db.engine == SQLite { // SQLite has one writer at a time
		return nil
	}
	key := fnv.New64a()
	_, _ = key.Write([]byte(name))
	return Fault(db.write.WithContext(ctx).Exec("SELECT pg_advisory_xact_lock(?)", int64(key.Sum64())).Error) //nolint:gosec // any 64 bits will do
}
