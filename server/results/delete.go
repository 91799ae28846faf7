package results

import (
	"context"
	"time"

	"gorm.io/gorm"

	"muster/server/database"
)

// deleteRows is how many rows one transaction of Delete deletes.
const deleteRows = purgeChunk

// Delete deletes the rows that arrived before a moment: whole days of UTC as
// Purge does, and the part of the moment's own day row by row. The index of
// observed values forgets them first, so that no hunt counts what is going. It may
// be cut off at any point and called again. Faults: those of Purge.
func (s *Store) Delete(ctx context.Context, before time.Time) error {
	if err := s.cutObserved(ctx, database.Micros(before)); err != nil {
		return err
	}
	if err := s.Purge(ctx, Before{Results: before}); err != nil {
		return err
	}
	if err := s.deleteBefore(ctx, before); err != nil {
		return err
	}
	// What was being indexed meanwhile may have brought some of it back.
	return s.cutObserved(ctx, database.Micros(before))
}

// deleteBefore deletes what Purge leaves of the time before a moment.
func (s *Store) deleteBefore(ctx context.Context, before time.Time) error {
	sc, err := s.bound(ctx, scope{to: database.Micros(before)})
	if err != nil {
		return err
	}
	for at := sc.high; ; {
		w, err := s.mark(ctx, sc, at, deleteRows, exportTime)
		if err != nil {
			return slowly(err)
		}
		if w.rows > 0 {
			if err := s.deleteSpan(ctx, sc, w); err != nil {
				return err
			}
		}
		if w.last {
			return nil
		}
		at = w.low
	}
}

func (s *Store) deleteSpan(ctx context.Context, sc scope, w span) error {
	table, _ := sc.table(s.db.Engine())
	where, args := sc.between(s.db.Engine(), w.low, w.high)
	if s.db.Engine() == database.SQLite {
		return database.Fault(s.db.Write(ctx).Exec("DELETE FROM "+table+" WHERE "+where, args...).Error)
	}
	return database.Fault(s.db.Write(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Exec("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off").Error; err != nil { // see planSQL
			return err
		}
		return tx.Exec("DELETE FROM "+table+" WHERE "+where, args...).Error
	}))
}
