package results

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"
)

// errGone says that a segment went after it was listed.
var errGone = errors.New("a segment of the index of observed values is gone")

// ask asks the index about a segment, and reads its rows where the index has no
// answer: the segment is damaged, or it was cut or purged a moment ago, and some of
// its rows may be left.
func (c *chase) ask(ctx context.Context, g segment) error {
	err := c.look(ctx, g)
	switch {
	case errors.Is(err, errSegment):
		c.s.log.Error("a segment of the index cannot be read, its rows are", "segment", g.ID)
	case !errors.Is(err, errGone):
		return err
	}
	return c.read(ctx, stretch{g.FromAt, g.ToAt})
}

// look finds the rows of a segment in the index.
func (c *chase) look(ctx context.Context, g segment) error {
	v, err := c.s.sieveOf(ctx, g.ID)
	if err == nil && v == nil {
		err = errGone
	}
	if err != nil {
		return err
	}
	var wanted []uint64
	for _, key := range c.keys {
		if v.mayHold(key) {
			wanted = append(wanted, key)
		}
	}
	found, err := c.s.postings(ctx, g.ID, v, wanted)
	if err != nil {
		return err
	}
	c.looked(g.FromAt, g.RowCount)
	if !c.byKey {
		found = once(found)
	}
	if len(found) > 0 {
		c.found(stretch{g.FromAt, g.ToAt}, found)
	}
	return nil
}

// once leaves one hit of each row.
func once(found []hit) []hit {
	slices.SortFunc(found, func(a, b hit) int { return cmp.Compare(a.row, b.row) })
	return slices.CompactFunc(found, func(a, b hit) bool { return a.row == b.row })
}

// postings returns the rows of a segment that hold what the keys stand for, each
// once for every key. The keys are sorted.
func (s *Store) postings(ctx context.Context, id int64, v *sieve, keys []uint64) ([]hit, error) {
	var wanted []part
	var keysOf [][]uint64 // of each part
	for i, key := range keys {
		from, to := v.part(key)
		switch {
		case from == to:
		case len(wanted) > 0 && wanted[len(wanted)-1].from == from:
			last := &keysOf[len(keysOf)-1]
			*last = (*last)[:len(*last)+1]
		default:
			wanted, keysOf = append(wanted, part{from, to}), append(keysOf, keys[i:i+1])
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	blobs, err := s.parts(ctx, id, wanted)
	if err == nil && blobs == nil {
		err = errGone
	}
	if err != nil {
		return nil, err
	}
	var found []hit
	damaged := false
	for i, blob := range blobs {
		err := eachPosting(blob, keysOf[i], v.first, func(p posting) {
			if damaged = damaged || int(p.name/2) >= len(v.names); !damaged {
				found = append(found, hit{row: p.row, host: p.host, name: v.names[p.name/2], removed: p.name%2 == 1, key: p.key})
			}
		})
		if err != nil || damaged {
			return nil, errSegment
		}
	}
	return found, nil
}

// read looks at the rows of a stretch themselves, the newest first, up to what one
// hunt may read. What lies beyond soon, which is next to nothing, comes with the
// first of them.
func (c *chase) read(ctx context.Context, whole stretch) error {
	if whole.from >= whole.to {
		return nil
	}
	pace := stride{int64((ahead + time.Minute) / time.Microsecond), strideRows}
	m := c.newMatcher()
	for high := whole.to; high > whole.from; {
		if m.rows >= maxUnindexed || time.Now().After(c.until) {
			c.reach.Complete = false
			return nil
		}
		top := min(high, c.soon)
		at := stretch{max(top-pace.micros, whole.from), high}
		m.found, m.oldest = m.found[:0], at.to
		rows, err := c.s.eachStored(ctx, at, pace.limit(top-at.from), m.add)
		if err != nil {
			return err
		}
		if !pace.saw(top-at.from, rows) {
			continue
		}
		m.rows += rows
		c.looked(m.oldest, int64(rows))
		if len(m.found) > 0 {
			c.found(at, m.found)
		}
		high = at.from
	}
	return nil
}

// matcher gathers the rows that hold an indicator.
type matcher struct {
	c      *chase
	x      *extractor
	rows   int
	found  []hit
	oldest int64
	names  map[string]string // so that a name is one text, however many rows have it
	keys   keyMaker
	held   []uint64 // of one row
}

func (c *chase) newMatcher() *matcher {
	return &matcher{c: c, x: newExtractor(c.columns), names: map[string]string{}}
}

func (m *matcher) add(r stored) {
	m.oldest = min(m.oldest, r.arrived)
	m.held = m.held[:0]
	m.x.each(r.columns, func(column, value string) {
		if m.c.values[value] {
			m.held = append(m.held, m.keys.key(column, value))
		}
	})
	if !m.c.byKey {
		m.held = m.held[:min(len(m.held), 1)]
	}
	if len(m.held) == 0 {
		return
	}
	name, known := m.names[string(r.name)]
	if !known {
		name = string(r.name)
		m.names[name] = name
	}
	for _, key := range m.held {
		m.found = append(m.found, hit{row: r.id, host: r.hostID, name: name, removed: string(r.action) == "removed", key: key})
	}
}
