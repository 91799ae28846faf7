package schedule

import (
	"context"
	"slices"
	"strings"

	"muster/server/database"
	"muster/server/fault"
)

// AddPack stores a new pack with its tags; hosts that carry one get it with their
// next config. It comes back with its id. Faults: Unprocessable when ParsePack would
// refuse it, when it is too large for a config, or for a bad tag; Conflict when the
// name is taken.
func (s *Store) AddPack(ctx context.Context, p Pack) (Pack, error) {
	tags, err := cleanTags(p.Tags)
	if err != nil {
		return Pack{}, err
	}
	added, _, err := ParsePack(p.Name, []byte(p.document()))
	if err != nil {
		return Pack{}, err
	}
	alone := map[string]any{"packs": map[string]any{added.Name: added.object(false)}}
	if err := validForAll(appendJSON(nil, alone)); err != nil {
		return Pack{}, unprocessable(err)
	}
	now := database.Micros(s.now())
	added.Tags, added.Created, added.Updated = tags, database.FromMicros(now), database.FromMicros(now)
	err = s.db.Tx(ctx, func(tx *database.DB) error {
		err := tx.Write(ctx).Raw("INSERT INTO packs (name, builtin, document, created_at, updated_at) VALUES (?, 0, ?, ?, ?) RETURNING id",
			added.Name, added.document(), now, now).Scan(&added.ID).Error
		if err != nil {
			return database.Fault(err)
		}
		return setTags(ctx, tx, added.ID, tags)
	})
	if fault.Is(err, fault.Conflict) {
		return Pack{}, fault.Wrap(err, fault.Conflict, "A pack of the name %s exists already", added.Name)
	}
	if err != nil {
		return Pack{}, err
	}
	s.changed(ctx)
	return added, nil
}

// SetPackTags replaces the tags of a pack, of a built-in one too; without a tag it
// runs nowhere. Faults: NotFound, Unprocessable for a bad tag.
func (s *Store) SetPackTags(ctx context.Context, name string, tags []string) error {
	tags, err := cleanTags(tags)
	if err != nil {
		return err
	}
	now := database.Micros(s.now())
	err = s.db.Tx(ctx, func(tx *database.DB) error {
		var ids []int64
		err := tx.Write(ctx).Raw(`
			UPDATE packs SET updated_at = CASE WHEN updated_at < ? THEN ? ELSE updated_at + 1 END WHERE name = ? RETURNING id`,
			now, now, name).Scan(&ids).Error
		if err != nil {
			return database.Fault(err)
		}
		if len(ids) == 0 {
			return fault.New(fault.NotFound, "There is no pack of the name %s", name)
		}
		if err := tx.Write(ctx).Exec("DELETE FROM pack_tags WHERE pack_id = ?", ids[0]).Error; err != nil {
			return database.Fault(err)
		}
		return setTags(ctx, tx, ids[0], tags)
	})
	if err != nil {
		return err
	}
	s.changed(ctx)
	return nil
}

func setTags(ctx context.Context, tx *database.DB, id int64, tags []string) error {
	for _, tag := range tags {
		if err := tx.Write(ctx).Exec("INSERT INTO pack_tags (pack_id, tag) VALUES (?, ?)", id, tag).Error; err != nil {
			return database.Fault(err)
		}
	}
	return nil
}

// ListPacks returns every stored pack by name. One whose document cannot be read
// has no queries.
func (s *Store) ListPacks(ctx context.Context) ([]Pack, error) {
	rows, err := s.packRows(ctx)
	if err != nil {
		return nil, err
	}
	packs := make([]Pack, 0, len(rows))
	for _, row := range rows {
		p, err := row.pack()
		if err != nil {
			s.log.Error("a stored pack cannot be read", "pack", row.Name, "error", err)
		}
		packs = append(packs, p)
	}
	return packs, nil
}

// cleanTags returns the tags trimmed, sorted and each once.
func cleanTags(tags []string) ([]string, error) {
	clean := make([]string, 0, len(tags))
	for _, tag := range tags {
		tag = strings.TrimSpace(tag)
		if err := checkTag(tag); err != nil {
			return nil, unprocessable(err)
		}
		clean = append(clean, tag)
	}
	slices.Sort(clean)
	return slices.Compact(clean), nil
}
