package schedule

import (
	"context"
	"slices"

	"muster/server/database"
	"muster/server/fault"
)

// changeQuery makes of a query what is wanted, clean being its content, unless
// somebody changed it since it was read.
func (e *editor) changeQuery(before, wanted StoredQuery, clean Query) (StoredQuery, error) {
	row := e.library.query[before.ID]
	switch {
	case row == nil:
		return StoredQuery{}, errNoQuery
	case !database.FromMicros(row.UpdatedAt).Equal(before.Updated):
		return StoredQuery{}, errChanged
	case wanted.Name != row.Name && e.library.nameTaken(wanted.Name):
		return StoredQuery{}, errQueryTaken
	}
	if err := e.updateQuery(row, wanted.Name, clean); err != nil {
		return StoredQuery{}, err
	}
	if !slices.Equal(wanted.Packs, before.Packs) {
		if err := e.setPacks(row, wanted.Packs); err != nil {
			return StoredQuery{}, err
		}
	}
	for _, id := range row.packs {
		if err := e.checkSize(e.library.pack[id]); err != nil {
			return StoredQuery{}, err
		}
	}
	if !slices.Equal(wanted.Tags, before.Tags) {
		if err := e.setTags(queryTags, row.ID, wanted.Tags); err != nil {
			return StoredQuery{}, err
		}
	}
	return e.stored(row.ID)
}

// checkQuery returns the content as it reads back once it is stored.
func checkQuery(ctx context.Context, q StoredQuery) (Query, error) {
	if err := strictSQL(ctx, q.SQL); err != nil {
		return Query{}, err
	}
	if q.Interval <= 0 {
		return Query{}, errBadInterval
	}
	value, err := decode([]byte(q.document()), maxDepth)
	if err != nil {
		return Query{}, unprocessable(err)
	}
	clean, _, err := readQuery(q.Name, value, false)
	if err != nil {
		return Query{}, unprocessable(err)
	}
	alone := map[string]any{"schedule": map[string]any{q.Name: clean.object(false)}}
	if err := validForAll(appendJSON(nil, alone)); err != nil {
		return Query{}, unprocessable(err)
	}
	return clean, nil
}

// setPacks puts a query into the packs of these names and takes it out of others.
// Names of no pack are ignored, as the original does. Faults: Conflict when a pack
// has another query of the name; Unprocessable when a pack grows too large.
func (e *editor) setPacks(query *queryRow, names []string) error {
	for _, pack := range e.library.packs {
		wanted, there := slices.Contains(names, pack.Name), slices.Contains(query.packs, pack.ID)
		switch {
		case wanted && !there:
			if e.inPack(pack, query.Name) != nil {
				return fault.New(fault.Conflict, "The pack %s has another query of this name", pack.Name)
			}
			if err := e.link(pack, query); err != nil {
				return err
			}
			if err := e.checkSize(pack); err != nil {
				return err
			}
		case !wanted && there:
			if err := e.exec("DELETE FROM pack_queries WHERE pack_id = ? AND query_id = ?", pack.ID, query.ID); err != nil {
				return err
			}
			pack.queries, query.packs = without(pack.queries, query.ID), without(query.packs, pack.ID)
		}
	}
	return nil
}

// stored reads a query again, as it is inside the transaction.
func (e *editor) stored(id int64) (StoredQuery, error) {
	l, err := readLibrary(e.ctx, e.tx)
	if err != nil {
		return StoredQuery{}, err
	}
	return l.storedQuery(l.query[id])
}
