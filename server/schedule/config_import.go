package schedule

import (
	"context"
	"fmt"

	"muster/server/database"
	"muster/server/fault"
)

// ConfigImported is what came of an import.
type ConfigImported struct {
	// ConfigChanged has 0 as Before for a config that was not there.
	ConfigChanged
	// Packs are those of the file, as stored, by name.
	Packs []Pack
}

// ImportConfig makes a config what a file says, as a new version beside the former
// ones, or adds it where there is none; the first of its platform and architecture is
// active at once. Packs of the file are added or merged as ImportPacks does. It is
// all of that, or nothing. Where the config says the same already it keeps its
// version.
//
// The warnings name what osquery does not have, and packs that no host gets since
// they carry no tag. Faults: Unprocessable, with the place, for what agents would not
// take; Invalid for a bad tag.
func (s *Store) ImportConfig(ctx context.Context, key ConfigKey, file ConfigFile, by Author) (ConfigImported, error) {
	key = key.meant()
	if err := key.check(); err != nil {
		return ConfigImported{}, err
	}
	content := document{options: file.Options, queries: file.Queries, filters: file.Filters}
	d, err := readDocument("config/"+key.String(), []byte(content.text()))
	if err != nil {
		return ConfigImported{}, unprocessable(err)
	}
	var done ConfigImported
	if done.Warnings, err = checkSQL(ctx, "schedule, ", Pack{Queries: d.queries}); err != nil {
		return ConfigImported{}, err
	}
	packs, warnings, err := checkPacks(ctx, file.Packs)
	if err != nil {
		return ConfigImported{}, err
	}
	err = s.edit(ctx, func(e *editor) error {
		if done.Packs, err = e.addPacks(packs); err != nil {
			return err
		}
		done.StoredConfig, done.Before, err = s.putConfig(ctx, e.tx, key, d, by)
		return err
	})
	if fault.Is(err, fault.Conflict) {
		return ConfigImported{}, fault.Wrap(err, fault.Conflict, "Somebody else added the config %s just now: try again", key)
	}
	if err != nil {
		return ConfigImported{}, err
	}
	done.Warnings = append(done.Warnings, warnings...)
	for _, p := range done.Packs {
		if len(p.Tags) == 0 {
			done.Warnings = append(done.Warnings, fmt.Sprintf("pack %q has no tags: hosts get it once they share a tag with it", p.Name))
		}
	}
	return done, nil
}

// putConfig replaces a config, or inserts it; before is the version that was there,
// or 0. What is there need not be readable.
func (s *Store) putConfig(ctx context.Context, tx *database.DB, key ConfigKey, d document, by Author) (stored StoredConfig, before int, err error) {
	row, err := lockConfig(ctx, tx, key)
	if err != nil {
		return StoredConfig{}, 0, err
	}
	if row == nil {
		stored, err = s.newConfig(ctx, tx, key, d, by)
		return stored, 0, err
	}
	before = row.Version
	text := d.text()
	if old, unreadable := row.read(); unreadable != nil || old.text() != text {
		v := configVersion{Document: text, Username: by.Username, Comment: by.Comment}
		if err := s.storeConfig(ctx, tx, row, v); err != nil {
			return StoredConfig{}, 0, err
		}
	}
	return row.stored(d), before, nil
}

func (s *Store) newConfig(ctx context.Context, tx *database.DB, key ConfigKey, d document, by Author) (StoredConfig, error) {
	row := configRecord{Platform: key.Platform, Arch: key.Arch, Type: key.Type, Version: 1,
		Document: d.text(), UpdatedAt: database.Micros(s.now())}
	_, err := findConfig(ctx, tx, ConfigKey{Platform: key.Platform, Arch: key.Arch})
	if fault.Is(err, fault.NotFound) {
		row.Active, err = 1, nil
	}
	if err == nil {
		err = s.checkConfig(ctx, tx, row)
	}
	if err == nil {
		err = insertConfig(ctx, tx, &row, by)
	}
	return row.stored(d), err
}
