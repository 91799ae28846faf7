package results

import (
	"context"
	"math"
	"slices"
	"time"

	"muster/server/database"
	"muster/server/fault"
	"muster/server/indicator"
)

// MaxSought is how many values one call of Sightings looks for.
const MaxSought = 50

// Sought is a value to be looked for in the columns where its type is observed.
type Sought struct {
	Type  indicator.Type
	Value string
}

// Sighting says where and when a value was seen.
type Sighting struct {
	Sought
	Hosts       int       // that have reported it
	First, Last time.Time // arrival of the first and of the last row that holds it; zero: none does
}

// trace is a Sighting in the making.
type trace struct {
	hosts       map[int64]bool
	first, last ref
}

// Sightings says of each value, in the order given, on how many hosts it was ever
// reported, and when first and last, as far as the log goes back: in rows of every
// action, of hosts that are visible (nil: all). It has the means and the bounds of a
// hunt. Faults: those of Hunt, and Invalid for more than MaxSought values.
func (s *Store) Sightings(ctx context.Context, sought []Sought, visible func(hostID int64) bool) ([]Sighting, Reach, error) {
	if len(sought) > MaxSought {
		return nil, Reach{}, fault.New(fault.Invalid, "At most %d values are looked for at once", MaxSought)
	}
	leave, err := s.hunts.enter(ctx, s.o.SearchWait)
	if err != nil {
		return nil, Reach{}, err
	}
	defer leave()
	now := s.o.Now()
	c := &chase{
		s: s, byKey: true, values: map[string]bool{}, until: time.Now().Add(s.o.SearchBudget),
		within: stretch{0, math.MaxInt64}, soon: database.Micros(now.Add(ahead)),
	}
	seen := make([]trace, len(sought))
	of, err := c.seek(sought)
	if err != nil {
		return nil, Reach{}, err
	}
	c.found = func(at stretch, hits []hit) {
		for _, h := range hits {
			if visible != nil && !visible(h.host) {
				continue
			}
			for _, i := range of[h.key] {
				seen[i].add(h, &at)
			}
		}
	}
	all, err := c.sight(ctx, sought, seen)
	if err != nil {
		return nil, Reach{}, err
	}
	return all, c.reached(Hunt{}, now), nil
}

// sight runs the chase and says what it saw.
func (c *chase) sight(ctx context.Context, sought []Sought, seen []trace) (all []Sighting, err error) {
	if err = c.run(ctx); err == nil {
		all, err = c.s.dated(ctx, sought, seen)
	}
	if err != nil && ctx.Err() != nil {
		return nil, fault.Wrap(err, fault.Busy, "The hunt was given up")
	}
	return all, database.Fault(err)
}

// seek makes the chase one for the values, and says which of them a key stands for.
func (c *chase) seek(sought []Sought) (of map[uint64][]int, err error) {
	of = map[uint64][]int{}
	keys := keyMaker{}
	for i, one := range sought {
		columns := one.Type.Columns()
		if columns == nil {
			return nil, fault.New(fault.Invalid, "There is no such type of indicator")
		}
		value := one.Type.Normalize(one.Value)
		if value == "" {
			continue
		}
		c.values[value] = true
		for _, column := range columns {
			key := keys.key(column, value)
			of[key] = append(of[key], i)
			c.keys = append(c.keys, key)
		}
		c.columns = append(c.columns, columns...)
	}
	slices.Sort(c.keys)
	c.keys = slices.Compact(c.keys)
	return of, nil
}

func (g *trace) add(h hit, at *stretch) {
	if g.hosts == nil {
		g.hosts = map[int64]bool{}
	}
	g.hosts[h.host] = true
	if g.first.at == nil || h.row < g.first.row {
		g.first = ref{h.row, at}
	}
	if g.last.at == nil || h.row > g.last.row {
		g.last = ref{h.row, at}
	}
}

// dated looks up when the first and the last row of each arrived. Of a row that was
// purged a moment ago the stretch that it was in must do.
func (s *Store) dated(ctx context.Context, sought []Sought, seen []trace) ([]Sighting, error) {
	all := make([]Sighting, len(sought))
	for i, g := range seen {
		all[i] = Sighting{Sought: sought[i], Hosts: len(g.hosts)}
		if len(g.hosts) == 0 {
			continue
		}
		all[i].First, all[i].Last = database.FromMicros(g.first.at.from), database.FromMicros(g.last.at.from)
		for _, end := range []struct {
			row ref
			at  *time.Time
		}{{g.first, &all[i].First}, {g.last, &all[i].Last}} {
			rows, err := s.fetch(ctx, []ref{end.row})
			if err != nil {
				return nil, err
			}
			if len(rows) == 1 {
				*end.at = rows[0].ReceivedAt
			}
		}
	}
	return all, nil
}
