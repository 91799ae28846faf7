package yara

import (
	"context"
	"embed"
	"io/fs"
	"path"

	"muster/server/database"
	"muster/server/fault"
)

// shippedSetting records which files were installed, by their digest: what an
// administrator changed or deleted afterwards stays so.
const shippedSetting = "yara_shipped"

//go:embed rules/*.yara
var shipped embed.FS

// install stores the shipped files that never were, and brings those up to date
// that nobody changed. Replicas may do so at the same time.
func (s *Store) install(ctx context.Context) error {
	names, err := fs.Glob(shipped, "rules/*.yara")
	if err != nil {
		return fault.Wrap(err, fault.Internal, "The YARA files that ship with the server cannot be read")
	}
	return s.db.Tx(ctx, func(tx *database.DB) error {
		if err := tx.Lock(ctx, shippedSetting); err != nil {
			return err
		}
		installed := map[string]string{}
		if _, err := tx.Setting(ctx, shippedSetting, &installed); err != nil {
			return err
		}
		changed := false
		for _, name := range names {
			text, err := shipped.ReadFile(name)
			if err != nil {
				return err
			}
			name, before := path.Base(name), installed[path.Base(name)]
			if installed[name] = digest(string(text)); before == installed[name] {
				continue
			}
			changed = true
			if err := s.installOne(ctx, tx, NewFile{Name: name, Content: string(text)}, before); err != nil {
				return err
			}
		}
		if !changed {
			return nil
		}
		return tx.SetSetting(ctx, shippedSetting, installed)
	})
}

// installOne stores a file that was never there, or replaces it as long as it is
// the one that was installed before.
func (s *Store) installOne(ctx context.Context, tx *database.DB, f NewFile, before string) error {
	now, rules := database.Micros(s.now()), len(outlineOf(f.Content).rules)
	if before != "" {
		return database.Fault(tx.Write(ctx).Exec(`
			UPDATE yara_files SET content = ?, sha256 = ?, rule_count = ?, updated_at = ? WHERE name = ? AND sha256 = ?`,
			f.Content, digest(f.Content), rules, now, f.Name, before).Error)
	}
	var taken int64
	if err := tx.Read(ctx).Raw("SELECT count(*) FROM yara_files WHERE name = ?", f.Name).Scan(&taken).Error; err != nil || taken > 0 {
		return database.Fault(err)
	}
	return s.put(ctx, tx, f, rules)
}
