package yara

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"muster/server/database"
	"muster/server/fault"
	"muster/server/hosts"
)

// Add stores a file that compiles. It comes back with its id, without its content.
// Faults: Unprocessable for a name, content or tag that is refused, naming the
// lines; Conflict when there is a file of this name and it is not to be replaced;
// Busy; those of the database.
func (s *Store) Add(ctx context.Context, f NewFile) (File, error) {
	name, err := cleanName(f.Name)
	if err != nil {
		return File{}, err
	}
	content, err := cleanContent(f.Content)
	if err != nil {
		return File{}, err
	}
	if !f.Replace {
		if _, err := s.find(ctx, s.db, name); !fault.Is(err, fault.NotFound) {
			return File{}, orExists(err)
		}
	}
	rules, err := s.judge(ctx, content)
	if err != nil {
		return File{}, err
	}
	f.Name, f.Content = name, content
	var added File
	err = s.db.Tx(ctx, func(tx *database.DB) error {
		if err := s.put(ctx, tx, f, rules); err != nil {
			return err
		}
		added, err = s.find(ctx, tx, name)
		return err
	})
	if err != nil {
		return File{}, err
	}
	s.changed(ctx)
	if len(f.Tags) > 0 {
		s.bus.Publish(hosts.TopicTags)
	}
	return added, nil
}

func orExists(err error) error {
	if err == nil {
		return errExists
	}
	return err
}

// put writes the file and, where they are given, its tags.
func (s *Store) put(ctx context.Context, tx *database.DB, f NewFile, rules int) error {
	now := database.Micros(s.now())
	var ids []int64
	err := tx.Write(ctx).Raw(`
		INSERT INTO yara_files (name, token, content, sha256, rule_count, username, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING RETURNING id`,
		f.Name, rand.Text(), f.Content, digest(f.Content), rules, f.Username, now, now).Scan(&ids).Error
	if err != nil {
		return database.Fault(err)
	}
	if len(ids) == 0 {
		if !f.Replace {
			return errExists
		}
		err := tx.Write(ctx).Raw(`
			UPDATE yara_files SET content = ?, sha256 = ?, rule_count = ?, username = ?, updated_at = ? WHERE name = ? RETURNING id`,
			f.Content, digest(f.Content), rules, f.Username, now, f.Name).Scan(&ids).Error
		if err != nil || len(ids) == 0 {
			return orConflict(err)
		}
	}
	if err := bound(ctx, tx); err != nil || f.Tags == nil {
		return err
	}
	if err := tx.Write(ctx).Exec("DELETE FROM yara_tags WHERE file_id = ?", ids[0]).Error; err != nil {
		return database.Fault(err)
	}
	return putTags(ctx, tx, ids[0], f.Tags, s.now())
}

// orConflict is for a file that went between two statements.
func orConflict(err error) error {
	if err == nil {
		return fault.New(fault.Conflict, "The file was deleted meanwhile")
	}
	return database.Fault(err)
}

// bound refuses what would not fit into memory beside the others.
func bound(ctx context.Context, tx *database.DB) error {
	var all struct{ Files, Bytes int64 }
	err := tx.Read(ctx).Raw("SELECT count(*) AS files, coalesce(sum(octet_length(content)), 0) AS bytes FROM yara_files").Scan(&all).Error
	switch {
	case err != nil:
		return database.Fault(err)
	case all.Files > maxFiles:
		return fault.New(fault.Unprocessable, "There are %d YARA files already, which is all there may be", maxFiles)
	case all.Bytes > maxTotal:
		return fault.New(fault.Unprocessable, "All YARA files together may have %d MiB", maxTotal>>20)
	}
	return nil
}

// Delete removes a file; agents cannot fetch it any more. It comes back as it was,
// without its content. Faults: NotFound, those of the database.
func (s *Store) Delete(ctx context.Context, name string) (File, error) {
	var gone File
	err := s.db.Tx(ctx, func(tx *database.DB) (err error) {
		if gone, err = s.find(ctx, tx, name); err != nil {
			return err
		}
		return database.Fault(tx.Write(ctx).Exec("DELETE FROM yara_files WHERE id = ?", gone.ID).Error)
	})
	if err != nil {
		return File{}, err
	}
	s.changed(ctx)
	return gone, nil
}

// Find returns a file with its content. The name's case and folders do not count.
// Faults: NotFound, those of the database.
func (s *Store) Find(ctx context.Context, name string) (File, error) {
	f, err := s.find(ctx, s.db, name)
	if err != nil {
		return File{}, err
	}
	contents, err := readContents(ctx, s.db, []int64{f.ID})
	if err != nil {
		return File{}, err
	}
	if len(contents) == 0 {
		return File{}, errUnknown
	}
	f.Content, f.SHA256 = contents[0].Content, contents[0].SHA256
	return f, nil
}

func (s *Store) find(ctx context.Context, db *database.DB, name string) (File, error) {
	name, err := cleanName(name)
	if err != nil {
		return File{}, errUnknown
	}
	files, err := readFiles(ctx, db, name)
	if err != nil {
		return File{}, err
	}
	if len(files) == 0 {
		return File{}, errUnknown
	}
	return files[0], nil
}

// List returns every file by name, without contents. Faults: those of the database.
func (s *Store) List(ctx context.Context) ([]File, error) { return readFiles(ctx, s.db, "") }

// ListTagged returns the files that have one of the tags, by name, without contents.
func (s *Store) ListTagged(ctx context.Context, tagIDs []int64) ([]File, error) {
	files, err := s.List(ctx)
	return slices.DeleteFunc(files, func(f File) bool {
		return !slices.ContainsFunc(f.Tags, func(t hosts.Tag) bool { return slices.Contains(tagIDs, t.ID) })
	}), err
}

// readFiles reads the file of a name, or all, sorted. Files are read before their
// tags: a file that comes meanwhile must not look as if it had none.
func readFiles(ctx context.Context, db *database.DB, name string) ([]File, error) {
	var rows []struct {
		ID                    int64
		Name, Token, Username string
		Sha256                string
		RuleCount             int
		CreatedAt, UpdatedAt  int64
	}
	err := db.Read(ctx).Raw(`SELECT id, name, token, username, sha256, rule_count, created_at, updated_at
		FROM yara_files WHERE name = ? OR ? = ''`, name, name).Scan(&rows).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	tags, err := readTags(ctx, db)
	if err != nil {
		return nil, err
	}
	files := make([]File, 0, len(rows))
	for _, r := range rows {
		files = append(files, File{
			ID: r.ID, Name: r.Name, Token: r.Token, Username: r.Username, SHA256: r.Sha256, Rules: r.RuleCount, Tags: tags[r.ID],
			Created: database.FromMicros(r.CreatedAt), Updated: database.FromMicros(r.UpdatedAt),
		})
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return files, nil
}

// content is the text of a file with the digest of this very text.
type content struct {
	ID      int64
	Content string
	SHA256  string `gorm:"column:sha256"`
}

func readContents(ctx context.Context, db *database.DB, ids []int64) ([]content, error) {
	var contents []content
	err := db.Read(ctx).Raw("SELECT id, content, sha256 FROM yara_files WHERE id IN ?", ids).Scan(&contents).Error
	return contents, database.Fault(err)
}

// touch says that a file's tags changed.
func touch(ctx context.Context, tx *database.DB, id int64, now time.Time) error {
	return database.Fault(tx.Write(ctx).Exec("UPDATE yara_files SET updated_at = ? WHERE id = ?", database.Micros(now), id).Error)
}
