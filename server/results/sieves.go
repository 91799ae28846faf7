package results

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"muster/server/database"
)

// sievesBytes bounds the sieves that are kept in memory: those of about twenty
// million rows.
const sievesBytes = 64 << 20

// segment is a row of the index without its pieces.
type segment struct {
	ID, FromAt, ToAt, RowCount int64
}

// sieves keeps decoded sieves, which never change. When they are too many, those
// of the newest segments stay: hunts look at these first, and at the others after
// all of these, so that keeping what was used last would keep nothing of use.
type sieves struct {
	mu    sync.Mutex
	kept  map[int64]*sieve // by the segment's id
	bytes int
}

func (c *sieves) get(id int64) *sieve {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept[id]
}

func (c *sieves) put(id int64, v *sieve) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil {
		c.kept = map[int64]*sieve{}
	}
	if c.kept[id] != nil {
		return
	}
	for c.bytes+v.size > sievesBytes {
		oldest := id
		for other := range c.kept {
			oldest = min(oldest, other)
		}
		if oldest == id {
			return
		}
		c.bytes -= c.kept[oldest].size
		delete(c.kept, oldest)
	}
	c.kept[id] = v
	c.bytes += v.size
}

// keepOnly drops the sieves of segments that are gone.
func (c *sieves) keepOnly(there []segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.kept) <= len(there) {
		return
	}
	ids := make(map[int64]bool, len(there))
	for _, g := range there {
		ids[g.ID] = true
	}
	for id, v := range c.kept {
		if !ids[id] {
			c.bytes -= v.size
			delete(c.kept, id)
		}
	}
}

// segments lists the index, newest first.
func (s *Store) segments(ctx context.Context) ([]segment, error) {
	var all []segment
	err := s.db.Read(ctx).Raw("SELECT id, from_at, to_at, row_count FROM observed ORDER BY from_at DESC").Scan(&all).Error
	if err == nil {
		s.sieves.keepOnly(all)
	}
	return all, err
}

// sieveOf returns the sieve of a segment; nil when the segment is gone.
func (s *Store) sieveOf(ctx context.Context, id int64) (*sieve, error) {
	if v := s.sieves.get(id); v != nil {
		return v, nil
	}
	blob, err := s.blob(ctx, "SELECT sieve FROM observed WHERE id = ?", id)
	if err != nil || blob == nil {
		return nil, err
	}
	v, err := decodeSieve(blob)
	if err == nil {
		s.sieves.put(id, v)
	}
	return v, err
}

// maxParts is how many parts of the postings are asked for one by one; beyond, all
// are read.
const maxParts = 48

// part is where a bucket lies in the postings.
type part struct{ from, to uint32 }

// parts reads parts of a segment's postings, which are in order and do not
// overlap; none come back when the segment is gone. PostgreSQL reads no more of
// the piece than that; SQLite reads all of it in any case.
func (s *Store) parts(ctx context.Context, id int64, wanted []part) ([][]byte, error) {
	statement, args, length := "SELECT postings FROM observed WHERE id = ?", []any{}, uint32(0)
	whole := s.db.Engine() != database.Postgres || len(wanted) > maxParts
	if !whole {
		pieces := ""
		for _, p := range wanted {
			if pieces != "" {
				pieces += " || "
			}
			pieces += "substr(postings, ?::int, ?::int)"
			args = append(args, p.from+1, p.to-p.from)
			length += p.to - p.from
		}
		statement = "SELECT " + pieces + " FROM observed WHERE id = ?"
	}
	blob, err := s.blob(ctx, statement, append(args, id)...)
	if err != nil || blob == nil {
		return nil, err
	}
	return cut(blob, wanted, whole)
}

// blob reads one value; nil when there is no row.
func (s *Store) blob(ctx context.Context, statement string, args ...any) ([]byte, error) {
	var blob []byte
	err := s.db.Read(ctx).Raw(statement, args...).Row().Scan(&blob)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return blob, err
}

// cut takes the parts out of the whole postings, or out of the parts put together.
func cut(blob []byte, wanted []part, whole bool) ([][]byte, error) {
	taken, at := make([][]byte, len(wanted)), uint32(0)
	for i, p := range wanted {
		if whole {
			at = p.from
		}
		end := at + p.to - p.from
		if uint64(end) > uint64(len(blob)) {
			return nil, errSegment
		}
		taken[i] = blob[at:end]
		at = end
	}
	return taken, nil
}
