package results

import (
	"context"

	"muster/server/database"
)

// cutObserved makes the index of observed values forget what arrived before a
// moment: whole segments go, and the one that the moment lies in is made anew
// without its older part.
func (s *Store) cutObserved(ctx context.Context, before int64) error {
	segments, err := s.segments(ctx)
	if err != nil {
		return database.Fault(err)
	}
	for _, g := range segments {
		if g.FromAt < before && before < g.ToAt {
			if err := s.cutSegment(ctx, g, before); err != nil {
				return database.Fault(err)
			}
		}
	}
	return database.Fault(s.forgetObserved(ctx, before))
}

// cutSegment replaces a segment by one of the rows from a moment on.
func (s *Store) cutSegment(ctx context.Context, g segment, from int64) error {
	b := newBuilder(segmentRows)
	if _, err := s.eachStored(ctx, stretch{from, g.ToAt}, noLimit, b.add); err != nil {
		return err
	}
	var sieveBlob, postings []byte
	if b.rows > 0 {
		var err error
		if sieveBlob, postings, err = b.encode(); err != nil {
			return err
		}
	}
	return s.db.Tx(ctx, func(tx *database.DB) error {
		gone := tx.Write(ctx).Exec("DELETE FROM observed WHERE id = ?", g.ID)
		if gone.Error != nil || gone.RowsAffected == 0 || b.rows == 0 { // somebody else cut or purged it
			return gone.Error
		}
		return tx.Write(ctx).Exec("INSERT INTO observed (from_at, to_at, row_count, sieve, postings) VALUES (?, ?, ?, ?, ?)",
			from, g.ToAt, b.rows, sieveBlob, postings).Error
	})
}
