package schedule

import (
	"context"
	"io/fs"
	"path"
	"strings"

	"muster/packs"
	"muster/server/database"
	"muster/server/fault"
)

// shippedSetting records which shipped documents were installed, by their digest:
// what an administrator changed or deleted afterwards stays so.
const shippedSetting = "schedule_shipped"

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
		for _, c := range shippedConfigs {
			if err := i.config(c); err != nil {
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
	now := digest(document)
	before = i.installed[key]
	if before != now {
		i.installed[key], i.changed = now, true
	}
	return before, before == now
}
