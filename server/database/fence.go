package database

import (
	"context"
	"slices"
	"sync"
)

// Fence tells how far a table can be followed by its ids without missing a row.
//
// On PostgreSQL ids are handed out before the commit: a row with a lower id can
// appear after one with a higher id was seen. A fence is set by noting the newest id
// that was handed out and, after that, who is writing to the table. Whoever holds
// this id or a lower one was writing then, because a statement locks its table before
// it draws an id and the lock is held until the transaction has ended and its rows can
// be seen. So once all of these are gone, no row can appear up to the fence.
//
// The transaction ids of a snapshot would do for transactions that have one before
// they draw; but a transaction of any other database of the server would hold them
// back, and the upper end of a snapshot is not above everybody who is running.
//
// On SQLite, which has one writer, ids appear in their order.
type Fence struct {
	db    *DB
	table string

	mu      sync.Mutex
	passed  int64    // no row can appear with this id or a lower one
	id      int64    // the last fence that was set
	writing []string // who is waited for until it is passed
}

// NewFence returns a fence for a table whose column id has a sequence of its own,
// named as PostgreSQL does by itself. It is safe for concurrent use.
func NewFence(db *DB, table string) *Fence { return &Fence{db: db, table: table} }

// Passed returns the highest id up to which no row can appear any more, and the
// newest id that was handed out, as far as it looked. Rows must be read after it, in
// a statement that begins later.
func (f *Fence) Passed(ctx context.Context) (passed, newest int64, err error) {
	if f.db.Engine() == SQLite {
		err = f.db.Read(ctx).Raw("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?), 0)", f.table).Scan(&newest).Error
		return newest, newest, Fault(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.look(ctx); err != nil {
		return 0, 0, Fault(err)
	}
	if f.passed == f.id {
		if err := f.set(ctx); err != nil {
			return 0, 0, Fault(err)
		}
	}
	return f.passed, f.id, nil
}

// set sets a fence if ids were handed out since the last. The statements must not be
// one, and not in another order.
func (f *Fence) set(ctx context.Context) error {
	var newest int64
	err := f.db.Read(ctx).Raw("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM " + f.table + "_id_seq").Scan(&newest).Error
	if err != nil || newest <= f.passed {
		return err
	}
	writing, err := f.writers(ctx)
	if err != nil {
		return err
	}
	f.id, f.writing = newest, writing
	if len(writing) == 0 {
		f.passed = newest
	}
	return nil
}

// look sees whether everybody has passed the fence that stands.
func (f *Fence) look(ctx context.Context) error {
	if f.passed == f.id {
		return nil
	}
	writing, err := f.writers(ctx)
	if err != nil {
		return err
	}
	f.writing = slices.DeleteFunc(f.writing, func(one string) bool { return !slices.Contains(writing, one) })
	if len(f.writing) == 0 {
		f.passed = f.id
	}
	return nil
}

// writers names the transactions that write to the table, by PostgreSQL's virtual
// ids, which no later transaction has.
func (f *Fence) writers(ctx context.Context) (names []string, err error) {
	err = f.db.Read(ctx).Raw(`SELECT DISTINCT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
		AND relation = ?::regclass AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`, f.table).Scan(&names).Error
	return names, err
}
