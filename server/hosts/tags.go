package hosts

import (
	"context"
	"strings"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

const maxTag = 100 // bytes

// The failures of tags, in the words of the ESP reference, section 1.2.
var (
	errTagHost    error = fault.New(fault.NotFound, "Host id or node id passed it not correct")
	errTagInvalid error = fault.New(fault.Invalid, "Tag provided is invalid!")
	errTagText    error = fault.New(fault.Invalid, "Tag provided is invalid! It has at most %d bytes and no comma", maxTag)
	errTagMissing error = fault.New(fault.NotFound, "Tag provided is not in host's tag list, Please check tag once again")
	errTagUnknown error = fault.New(fault.NotFound, "Tag provided doesnot exists")
)

// cleanTag trims a tag. A comma would break the lists that clients send. Faults:
// Invalid.
func cleanTag(tag string) (string, error) {
	tag = trimmed(tag)
	switch {
	case tag == "":
		return "", errTagInvalid
	case len(tag) > maxTag, strings.Contains(tag, ","):
		return "", errTagText
	}
	return tag, nil
}

// Tags returns the tags of a host, sorted. Faults: NotFound.
func (s *Store) Tags(ctx context.Context, hostID int64) ([]string, error) {
	host, err := s.FindByID(ctx, hostID)
	if fault.Is(err, fault.NotFound) {
		return nil, errTagHost
	}
	if err != nil {
		return nil, err
	}
	return append([]string{}, host.Tags...), nil
}

// AddTag puts a tag on a host, making the tag where it is new; a tag that the
// host has already stays. Faults: NotFound (host), Invalid (blank, a comma, over
// 100 bytes).
func (s *Store) AddTag(ctx context.Context, hostID int64, tag string) error {
	tag, err := cleanTag(tag)
	if err != nil {
		return err
	}
	return s.change(ctx, row{hostID, visible, errTagHost}, func(tx *database.DB) error {
		return putTag(ctx, tx, hostID, tag, s.Now())
	})
}

// RemoveTag takes a tag off a host; the tag itself stays. Faults: NotFound (host,
// tag, or the host does not have it), Invalid.
func (s *Store) RemoveTag(ctx context.Context, hostID int64, tag string) error {
	tag, err := cleanTag(tag)
	if err != nil {
		return err
	}
	return s.change(ctx, row{hostID, visible, errTagHost}, func(tx *database.DB) error {
		var ids []int64
		if err := tx.Read(ctx).Raw("SELECT id FROM tags WHERE value = ?", tag).Scan(&ids).Error; err != nil {
			return database.Fault(err)
		}
		if len(ids) == 0 {
			return errTagUnknown
		}
		done := tx.Write(ctx).Exec("DELETE FROM host_tags WHERE host_id = ? AND tag_id = ?", hostID, ids[0])
		if done.Error == nil && done.RowsAffected == 0 {
			return errTagMissing
		}
		return database.Fault(done.Error)
	})
}

func putTag(ctx context.Context, tx *database.DB, hostID int64, tag string, now time.Time) error {
	if err := insertTags(ctx, tx, []string{tag}, now); err != nil {
		return err
	}
	return database.Fault(tx.Write(ctx).Exec(`INSERT INTO host_tags (host_id, tag_id)
		SELECT CAST(? AS bigint), id FROM tags WHERE value = ? ON CONFLICT (host_id, tag_id) DO NOTHING`, hostID, tag).Error)
}
