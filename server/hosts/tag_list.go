package hosts

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"muster/server/database"
)

// Tag is a word that hosts, and what hosts run, are grouped by. Its id stays when
// it is renamed.
type Tag struct {
	ID        int64
	Value     string
	CreatedAt time.Time // zero: from before that was noted
}

type tagRow struct {
	ID        int64
	Value     string
	CreatedAt int64
}

func (r tagRow) tag() Tag { return Tag{r.ID, r.Value, database.FromMicros(r.CreatedAt)} }

const tagColumns = "SELECT id, value, created_at FROM tags "

// TagFilter chooses tags.
type TagFilter struct {
	Search string // part of the tag, in any case of A to Z
	Start  int    // tags to skip
	Limit  int    // tags to return; 0 = all
}

// ListTags returns tags, the newest first; count is how many match the search,
// total how many there are. Faults: Busy, Internal.
func (s *Store) ListTags(ctx context.Context, f TagFilter) (tags []Tag, count, total int, err error) {
	if err := s.db.Read(ctx).Raw("SELECT count(*) FROM tags").Scan(&total).Error; err != nil {
		return nil, 0, 0, database.Fault(err)
	}
	count = total
	condition, args := "", []any{}
	if part := trimmed(f.Search); part != "" {
		condition, args = "WHERE "+s.position()+"(lower(value), lower(?)) > 0 ", append(args, part)
		if err := s.db.Read(ctx).Raw("SELECT count(*) FROM tags "+condition, args...).Scan(&count).Error; err != nil {
			return nil, 0, 0, database.Fault(err)
		}
	}
	limit := int64(f.Limit)
	if limit <= 0 {
		limit = math.MaxInt64
	}
	var rows []tagRow
	if err := s.db.Read(ctx).Raw(tagColumns+condition+"ORDER BY id DESC LIMIT ? OFFSET ?",
		append(args, limit, max(0, f.Start))...).Scan(&rows).Error; err != nil {
		return nil, 0, 0, database.Fault(err)
	}
	tags = make([]Tag, len(rows))
	for i, row := range rows {
		tags[i] = row.tag()
	}
	return tags, count, total, nil
}

// position is the engine's function that finds text in text: no wildcards.
func (s *Store) position() string {
	if s.db.Engine() == database.Postgres {
		return "strpos"
	}
	return "instr"
}

// FindTags is the function of that name on the store's database.
func (s *Store) FindTags(ctx context.Context, values []string) ([]Tag, error) {
	return FindTags(ctx, s.db, values)
}

// FindTags returns those of the tags that exist, each once, in the order given.
// Faults: Busy, Internal.
func FindTags(ctx context.Context, db *database.DB, values []string) ([]Tag, error) {
	wanted := make([]string, 0, len(values))
	for _, value := range values {
		if value, err := cleanTag(value); err == nil && !slices.Contains(wanted, value) {
			wanted = append(wanted, value)
		}
	}
	return findTags(ctx, db, wanted)
}

// findTags is FindTags for values that are clean, each once.
func findTags(ctx context.Context, db *database.DB, values []string) ([]Tag, error) {
	byValue := make(map[string]Tag, len(values))
	for chunk := range slices.Chunk(values, readChunk) {
		var rows []tagRow
		if err := db.Read(ctx).Raw(tagColumns+"WHERE value IN ?", chunk).Scan(&rows).Error; err != nil {
			return nil, database.Fault(err)
		}
		for _, row := range rows {
			byValue[row.Value] = row.tag()
		}
	}
	found := make([]Tag, 0, len(byValue))
	for _, value := range values {
		if tag, exists := byValue[value]; exists {
			found = append(found, tag)
		}
	}
	return found, nil
}

// EnsureTags returns the tags, each once, in the order given, and makes those that
// are new: for features that put tags on what is theirs, inside their transaction.
// Nothing is made when one of them will not do. Faults: Invalid for a tag that is
// blank, has a comma or is over 100 bytes; Busy, Internal.
func EnsureTags(ctx context.Context, tx *database.DB, values []string, now time.Time) ([]Tag, error) {
	wanted := make([]string, 0, len(values))
	for _, value := range values {
		value, err := cleanTag(value)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(wanted, value) {
			wanted = append(wanted, value)
		}
	}
	found, err := findTags(ctx, tx, wanted)
	if err != nil || len(found) == len(wanted) {
		return found, err
	}
	missing := slices.DeleteFunc(slices.Clone(wanted), func(value string) bool {
		return slices.ContainsFunc(found, func(tag Tag) bool { return tag.Value == value })
	})
	if err := insertTags(ctx, tx, missing, now); err != nil {
		return nil, err
	}
	return findTags(ctx, tx, wanted)
}

// insertTags makes tags, unless somebody else just did. They go in one order for
// all, so that two of these do not wait for each other.
func insertTags(ctx context.Context, tx *database.DB, values []string, now time.Time) error {
	slices.Sort(values)
	at := now.UnixMicro()
	for chunk := range slices.Chunk(values, readChunk) {
		args := make([]any, 0, 3*len(chunk))
		for _, value := range chunk {
			args = append(args, value, at, at)
		}
		rows := strings.TrimSuffix(strings.Repeat("(?, ?, ?), ", len(chunk)), ", ")
		if err := tx.Write(ctx).Exec("INSERT INTO tags (value, created_at, updated_at) VALUES "+rows+
			" ON CONFLICT (value) DO NOTHING", args...).Error; err != nil {
			return database.Fault(err)
		}
	}
	return nil
}
