package yara

import (
	"context"
	"slices"
	"strings"
	"time"

	"muster/server/database"
	"muster/server/fault"
	"muster/server/hosts"
)

var errTagMissing error = fault.New(fault.NotFound, "The file does not have this tag")

// AddTags puts tags on a file, making those that are new; hosts that share none of
// a file's tags do not get it. Faults: NotFound (file), Invalid (tag), those of the
// database.
func (s *Store) AddTags(ctx context.Context, name string, tags []string) (File, error) {
	f, err := s.change(ctx, name, func(tx *database.DB, f File) error {
		return putTags(ctx, tx, f.ID, tags, s.now())
	})
	if err == nil {
		s.bus.Publish(hosts.TopicTags)
	}
	return f, err
}

// RemoveTag takes a tag off a file; a file without any is for every host. Faults:
// NotFound (file, or it does not have the tag), those of the database.
func (s *Store) RemoveTag(ctx context.Context, name, tag string) (File, error) {
	return s.change(ctx, name, func(tx *database.DB, f File) error {
		at := slices.IndexFunc(f.Tags, func(t hosts.Tag) bool { return t.Value == strings.TrimSpace(tag) })
		if at < 0 {
			return errTagMissing
		}
		err := tx.Write(ctx).Exec("DELETE FROM yara_tags WHERE file_id = ? AND tag_id = ?", f.ID, f.Tags[at].ID).Error
		return database.Fault(err)
	})
}

// change runs fn on a file in one transaction and returns the file as it is then.
func (s *Store) change(ctx context.Context, name string, fn func(*database.DB, File) error) (File, error) {
	var f File
	err := s.db.Tx(ctx, func(tx *database.DB) (err error) {
		if f, err = s.find(ctx, tx, name); err != nil {
			return err
		}
		if err := fn(tx, f); err != nil {
			return err
		}
		if err := touch(ctx, tx, f.ID, s.now()); err != nil {
			return err
		}
		f, err = s.find(ctx, tx, name)
		return err
	})
	if err != nil {
		return File{}, err
	}
	s.changed(ctx)
	return f, nil
}

func putTags(ctx context.Context, tx *database.DB, fileID int64, values []string, now time.Time) error {
	tags, err := hosts.EnsureTags(ctx, tx, values, now)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		err := tx.Write(ctx).Exec("INSERT INTO yara_tags (file_id, tag_id) VALUES (?, ?) ON CONFLICT (file_id, tag_id) DO NOTHING", fileID, tag.ID).Error
		if err != nil {
			return database.Fault(err)
		}
	}
	return nil
}

// readTags returns the tags of every file, sorted.
func readTags(ctx context.Context, db *database.DB) (map[int64][]hosts.Tag, error) {
	var rows []struct {
		FileID, TagID, CreatedAt int64
		Value                    string
	}
	err := db.Read(ctx).Raw(`SELECT y.file_id, t.id AS tag_id, t.value, t.created_at
		FROM yara_tags AS y JOIN tags AS t ON t.id = y.tag_id`).Scan(&rows).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	tags := map[int64][]hosts.Tag{}
	for _, r := range rows {
		tags[r.FileID] = append(tags[r.FileID], hosts.Tag{ID: r.TagID, Value: r.Value, CreatedAt: database.FromMicros(r.CreatedAt)})
	}
	for _, of := range tags {
		slices.SortFunc(of, func(a, b hosts.Tag) int { return strings.Compare(a.Value, b.Value) })
	}
	return tags, nil
}
