package schedule

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"muster/server/fault"
)

// QueryFilter chooses queries. Zero values do not restrict.
type QueryFilter struct {
	// Search is looked for, in any case, in name, SQL, platform, description,
	// version and interval.
	Search string
	// Packed chooses queries that are in a pack.
	Packed bool
	// TagIDs chooses queries that carry one of these tags themselves.
	TagIDs []int64
	// Start and Limit cut out a page; 0 is no limit.
	Start, Limit int
}

func (f QueryFilter) search(q StoredQuery) bool {
	return contains(f.Search, q.Name, q.SQL, q.Platform, q.Description, q.Version, strconv.Itoa(q.Interval))
}

// ListQueries returns the stored queries that match, by name, with the number that
// matches and the number without the search. One that cannot be read has no content.
func (s *Store) ListQueries(ctx context.Context, f QueryFilter) (queries []StoredQuery, count, total int, err error) {
	l, err := s.library(ctx)
	if err != nil {
		return nil, 0, 0, err
	}
	queries = []StoredQuery{}
	for _, row := range l.queries {
		if (f.Packed && len(row.packs) == 0) || !carries(row.tags, f.TagIDs) {
			continue
		}
		total++
		if q := s.readableQuery(l, row); f.search(q) {
			queries = append(queries, q)
		}
	}
	slices.SortFunc(queries, func(a, b StoredQuery) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return page(queries, f.Start, f.Limit), len(queries), total, nil
}

// FindQuery returns a query by id, else by name. Faults: NotFound, Conflict when
// several have the name.
func (s *Store) FindQuery(ctx context.Context, idOrName string) (StoredQuery, error) {
	l, err := s.library(ctx)
	if err != nil {
		return StoredQuery{}, err
	}
	row, err := l.findQuery(idOrName)
	if err != nil {
		return StoredQuery{}, err
	}
	return s.readableQuery(l, row), nil
}

func (s *Store) readableQuery(l *library, row *queryRow) StoredQuery {
	q, err := l.storedQuery(row)
	if err != nil {
		s.log.Error("a stored query cannot be read", "query", row.Name, "id", row.ID, "error", err)
	}
	return q
}

var (
	errQueryTaken  error = fault.New(fault.Conflict, "Query with this name already exists")
	errChanged     error = fault.New(fault.Conflict, "The query was changed by somebody else meanwhile: please look at it again")
	errBadInterval error = fault.New(fault.Unprocessable, "Interval provided is not valid! Please provide an inverval greater than 0")
)

// AddQuery stores a query with its tags, which are made where they are new, and puts
// it into those of its packs that exist. It comes back as it is stored. Faults:
// Conflict when any query has the name, or a pack is full; Unprocessable for SQL that
// osquery refuses and for what no agent takes; Invalid for a bad tag.
func (s *Store) AddQuery(ctx context.Context, q StoredQuery) (StoredQuery, error) {
	l, err := s.library(ctx)
	if err != nil {
		return StoredQuery{}, err
	}
	if l.nameTaken(q.Name) { // the original looks at the name first
		return StoredQuery{}, errQueryTaken
	}
	clean, err := checkQuery(ctx, q)
	if err != nil {
		return StoredQuery{}, err
	}
	var added StoredQuery
	err = s.edit(ctx, func(e *editor) error {
		if e.library.nameTaken(q.Name) {
			return errQueryTaken
		}
		row, err := e.insertQuery(q.Name, false, clean)
		if err != nil {
			return err
		}
		if err := e.setPacks(row, q.Packs); err != nil {
			return err
		}
		if err := e.addTags(queryTags, row.ID, q.Tags); err != nil {
			return err
		}
		added, err = e.stored(row.ID)
		return err
	})
	return added, err
}

// UpdateQuery lets change edit a query and stores what it makes of it: name,
// content, tags and packs. It returns the query before and after. A query that
// several packs share changes in all of them. Faults: as AddQuery; NotFound; Conflict
// when somebody else changes it at the same time; and those of change.
func (s *Store) UpdateQuery(ctx context.Context, idOrName string, change func(q *StoredQuery) error) (before, after StoredQuery, err error) {
	if before, err = s.FindQuery(ctx, idOrName); err != nil {
		return before, after, err
	}
	wanted := before
	wanted.Tags, wanted.Packs = slices.Clone(before.Tags), slices.Clone(before.Packs)
	if err = change(&wanted); err != nil {
		return before, after, err
	}
	clean, err := checkQuery(ctx, wanted)
	if err != nil {
		return before, after, err
	}
	err = s.edit(ctx, func(e *editor) error {
		after, err = e.changeQuery(before, wanted, clean)
		return err
	})
	return before, after, err
}

// DeleteQuery removes a query, from its packs too, and returns what it was. Faults:
// NotFound, Conflict when several have the name.
func (s *Store) DeleteQuery(ctx context.Context, idOrName string) (StoredQuery, error) {
	var deleted StoredQuery
	err := s.edit(ctx, func(e *editor) error {
		row, err := e.library.findQuery(idOrName)
		if err != nil {
			return err
		}
		deleted = s.readableQuery(e.library, row)
		return e.deleteQuery(row)
	})
	return deleted, err
}
