package results

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"muster/server/condition"
	"muster/server/database"
)

// Search says which rows to look for, among those of every action unless it says
// otherwise.
type Search struct {
	Where *condition.Tree // nil: every row
	// From and To bound the time of arrival: from From on, and before To. The zero
	// time is no bound.
	From, To time.Time
	// HostID and Name, where they are not zero, are whose rows and of which query.
	HostID int64
	Name   string
	// Visible says of which hosts rows count; nil: of all.
	Visible   func(hostID int64) bool
	NoRemoved bool // without rows of action removed
	// Identifier is the host's identifier, which conditions may ask for; nil: rows have none.
	Identifier func(hostID int64) string
}

// SearchFields are the names that stand in the conditions of a search for the row
// itself rather than for one of its columns. Conditions of rules have more: action,
// timestamp (the agent's, in seconds since 1970) and host_identifier.
func SearchFields() []string { return []string{queryName} }

const (
	queryName      = "query_name"
	actionField    = "action"
	timeField      = "timestamp"
	hostIdentifier = "host_identifier"
)

// Group is how many rows of one host and query match.
type Group struct {
	HostID int64
	Name   string
	Count  int64
}

// maxGroups bounds what the groups of a search take, in bytes.
const maxGroups = 32 << 20

const groupOverhead = 128 // bytes

// Search counts the rows that match by host and query, ordered by both. It looks
// from the newest row back, for as long as Options.SearchBudget allows; reach says
// how far it got. Memory is bounded: a search that finds more groups than fit
// ends there. Faults: TooMany when too many searches run already; Busy when the
// database cannot be reached or answers nothing in time.
func (s *Store) Search(ctx context.Context, q Search) (groups []Group, reach Reach, err error) {
	leave, err := s.searches.enter(ctx, s.o.SearchWait)
	if err != nil {
		return nil, Reach{}, err
	}
	defer leave()
	v, err := s.view(ctx, q)
	if err != nil {
		return nil, Reach{}, err
	}
	found := tally{}
	reach, err = s.scan(ctx, v.scope, func(ctx context.Context, w span) error {
		some, err := v.count(ctx, w)
		if err != nil {
			return err
		}
		return found.merge(some)
	})
	if err != nil {
		return nil, Reach{}, slowly(err)
	}
	return found.groups(), reach, nil
}

// groupKey names a group.
type groupKey struct {
	hostID int64
	name   string
}

// tally counts rows by group, within maxGroups.
type tally struct {
	counts map[groupKey]*int64
	bytes  int
}

// add counts rows of a group; it returns errFull, and counts nothing, when there
// is no room for the group. The key's name may change afterwards.
func (t *tally) add(key groupKey, n int64) error {
	if count := t.counts[key]; count != nil {
		*count += n // and not t.counts[key] += n, which would keep this very name
		return nil
	}
	if t.bytes+key.weight() > maxGroups {
		return errFull
	}
	if t.counts == nil {
		t.counts = map[groupKey]*int64{}
	}
	t.bytes += key.weight()
	key.name = strings.Clone(key.name)
	t.counts[key] = &n
	return nil
}

// merge adds all of other, or returns errFull and adds nothing.
func (t *tally) merge(other tally) error {
	bytes := t.bytes
	for key := range other.counts {
		if t.counts[key] == nil {
			bytes += key.weight()
		}
	}
	if bytes > maxGroups {
		return errFull
	}
	for key, n := range other.counts {
		if err := t.add(key, *n); err != nil {
			return err
		}
	}
	return nil
}

func (k groupKey) weight() int { return groupOverhead + len(k.name) }

func (t *tally) sum() (n int64) {
	for _, count := range t.counts {
		n += *count
	}
	return n
}

func (t *tally) groups() []Group {
	groups := make([]Group, 0, len(t.counts))
	for key, n := range t.counts {
		groups = append(groups, Group{HostID: key.hostID, Name: key.name, Count: *n})
	}
	slices.SortFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.HostID, b.HostID), strings.Compare(a.Name, b.Name))
	})
	return groups
}

// engineOf is the dialect that conditions are rendered in.
func engineOf(engine database.Engine) condition.Engine {
	if engine == database.SQLite {
		return condition.SQLite
	}
	return condition.Postgres
}
