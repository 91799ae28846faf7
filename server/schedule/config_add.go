package schedule

import (
	"context"
	"slices"

	"muster/server/database"
	"muster/server/fault"
)

// ConfigArchs are the architectures that may have a config of their own.
var ConfigArchs = []string{"x86", shippedArch, "arm64"}

// check refuses what no config can be for. Faults: Unprocessable.
func (k ConfigKey) check() error {
	if slices.Contains(families, k.Platform) && slices.Contains(ConfigArchs, k.Arch) && slices.Contains(ConfigTypes, k.Type) {
		return nil
	}
	return fault.New(fault.Unprocessable, "There is no platform, arch and type such as %s", k)
}

// AddConfig stores a config that is not there yet: what the hosts of its platform
// and architecture run now, changed by c (whose nil Filters stay). The first of its
// platform and architecture is active at once. Faults: Conflict when it is there;
// otherwise those of UpdateConfig.
func (s *Store) AddConfig(ctx context.Context, key ConfigKey, c ConfigChange) (ConfigChanged, error) {
	key = key.meant()
	if err := key.check(); err != nil {
		return ConfigChanged{}, err
	}
	var added ConfigChanged
	err := s.db.Tx(ctx, func(tx *database.DB) error {
		base, active, err := baseConfig(ctx, tx, key)
		if err != nil {
			return err
		}
		if c.Filters == nil {
			c.Filters = base.filters
		}
		after, err := c.apply(key, base, &added)
		if err != nil {
			return err
		}
		if added.Warnings, err = checkChangedSQL(ctx, base, after); err != nil {
			return err
		}
		row := configRecord{Platform: key.Platform, Arch: key.Arch, Type: key.Type, Active: active, Version: 1,
			Document: after.text(), UpdatedAt: database.Micros(s.now())}
		if err := s.checkConfig(ctx, tx, row); err != nil {
			return err
		}
		if err := insertConfig(ctx, tx, &row, c.By); err != nil {
			return err
		}
		added.StoredConfig = row.stored(after)
		return nil
	})
	if fault.Is(err, fault.Conflict) {
		return ConfigChanged{}, fault.Wrap(err, fault.Conflict, "The config %s exists already", key)
	}
	if err != nil {
		return ConfigChanged{}, err
	}
	s.changed(ctx)
	return added, nil
}

// baseConfig is what hosts of the platform and architecture run now, and whether a
// config of their own would be active: 1 when they have none.
func baseConfig(ctx context.Context, tx *database.DB, key ConfigKey) (document, int64, error) {
	for _, arch := range []string{key.Arch, shippedArch} {
		row, err := findConfig(ctx, tx, ConfigKey{Platform: key.Platform, Arch: arch})
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return document{}, 0, err
		}
		active := int64(1)
		if arch == key.Arch {
			active = 0
		}
		d, err := row.read()
		if err != nil {
			return document{}, 0, unprocessable(err)
		}
		return d, active, nil
	}
	d, err := readDocument("config/"+key.String(), shippedDocument(key.Platform))
	return d, 1, err
}

func insertConfig(ctx context.Context, tx *database.DB, row *configRecord, by Author) error {
	err := tx.Write(ctx).Raw(`
		INSERT INTO configs (platform, arch, type, active, version, document, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		RETURNING id`, row.Platform, row.Arch, row.Type, row.Active, row.Version, row.Document, row.UpdatedAt, row.UpdatedAt).Scan(&row.ID).Error
	if err != nil {
		return database.Fault(err)
	}
	return database.Fault(tx.Write(ctx).Exec(`
		INSERT INTO config_versions (config_id, version, document, username, comment, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
		row.ID, row.Version, row.Document, by.Username, by.Comment, row.UpdatedAt).Error)
}
