package hosts

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// TopicTags is the topic of the bus for tags that were made, renamed or deleted.
const TopicTags = "tags"

// showWithin bounds how long a change of a tag waits until this process shows it
// on the hosts that carry it.
const showWithin = 10 * time.Second

var (
	errTagTaken error = fault.New(fault.Conflict, "Tag is already present!")
	errNoTag    error = fault.New(fault.NotFound, "Tag doesnot exists!")
)

// CreateTag makes a tag that nothing carries yet. Faults: Invalid (blank, a comma,
// over 100 bytes), Conflict when it exists.
func (s *Store) CreateTag(ctx context.Context, value string) (Tag, error) {
	value, err := cleanTag(value)
	if err != nil {
		return Tag{}, err
	}
	var rows []tagRow
	at := s.Now().UnixMicro()
	if err := s.db.Write(ctx).Raw(`INSERT INTO tags (value, created_at, updated_at) VALUES (?, ?, ?)
		ON CONFLICT (value) DO NOTHING RETURNING id, value, created_at`, value, at, at).Scan(&rows).Error; err != nil {
		return Tag{}, database.Fault(err)
	}
	if len(rows) == 0 {
		return Tag{}, errTagTaken
	}
	if !s.db.InTx() {
		s.bus.Publish(TopicTags)
	}
	return rows[0].tag(), nil
}

// RenameTag gives a tag another value wherever it is: on hosts, on what they run,
// and in the enrol secrets that give it. Its id stays. Faults: NotFound, Invalid
// for a value that will not do, Conflict for one that another tag has.
func (s *Store) RenameTag(ctx context.Context, value, to string) error {
	to, err := cleanTag(to)
	if err != nil {
		return err
	}
	return s.changeTag(ctx, value, func(tx *database.DB, tag Tag) (secrets bool, err error) {
		if to == tag.Value {
			return false, nil
		}
		done := tx.Write(ctx).Exec("UPDATE tags SET value = ?, updated_at = ? WHERE id = ?", to, s.Now().UnixMicro(), tag.ID)
		if err := database.Fault(done.Error); err != nil {
			if fault.Is(err, fault.Conflict) {
				err = errTagTaken
			}
			return false, err
		}
		return retagSecrets(ctx, tx, tag.Value, to)
	})
}

// DeleteTag takes a tag off everything that carries it, enrol secrets included.
// Faults: NotFound, Invalid.
func (s *Store) DeleteTag(ctx context.Context, value string) error {
	return s.changeTag(ctx, value, func(tx *database.DB, tag Tag) (secrets bool, err error) {
		if err := tx.Write(ctx).Exec("DELETE FROM tags WHERE id = ?", tag.ID).Error; err != nil {
			return false, database.Fault(err)
		}
		return retagSecrets(ctx, tx, tag.Value, "")
	})
}

// changeTag runs fn for a tag, raises the versions of the hosts that carry it in
// the same transaction, and shows the outcome after the commit. fn reports whether
// enrol secrets changed too.
func (s *Store) changeTag(ctx context.Context, value string, fn func(tx *database.DB, tag Tag) (secrets bool, err error)) error {
	value, err := cleanTag(value)
	if err != nil {
		return err
	}
	var carriers []int64
	secrets := false
	err = s.db.Tx(ctx, func(tx *database.DB) error {
		tag, err := lockTag(ctx, tx, value)
		if err != nil {
			return err
		}
		at := s.Now().UnixMicro()
		if err := tx.Write(ctx).Raw(`UPDATE hosts SET updated_at = CASE WHEN updated_at >= ? THEN updated_at + 1 ELSE ? END
			WHERE id IN (SELECT host_id FROM host_tags WHERE tag_id = ?)`+visible+" RETURNING id", at, at, tag.ID).Scan(&carriers).Error; err != nil {
			return database.Fault(err)
		}
		secrets, err = fn(tx, tag)
		return err
	})
	if err != nil {
		return database.Fault(err)
	}
	s.tagChanged(ctx, carriers, secrets)
	return nil
}

// lockTag finds a tag and keeps everybody from putting it on anything until the
// transaction ends. The lock of the flush comes first: like that, this one writes
// many hosts, in no order.
func lockTag(ctx context.Context, tx *database.DB, value string) (Tag, error) {
	statement := tagColumns + "WHERE value = ?"
	if tx.Engine() == database.Postgres {
		if err := lockPostgres(ctx, tx, flushLock); err != nil {
			return Tag{}, err
		}
		statement += " FOR UPDATE"
	}
	var rows []tagRow
	if err := tx.Write(ctx).Raw(statement, value).Scan(&rows).Error; err != nil {
		return Tag{}, database.Fault(err)
	}
	if len(rows) == 0 {
		return Tag{}, errNoTag
	}
	return rows[0].tag(), nil
}

// retagSecrets replaces a tag in the enrol secrets that give it, or takes it out
// where to is empty, and reports whether there were any. Its transaction holds the
// lock of lockTag, so that no two of these run side by side.
func retagSecrets(ctx context.Context, tx *database.DB, tag, to string) (changed bool, err error) {
	var rows []secretRow
	if err := tx.Read(ctx).Raw("SELECT id, tags FROM enroll_secrets WHERE tags <> '[]'").Scan(&rows).Error; err != nil {
		return false, database.Fault(err)
	}
	for _, row := range rows {
		tags := row.tags()
		at := slices.Index(tags, tag)
		if at < 0 {
			continue
		}
		if to == "" || slices.Contains(tags, to) {
			tags = slices.DeleteFunc(tags, func(other string) bool { return other == tag })
		} else {
			tags[at] = to
		}
		text, _ := json.Marshal(append([]string{}, tags...)) // strings always marshal
		if err := tx.Write(ctx).Exec("UPDATE enroll_secrets SET tags = ? WHERE id = ?", string(text), row.ID).Error; err != nil {
			return false, database.Fault(err)
		}
		changed = true
	}
	return changed, nil
}

// tagChanged shows a committed change here and hints to everyone else. Where that
// fails, the slow poll makes up for it.
func (s *Store) tagChanged(ctx context.Context, carriers []int64, secrets bool) {
	if s.db.InTx() {
		return // the outer transaction may still be undone
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), showWithin)
	defer cancel()
	_, err := s.fetch(ctx, carriers)
	s.warn(ctx, "hosts could not be refreshed", err)
	if len(carriers) > 0 {
		s.bus.Publish(topicHosts)
	}
	if secrets {
		s.secretsChanged(ctx)
	}
	s.bus.Publish(TopicTags)
}

// Carriers returns for each of the tags with these ids the identifiers of the
// active hosts that carry it, the newest first. It reads memory only.
func (s *Store) Carriers(_ context.Context, tagIDs []int64) map[int64][]string {
	wanted := make(map[int64]bool, len(tagIDs))
	for _, id := range tagIDs {
		wanted[id] = true
	}
	entries := s.reg.entries()
	newestFirst(entries)
	carriers := make(map[int64][]string, len(tagIDs))
	for _, e := range entries {
		h := e.host.Load()
		if h.State != Active {
			continue
		}
		for _, id := range h.TagIDs {
			if wanted[id] {
				carriers[id] = append(carriers[id], h.Identifier)
			}
		}
	}
	return carriers
}
