package schedule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"strings"

	"muster/packs"
	"muster/server/database"
	"muster/server/fault"
)

const (
	// shippedSetting records which shipped documents were installed, by their
	// digest: what an administrator changed or deleted afterwards stays so.
	shippedSetting = "schedule_shipped"
	// shippedArch and shippedType are those of every config that ships; other
	// architectures of the platform fall back to it.
	shippedArch = "x86_64"
	shippedType = "default"
)

// shippedDocument returns the default config of a platform as it ships.
func shippedDocument(platform string) []byte {
	data, _ := packs.Files.ReadFile("configs/" + platform + ".json")
	return data
}

// shippedPacks returns the packs that ship, by name.
func shippedPacks() ([]Pack, error) {
	names, err := fs.Glob(packs.Files, "*.json")
	if err != nil {
		return nil, err
	}
	var shipped []Pack
	for _, file := range names {
		data, err := packs.Files.ReadFile(file)
		if err != nil {
			return nil, err
		}
		p, _, err := ParsePack(strings.TrimSuffix(path.Base(file), ".json"), data)
		if err != nil {
			return nil, err
		}
		shipped = append(shipped, p)
	}
	return shipped, nil
}

// install stores the shipped packs and configs that are not stored yet, and brings
// those up to date that nobody changed. Replicas may do so at the same time.
func (s *Store) install(ctx context.Context) error {
	shipped, err := shippedPacks()
	if err != nil {
		return fault.Wrap(err, fault.Internal, "The packs that ship with the server cannot be read")
	}
	return s.db.Tx(ctx, func(tx *database.DB) error {
		i := installer{ctx: ctx, tx: tx, now: database.Micros(s.now()), installed: map[string]string{}}
		if _, err := tx.Setting(ctx, shippedSetting, &i.installed); err != nil {
			return err
		}
		for _, p := range shipped {
			if err := i.pack(p); err != nil {
				return err
			}
		}
		for _, platform := range families {
			if err := i.config(platform, string(shippedDocument(platform))); err != nil {
				return err
			}
		}
		if !i.changed {
			return nil
		}
		return tx.SetSetting(ctx, shippedSetting, i.installed)
	})
}

type installer struct {
	ctx       context.Context
	tx        *database.DB
	now       int64
	installed map[string]string
	changed   bool
}

// record notes a document as installed; before is its digest so far, "" when it never was.
func (i *installer) record(key, document string) (before string, same bool) {
	sum := sha256.Sum256([]byte(document))
	digest := hex.EncodeToString(sum[:])
	before = i.installed[key]
	if before != digest {
		i.installed[key], i.changed = digest, true
	}
	return before, before == digest
}

// pack keeps a built-in pack's document current. Its tags are the administrator's:
// they are set once.
func (i *installer) pack(p Pack) error {
	document := p.document()
	before, _ := i.record("packs/"+p.Name, document)
	if before != "" {
		return database.Fault(i.tx.Write(i.ctx).Exec(`
			UPDATE packs SET document = ?, updated_at = CASE WHEN updated_at < ? THEN ? ELSE updated_at + 1 END
			WHERE name = ? AND builtin = 1 AND document <> ?`, document, i.now, i.now, p.Name, document).Error)
	}
	result := i.tx.Write(i.ctx).Exec(`
		INSERT INTO packs (name, builtin, document, created_at, updated_at) VALUES (?, 1, ?, ?, ?)
		ON CONFLICT (name) DO NOTHING`, p.Name, document, i.now, i.now)
	if result.Error != nil || result.RowsAffected == 0 {
		return database.Fault(result.Error)
	}
	return database.Fault(i.tx.Write(i.ctx).Exec(`
		INSERT INTO pack_tags (pack_id, tag) SELECT id, name FROM packs WHERE name = ?
		ON CONFLICT DO NOTHING`, p.Name).Error)
}

// config replaces a shipped config only as long as it is stored as it shipped.
func (i *installer) config(platform, document string) error {
	before, same := i.record("configs/"+platform, document)
	if same {
		return nil
	}
	if before == "" {
		return i.insertConfig(platform, document)
	}
	var rows []struct {
		ID       int64
		Document string
	}
	err := i.tx.Read(i.ctx).Raw("SELECT id, document FROM configs WHERE platform = ? AND arch = ? AND type = ?",
		platform, shippedArch, shippedType).Scan(&rows).Error
	if err != nil || len(rows) == 0 {
		return database.Fault(err)
	}
	if sum := sha256.Sum256([]byte(rows[0].Document)); hex.EncodeToString(sum[:]) != before {
		return nil
	}
	return database.Fault(i.tx.Write(i.ctx).Exec(`
		UPDATE configs SET document = ?, updated_at = CASE WHEN updated_at < ? THEN ? ELSE updated_at + 1 END WHERE id = ?`,
		document, i.now, i.now, rows[0].ID).Error)
}

func (i *installer) insertConfig(platform, document string) error {
	var active int64
	err := i.tx.Read(i.ctx).Raw("SELECT count(*) FROM configs WHERE platform = ? AND arch = ? AND active = 1",
		platform, shippedArch).Scan(&active).Error
	if err != nil {
		return database.Fault(err)
	}
	return database.Fault(i.tx.Write(i.ctx).Exec(`
		INSERT INTO configs (platform, arch, type, active, document, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (platform, arch, type) DO NOTHING`,
		platform, shippedArch, shippedType, 1-min(active, 1), document, i.now, i.now).Error)
}
