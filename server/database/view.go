package database

import (
	"context"
	"database/sql"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

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

// Lock makes other transactions that ask for one of the locks of these names wait
// until this one ends, for rules that no constraint of a table can hold. Those of
// one call are taken in an order that is the same for everybody, so that two calls
// cannot wait for each other. Outside a transaction it does nothing.
func (db *DB) Lock(ctx context.Context, names ...string) error {
	if !db.inTx || db.engine == SQLite || len(names) == 0 { // SQLite has one writer at a time
		return nil
	}
	keys := make([]int64, 0, len(names))
	for _, name := range names {
		hash := fnv.New64a()
		_, _ = hash.Write([]byte(name))
		keys = append(keys, int64(hash.Sum64())) //nolint:gosec // any 64 bits will do
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	list := make([]string, 0, len(keys))
	for _, key := range keys {
		list = append(list, strconv.FormatInt(key, 10))
	}
	return Fault(db.write.WithContext(ctx).Exec("SELECT pg_advisory_xact_lock(k) FROM unnest(string_to_array(?, ',')::bigint[]) AS k",
		strings.Join(list, ",")).Error)
}
