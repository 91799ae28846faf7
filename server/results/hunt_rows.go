package results

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"muster/server/database"
	"muster/server/fault"
)

// HuntRows returns a page of the rows that hold one of the indicators and are not
// of action removed, newest first, and how many there are. It counts no more than
// MaxHuntRows; with more the reach is not complete. Faults: see Hunt,
// and Unprocessable for a page of more than 64 MiB.
func (s *Store) HuntRows(ctx context.Context, h Hunt, p Page) (rows []Row, count int64, reach Reach, err error) {
	refs, reach, err := s.huntRefs(ctx, h)
	if err != nil {
		return nil, 0, Reach{}, err
	}
	from := min(max(p.Start, 0), len(refs))
	rows, bytes := []Row{}, 0
	for row, err := range s.eachRef(ctx, refs[from:min(from+limit(p.Limit), len(refs))]) {
		if err != nil {
			return nil, 0, Reach{}, err
		}
		if bytes += len(row.Columns) + len(row.Decorations); bytes > pageBytes {
			return nil, 0, Reach{}, fault.New(fault.Unprocessable, "These rows take more than %d MiB together; ask for fewer with limit", pageBytes>>20)
		}
		rows = append(rows, row)
	}
	return rows, int64(len(refs)), reach, nil
}

// EachHuntRow hunts, and returns all the rows that HuntRows pages through. The
// sequence may be gone through several times, and gives the same rows, but for
// those that were purged meanwhile; an error is its last element. Faults: see Hunt.
func (s *Store) EachHuntRow(ctx context.Context, h Hunt) (iter.Seq2[Row, error], error) {
	refs, _, err := s.huntRefs(ctx, h)
	if err != nil {
		return nil, err
	}
	return s.eachRef(ctx, refs), nil
}

// ref is where a row is: its id, and the stretch of its arrival, which tells
// PostgreSQL the partition.
type ref struct {
	row int64
	at  *stretch
}

func (s *Store) huntRefs(ctx context.Context, h Hunt) ([]ref, Reach, error) {
	var refs []ref
	cutOff := false
	reach, err := s.hunt(ctx, h, func(at stretch, found []hit) {
		for _, hit := range found {
			if hit.removed || !h.shows(hit.host, hit.name) {
				continue
			}
			if cutOff = cutOff || len(refs) == MaxHuntRows; !cutOff {
				refs = append(refs, ref{hit.row, &at})
			}
		}
	})
	reach.Complete = reach.Complete && !cutOff
	slices.SortFunc(refs, func(a, b ref) int { return cmp.Compare(b.row, a.row) })
	return refs, reach, err
}

// refsAtOnce is how many rows one statement fetches.
const refsAtOnce = 200

// eachRef fetches rows in the order of refs.
func (s *Store) eachRef(ctx context.Context, refs []ref) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for chunk := range slices.Chunk(refs, refsAtOnce) {
			found, err := s.fetch(ctx, chunk)
			if err != nil {
				yield(Row{}, err)
				return
			}
			for _, row := range found {
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

// fetch reads rows by their ids, the highest first.
func (s *Store) fetch(ctx context.Context, refs []ref) ([]Row, error) {
	ids, at := make([]int64, len(refs)), *refs[0].at
	for i, r := range refs {
		ids[i] = r.row
		at = stretch{min(at.from, r.at.from), max(at.to, r.at.to)}
	}
	statement, args := "", []any{ids}
	if s.db.Engine() == database.Postgres {
		statement, args = " AND received_at >= ? AND received_at < ?", append(args, at.from, at.to)
	}
	return readRows(s.db.Read(ctx).Raw("SELECT "+rowFields+" FROM results WHERE id IN ?"+statement+" ORDER BY id DESC", args...))
}
