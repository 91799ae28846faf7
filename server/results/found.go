package results

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"gorm.io/gorm"

	"muster/server/database"
)

// FoundRow is a new row in which something was found (Entry.Finding).
type FoundRow struct {
	ID int64
	*Entry
}

// hearing is how much of what was found is told in the transaction of a batch.
type hearing int

const (
	hearingNow   hearing = iota // Options.Found does its work
	hearingLater                // Options.Found notes what is to be done later
	deaf                        // nobody is told: nothing may cost a row
)

// errUnheard says that a transaction was lost while Options.Found used it.
var errUnheard = errors.New("the transaction was lost while findings were told")

// wanted reports whether somebody is to be told of the row.
func (s *Store) wanted(e *Entry) bool { return e.Finding != nil && s.o.Found != nil }

// collect notes the id of a new row in which something was found.
func (b *batch) collect(id int64, e *Entry) { b.found = append(b.found, FoundRow{id, e}) }

// tellFound hands the new rows in which something was found to Options.Found, in the
// transaction that stores them, behind a savepoint: a failure, or a panic, undoes what
// it did and costs no row. It returns errUnheard when the transaction is of no use any
// more. ctx must not end before the transaction does.
func (s *Store) tellFound(ctx context.Context, tx gorm.ConnPool, b *batch) error {
	if len(b.found) == 0 || b.hearing == deaf {
		return nil
	}
	if _, err := tx.ExecContext(ctx, "SAVEPOINT found"); err != nil {
		return errors.Join(errUnheard, err)
	}
	err := s.callFound(ctx, s.db.Joined(ctx, tx), b)
	if err == nil {
		_, err = tx.ExecContext(ctx, "RELEASE SAVEPOINT found")
		return lost(err)
	}
	s.log.Error("what was found in rows could not be told", "rows", len(b.found), "error", err)
	if _, undo := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT found"); undo != nil {
		return errors.Join(errUnheard, undo)
	}
	s.counts.unheard.Add(uint64(len(b.found)))
	b.found = b.found[:0]
	return nil
}

func lost(err error) error {
	if err != nil {
		return errors.Join(errUnheard, err)
	}
	return nil
}

// callFound calls Options.Found, for as long as it may take, and makes an error of a
// panic.
func (s *Store) callFound(ctx context.Context, tx *database.DB, b *batch) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, s.o.FoundTime)
	defer cancel()
	return s.o.Found(ctx, tx, b.found, b.hearing == hearingLater)
}
