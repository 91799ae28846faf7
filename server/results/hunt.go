package results

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"muster/server/database"
	"muster/server/fault"
	"muster/server/indicator"
)

// Bounds of hunts.
const (
	// MaxIndicators is how many indicators one hunt may look for.
	MaxIndicators = 100_000
	// MaxHuntRows is how many rows one hunt finds at most, where it gives rows.
	MaxHuntRows = 1_000_000
	// huntsAtOnce is how many hunts run at a time in one process; more wait.
	huntsAtOnce = 4
	// maxUnindexed is how many rows a hunt reads one by one.
	maxUnindexed = 2_000_000
	// ahead is how much later than ours the clock of another replica may be.
	ahead = 5 * time.Minute
)

// Hunt says what to look for in the log, and in which part of it.
type Hunt struct {
	Type indicator.Type
	// Values are compared in the type's normal form. None find nothing.
	Values []string
	// From and To bound the time of arrival: From is in it and To is not. The zero
	// time bounds nothing.
	From, To time.Time
	HostID   int64                   // 0: of all hosts
	Name     string                  // of the query; empty: of all
	Visible  func(hostID int64) bool // which hosts count; nil: all
	// Budget is how long it may take, once it is its turn: Options.SearchBudget unless
	// it is set.
	Budget time.Duration
}

// shows says whether rows of the host and query are asked for.
func (h Hunt) shows(hostID int64, name string) bool {
	return (h.HostID == 0 || h.HostID == hostID) && (h.Name == "" || h.Name == name) && (h.Visible == nil || h.Visible(hostID))
}

// Hunt counts the rows, whatever their action, that hold one of the indicators in
// a column where its type is observed. Groups are in the order of hosts and
// names. A row counts once, however many indicators it holds.
//
// Everything stored when the hunt began is looked at, unless the reach is not
// complete: then the part that no index covers yet was too long to be read.
// Faults: Invalid for an unknown type or too many indicators, TooMany when other
// hunts take too long, Busy when ctx ends.
func (s *Store) Hunt(ctx context.Context, h Hunt) ([]Group, Reach, error) {
	type key struct {
		host int64
		name string
	}
	counts := map[key]int64{}
	reach, err := s.hunt(ctx, h, func(_ stretch, found []hit) {
		for _, hit := range found {
			if h.shows(hit.host, hit.name) {
				counts[key{hit.host, hit.name}]++
			}
		}
	})
	if err != nil {
		return nil, Reach{}, err
	}
	groups := make([]Group, 0, len(counts))
	for k, count := range counts {
		groups = append(groups, Group{k.host, k.name, count})
	}
	slices.SortFunc(groups, func(a, b Group) int { return cmp.Or(cmp.Compare(a.HostID, b.HostID), cmp.Compare(a.Name, b.Name)) })
	return groups, reach, nil
}

// hit is a row that holds an indicator.
type hit struct {
	row, host int64
	name      string
	removed   bool
	key       uint64 // of the column and value; a row has a hit for each only if the chase is byKey
}

// chase is a hunt under way.
type chase struct {
	s       *Store
	columns []string
	values  map[string]bool // normalised
	keys    []uint64        // of every column and value, sorted
	within  stretch
	soon    int64 // later rows have the time of a clock that was set back since
	until   time.Time
	reach   Reach
	found   func(stretch, []hit)
	byKey   bool // a hit for each key that a row holds, rather than one for the row
}

// hunt calls found with the rows that hold an indicator, each once, the newest
// stretch of the log first.
func (s *Store) hunt(ctx context.Context, h Hunt, found func(stretch, []hit)) (Reach, error) {
	columns := h.Type.Columns()
	switch {
	case columns == nil:
		return Reach{}, fault.New(fault.Invalid, "There is no such type of indicator")
	case len(h.Values) > MaxIndicators:
		return Reach{}, fault.New(fault.Invalid, "A hunt looks for at most %d indicators", MaxIndicators)
	}
	leave, err := s.hunts.enter(ctx, s.o.SearchWait)
	if err != nil {
		return Reach{}, err
	}
	defer leave()
	now, budget := s.o.Now(), s.o.SearchBudget
	if h.Budget > 0 {
		budget = h.Budget
	}
	c := &chase{
		s: s, columns: columns, values: map[string]bool{}, found: found, until: time.Now().Add(budget),
		within: stretch{database.Micros(h.From), math.MaxInt64}, soon: database.Micros(now.Add(ahead)),
	}
	if !h.To.IsZero() {
		c.within.to = database.Micros(h.To)
	}
	c.prepare(h)
	if err := c.run(ctx); err != nil {
		if ctx.Err() != nil {
			return Reach{}, fault.Wrap(err, fault.Busy, "The hunt was given up")
		}
		return Reach{}, database.Fault(err)
	}
	return c.reached(h, now), nil
}

func (c *chase) prepare(h Hunt) {
	keys := keyMaker{}
	for _, value := range h.Values {
		value = h.Type.Normalize(value)
		if value == "" || c.values[value] {
			continue
		}
		c.values[value] = true
		for _, column := range c.columns {
			c.keys = append(c.keys, keys.key(column, value))
		}
	}
	slices.Sort(c.keys)
}

// run looks at what lies after the index, and then at the index. The list of
// segments is read first: what is added to the index meanwhile was after it.
func (c *chase) run(ctx context.Context) error {
	segments, err := c.s.segments(ctx)
	if err != nil {
		return err
	}
	indexed := int64(0)
	if len(segments) > 0 {
		indexed = segments[0].ToAt
	} else if indexed, err = c.s.beginning(ctx); err != nil || indexed == 0 {
		c.reach.Complete = err == nil
		return err
	}
	c.reach.Complete = true
	if err := c.read(ctx, stretch{max(indexed, c.within.from), c.within.to}); err != nil {
		return err
	}
	for _, g := range segments {
		at := stretch{max(g.FromAt, c.within.from), min(g.ToAt, c.within.to)}
		switch {
		case at.from >= at.to:
		case time.Now().After(c.until):
			c.reach.Complete = false
			return nil
		case at.from == g.FromAt && at.to == g.ToAt:
			err = c.ask(ctx, g)
		default: // the index does not know which of its rows are in this part
			err = c.read(ctx, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// looked notes that so many rows from a moment on were looked at. What lies behind
// a gap is counted, but the reach is one stretch and ends there.
func (c *chase) looked(from, rows int64) {
	c.reach.Rows += rows
	if rows > 0 && c.reach.Complete {
		c.reach.From = database.FromMicros(from)
	}
}

// reached is how far the hunt got in the end.
func (c *chase) reached(h Hunt, now time.Time) Reach {
	switch {
	case c.reach.Rows == 0:
		return Reach{Complete: c.reach.Complete}
	case c.reach.Complete && !h.From.IsZero():
		c.reach.From = h.From.UTC()
	}
	c.reach.To = now.UTC()
	if !h.To.IsZero() && h.To.Before(now) {
		c.reach.To = h.To.UTC()
	}
	return c.reach
}
