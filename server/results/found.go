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
// transaction that stores them. When that fails, Found is called again to note what is
// to be done later, so that what was found is not forgotten. It returns errUnheard when
// the transaction is of no use any more. ctx must not end before the transaction does.
func (s *Store) tellFound(ctx context.Context, tx gorm.ConnPool, b *batch) error {
	if len(b.found) == 0 {
		return nil
	}
	for h := b.hearing; h < deaf; h++ {
		if told, err := s.tellOnce(ctx, tx, b.found, h); told || err != nil {
			return err
		}
	}
	if b.hearing != deaf {
		s.counts.unheard.Add(uint64(len(b.found)))
		b.found = b.found[:0]
	}
	return nil
}

// tellOnce calls Options.Found behind a savepoint: a failure, or a panic, undoes what it
// did and costs no row.
func (s *Store) tellOnce(ctx context.Context, tx gorm.ConnPool, found []FoundRow, h hearing) (told bool, err error) {
	if _, err := tx.ExecContext(ctx, "SAVEPOINT found"); err != nil {
		return false, errors.Join(errUnheard, err)
	}
	failed := s.callFound(ctx, s.db.Joined(ctx, tx), found, h)
	if failed == nil {
		_, err = tx.ExecContext(ctx, "RELEASE SAVEPOINT found")
		return true, lost(err)
	}
	s.log.Error("what was found in rows could not be told", "rows", len(found), "later", h == hearingLater, "error", failed)
	_, err = tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT found")
	return false, lost(err)
}

func lost(err error) error {
	if err != nil {
		return errors.Join(errUnheard, err)
	}
	return nil
}

// callFound calls Options.Found, for as long as it may take, and makes an error of a
// panic.
func (s *Store) callFound(ctx context.Context, tx *database.DB, found []FoundRow, h hearing) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, s.o.FoundTime)
	defer cancel()
	return s.o.Found(ctx, tx, found, h == hearingLater)
}
