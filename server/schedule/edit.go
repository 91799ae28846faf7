package schedule

import (
	"context"
	"maps"
	"slices"
	"time"

	"muster/server/database"
	"muster/server/fault"
	"muster/server/hosts"
)

// editor changes packs and queries in one transaction, of which it is the only one
// among all replicas: names and shared queries are looked up and then written.
type editor struct {
	ctx     context.Context
	tx      *database.DB
	now     time.Time
	library *library
}

// edit runs fn in a transaction and shows the outcome.
func (s *Store) edit(ctx context.Context, fn func(e *editor) error) error {
	err := s.db.Tx(ctx, func(tx *database.DB) error {
		e, err := newEditor(ctx, tx, s.now())
		if err != nil {
			return err
		}
		return fn(e)
	})
	if err == nil {
		s.changed(ctx)
	}
	return err
}

func newEditor(ctx context.Context, tx *database.DB, now time.Time) (*editor, error) {
	if err := tx.Lock(ctx, "schedule library"); err != nil {
		return nil, err
	}
	l, err := readLibrary(ctx, tx)
	return &editor{ctx: ctx, tx: tx, now: now, library: l}, err
}

func (e *editor) exec(sql string, args ...any) error {
	return database.Fault(e.tx.Write(e.ctx).Exec(sql, args...).Error)
}

// insertQuery stores a query and keeps the library true.
func (e *editor) insertQuery(name string, packed bool, q Query) (*queryRow, error) {
	at := database.Micros(e.now)
	row := &queryRow{Name: name, Document: q.document(), CreatedAt: at, UpdatedAt: at}
	if packed {
		row.Packed = 1
	}
	err := e.tx.Write(e.ctx).Raw("INSERT INTO queries (name, packed, document, created_at, updated_at) VALUES (?, ?, ?, ?, ?) RETURNING id",
		name, row.Packed, row.Document, at, at).Scan(&row.ID).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	e.library.queries = append(e.library.queries, row)
	e.library.query[row.ID] = row
	return row, nil
}

// updateQuery gives a query another name or content. Its version always grows: a
// replica that has seen the row must see the change.
func (e *editor) updateQuery(row *queryRow, name string, q Query) error {
	row.Name, row.Document = name, q.document()
	row.UpdatedAt = max(row.UpdatedAt+1, database.Micros(e.now))
	return e.exec("UPDATE queries SET name = ?, document = ?, updated_at = ? WHERE id = ?", row.Name, row.Document, row.UpdatedAt, row.ID)
}

// updatePack gives a pack other properties of its own.
func (e *editor) updatePack(row *packRow, p Pack) error {
	row.Document = p.frameDocument()
	row.UpdatedAt = max(row.UpdatedAt+1, database.Micros(e.now))
	return e.exec("UPDATE packs SET document = ?, updated_at = ? WHERE id = ?", row.Document, row.UpdatedAt, row.ID)
}

func (e *editor) link(pack *packRow, query *queryRow) error {
	if slices.Contains(pack.queries, query.ID) {
		return nil
	}
	pack.queries, query.packs = append(pack.queries, query.ID), append(query.packs, pack.ID)
	return e.exec("INSERT INTO pack_queries (pack_id, query_id) VALUES (?, ?)", pack.ID, query.ID)
}

// unlink takes a query out of a pack; it goes for good when it came with a pack, is
// in none any more, and nobody put a tag on it.
func (e *editor) unlink(pack *packRow, query *queryRow) error {
	if err := e.exec("DELETE FROM pack_queries WHERE pack_id = ? AND query_id = ?", pack.ID, query.ID); err != nil {
		return err
	}
	pack.queries = without(pack.queries, query.ID)
	query.packs = without(query.packs, pack.ID)
	if query.Packed == 0 || len(query.packs) > 0 || len(query.tags) > 0 {
		return nil
	}
	return e.deleteQuery(query)
}

func (e *editor) deleteQuery(query *queryRow) error {
	delete(e.library.query, query.ID)
	e.library.queries = slices.DeleteFunc(e.library.queries, func(row *queryRow) bool { return row.ID == query.ID })
	return e.exec("DELETE FROM queries WHERE id = ?", query.ID)
}

func without(ids []int64, id int64) []int64 {
	return slices.DeleteFunc(slices.Clone(ids), func(other int64) bool { return other == id })
}

// fill puts queries into a pack. One that is there under its name and says something
// else is brought up to date, unless others use it too: then the pack gets its own.
// One that is stored with the same content is shared.
func (e *editor) fill(pack *packRow, queries map[string]Query) error {
	for _, name := range slices.Sorted(maps.Keys(queries)) {
		q, before := queries[name], e.inPack(pack, name)
		if before != nil && before.says(q) {
			continue
		}
		if before != nil && before.Packed != 0 && len(before.packs) == 1 {
			if err := e.updateQuery(before, name, q); err != nil {
				return err
			}
			continue
		}
		if before != nil {
			if err := e.unlink(pack, before); err != nil {
				return err
			}
		}
		row := e.alike(name, q)
		if row == nil {
			var err error
			if row, err = e.insertQuery(name, true, q); err != nil {
				return err
			}
		}
		if err := e.link(pack, row); err != nil {
			return err
		}
	}
	return nil
}

// inPack finds the query of that name in a pack.
func (e *editor) inPack(pack *packRow, name string) *queryRow {
	for _, id := range pack.queries {
		if row := e.library.query[id]; row != nil && row.Name == name {
			return row
		}
	}
	return nil
}

// alike finds a stored query of the same name and content, the oldest one.
func (e *editor) alike(name string, q Query) *queryRow {
	for _, row := range e.library.queries {
		if row.Name == name && row.says(q) {
			return row
		}
	}
	return nil
}

// says reports whether a stored query has that content, however it is written down.
func (row *queryRow) says(q Query) bool {
	stored, err := row.content()
	return err == nil && stored.document() == q.document()
}

// tagged is what carries tags: its table of links, and its column there.
type tagged struct{ table, column string }

var (
	packTags  = tagged{"pack_tags", "pack_id"}
	queryTags = tagged{"query_tags", "query_id"}
)

// addTags puts tags on a pack or a query, making those that are new.
func (e *editor) addTags(on tagged, id int64, values []string) error {
	tags, err := hosts.EnsureTags(e.ctx, e.tx, values, e.now)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		err := e.exec("INSERT INTO "+on.table+" ("+on.column+", tag_id) VALUES (?, ?) ON CONFLICT DO NOTHING", id, tag.ID)
		if err != nil {
			return err
		}
	}
	return nil
}

// setTags replaces the tags of a pack or a query.
func (e *editor) setTags(on tagged, id int64, values []string) error {
	if err := e.exec("DELETE FROM "+on.table+" WHERE "+on.column+" = ?", id); err != nil {
		return err
	}
	return e.addTags(on, id, values)
}

// removeTag takes a tag off a pack or a query. Faults: NotFound in the words of
// the original, missing when it does not carry the tag.
func (e *editor) removeTag(on tagged, id int64, value string, missing error) error {
	tags, err := hosts.FindTags(e.ctx, e.tx, []string{value})
	if err != nil {
		return err
	}
	if len(tags) == 0 {
		return errTagUnknown
	}
	done := e.tx.Write(e.ctx).Exec("DELETE FROM "+on.table+" WHERE "+on.column+" = ? AND tag_id = ?", id, tags[0].ID)
	if done.Error == nil && done.RowsAffected == 0 {
		return missing
	}
	return database.Fault(done.Error)
}

var errTagUnknown error = fault.New(fault.NotFound, "Tag provided doesn't exists")
