package schedule

import (
	"context"

	"muster/server/fault"
)

// The failures of tags, in the words of the original API (esp-api 1.10, 1.11).
var (
	errPackTag  error = fault.New(fault.NotFound, "Tag provided is not in pack's tag list, Please check tag once again")
	errQueryTag error = fault.New(fault.NotFound, "Tag provided is not in query's tag list, Please check tag once again")
)

// SetPackTags replaces the tags of a pack, of a built-in one too; without a tag it
// runs nowhere. Tags that are new are made. Faults: NotFound, Invalid for a bad tag.
func (s *Store) SetPackTags(ctx context.Context, idOrName string, tags []string) error {
	return s.onPack(ctx, idOrName, func(e *editor, id int64) error { return e.setTags(packTags, id, tags) })
}

// AddPackTag puts a tag on a pack, making the tag where it is new; one that the
// pack has already stays. Faults: NotFound, Invalid for a bad tag.
func (s *Store) AddPackTag(ctx context.Context, idOrName, tag string) error {
	return s.onPack(ctx, idOrName, func(e *editor, id int64) error { return e.addTags(packTags, id, []string{tag}) })
}

// RemovePackTag takes a tag off a pack; the tag itself stays. Faults: NotFound
// (pack, tag, or the pack does not have it).
func (s *Store) RemovePackTag(ctx context.Context, idOrName, tag string) error {
	return s.onPack(ctx, idOrName, func(e *editor, id int64) error { return e.removeTag(packTags, id, tag, errPackTag) })
}

// SetQueryTags replaces the tags of a query; without one it runs only in its packs.
// Tags that are new are made. Faults: NotFound, Conflict when several queries have
// the name, Invalid for a bad tag.
func (s *Store) SetQueryTags(ctx context.Context, idOrName string, tags []string) error {
	return s.onQuery(ctx, idOrName, func(e *editor, id int64) error { return e.setTags(queryTags, id, tags) })
}

// AddQueryTag puts a tag on a query, making the tag where it is new; one that the
// query has already stays. Faults: as SetQueryTags.
func (s *Store) AddQueryTag(ctx context.Context, idOrName, tag string) error {
	return s.onQuery(ctx, idOrName, func(e *editor, id int64) error { return e.addTags(queryTags, id, []string{tag}) })
}

// RemoveQueryTag takes a tag off a query; the tag itself stays, and so does the
// query. Faults: NotFound (query, tag, or the query does not have it), Conflict.
func (s *Store) RemoveQueryTag(ctx context.Context, idOrName, tag string) error {
	return s.onQuery(ctx, idOrName, func(e *editor, id int64) error { return e.removeTag(queryTags, id, tag, errQueryTag) })
}

func (s *Store) onPack(ctx context.Context, idOrName string, fn func(e *editor, id int64) error) error {
	return s.edit(ctx, func(e *editor) error {
		row, err := e.library.findPack(idOrName)
		if err != nil {
			return err
		}
		return fn(e, row.ID)
	})
}

func (s *Store) onQuery(ctx context.Context, idOrName string, fn func(e *editor, id int64) error) error {
	return s.edit(ctx, func(e *editor) error {
		row, err := e.library.findQuery(idOrName)
		if err != nil {
			return err
		}
		return fn(e, row.ID)
	})
}
