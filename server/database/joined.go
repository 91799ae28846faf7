package database

import (
	"context"
	"errors"

	"gorm.io/gorm"
)

// Joined returns a handle on a transaction that the caller began itself on conn (a
// *sql.Tx, or a *sql.Conn that is inside one), for those who fill it in the driver's
// own ways besides. The caller commits or rolls it back; Tx on the handle makes
// savepoints. conn must not be used elsewhere while the handle is.
func (db *DB) Joined(ctx context.Context, conn gorm.ConnPool) *DB {
	tx := db.write.Session(&gorm.Session{Context: ctx, NewDB: true})
	tx.Statement.ConnPool = joined{conn}
	return &DB{engine: db.engine, read: tx, write: tx, pool: db.pool, inTx: true}
}

// joined looks to gorm like a transaction under way, whatever it is: transactions
// inside of it become savepoints.
type joined struct{ gorm.ConnPool }

var errNotOurs = errors.New("the transaction is ended by whoever began it")

// Commit refuses: see Joined.
func (joined) Commit() error { return errNotOurs }

// Rollback refuses: see Joined.
func (joined) Rollback() error { return errNotOurs }
