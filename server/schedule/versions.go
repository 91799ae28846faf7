package schedule

import (
	"context"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// keptVersions is how many earlier versions of a config are kept.
const keptVersions = 100

// Author is who made a version of a config, and why; empty for what ships.
type Author struct{ Username, Comment string }

// ConfigVersion is a config as it was, or is: the newest one is in force.
type ConfigVersion struct {
	Version int
	Author
	Created time.Time
	// Config is its content; only FindVersion fills it.
	Config StoredConfig
}

// configVersion is a row of config_versions.
type configVersion struct {
	Version   int
	Document  string
	Username  string
	Comment   string
	CreatedAt int64
}

func (v configVersion) version() ConfigVersion {
	return ConfigVersion{Version: v.Version, Author: Author{v.Username, v.Comment}, Created: database.FromMicros(v.CreatedAt)}
}

var errNoVersion error = fault.New(fault.NotFound, "There is no such version of the config")

// Versions returns the versions of a config that are kept, newest first: the one in
// force and up to 100 before it. Faults: NotFound (ErrNoConfig).
func (s *Store) Versions(ctx context.Context, key ConfigKey) ([]ConfigVersion, error) {
	row, err := findConfig(ctx, s.db, key)
	if err != nil {
		return nil, err
	}
	var rows []configVersion
	err = s.db.Read(ctx).Raw(`SELECT version, username, comment, created_at FROM config_versions
		WHERE config_id = ? ORDER BY version DESC`, row.ID).Scan(&rows).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	if len(rows) == 0 { // it was never changed
		rows = []configVersion{{Version: row.Version, CreatedAt: row.UpdatedAt}}
	}
	versions := make([]ConfigVersion, 0, len(rows))
	for _, v := range rows {
		versions = append(versions, v.version())
	}
	return versions, nil
}

// FindVersion returns one version of a config with its content. Faults: NotFound,
// Unprocessable when its document cannot be read.
func (s *Store) FindVersion(ctx context.Context, key ConfigKey, version int) (ConfigVersion, error) {
	row, err := findConfig(ctx, s.db, key)
	if err != nil {
		return ConfigVersion{}, err
	}
	found, err := findVersion(ctx, s.db, row, version)
	if err != nil {
		return ConfigVersion{}, err
	}
	v := found.version()
	row.Active, row.Version, row.Document, row.UpdatedAt = 0, found.Version, found.Document, found.CreatedAt
	d, err := row.read()
	if err != nil {
		return ConfigVersion{}, unprocessable(err)
	}
	v.Config = row.stored(d)
	return v, nil
}

func findVersion(ctx context.Context, db *database.DB, row configRecord, version int) (configVersion, error) {
	var rows []configVersion
	err := db.Read(ctx).Raw(`SELECT version, document, username, comment, created_at FROM config_versions
		WHERE config_id = ? AND version = ?`, row.ID, version).Scan(&rows).Error
	switch {
	case err != nil:
		return configVersion{}, database.Fault(err)
	case len(rows) == 0 && version == row.Version:
		return configVersion{Version: row.Version, Document: row.Document, CreatedAt: row.UpdatedAt}, nil
	case len(rows) == 0:
		return configVersion{}, errNoVersion
	}
	return rows[0], nil
}

// RestoreConfig makes an earlier version of a config the newest one again. It is
// held to the same rules as a change. Faults: NotFound, Unprocessable.
func (s *Store) RestoreConfig(ctx context.Context, key ConfigKey, version int, by Author) (ConfigChanged, error) {
	var restored ConfigChanged
	err := s.db.Tx(ctx, func(tx *database.DB) error {
		row, err := lockConfig(ctx, tx, key)
		if err != nil {
			return err
		}
		if row == nil {
			return ErrNoConfig
		}
		found, err := findVersion(ctx, tx, *row, version)
		if err != nil {
			return err
		}
		restored.Before = row.Version
		again := configVersion{Document: found.Document, Username: by.Username, Comment: by.Comment}
		if found.Document != row.Document {
			if err := s.storeConfig(ctx, tx, row, again); err != nil {
				return err
			}
		}
		d, err := row.read()
		if err != nil {
			return unprocessable(err)
		}
		restored.StoredConfig = row.stored(d)
		return nil
	})
	if err != nil {
		return ConfigChanged{}, err
	}
	s.changed(ctx)
	return restored, nil
}

// storeConfig makes a document the newest version of a locked config, if agents would
// take it, and brings row up to date.
func (s *Store) storeConfig(ctx context.Context, tx *database.DB, row *configRecord, v configVersion) error {
	next := *row
	next.Document = v.Document
	if err := s.checkConfig(ctx, tx, next); err != nil {
		return err
	}
	v.CreatedAt = database.Micros(s.now())
	if err := replaceConfig(ctx, tx, *row, v); err != nil {
		return err
	}
	next.Version, next.UpdatedAt = row.Version+1, max(row.UpdatedAt+1, v.CreatedAt)
	*row = next
	return nil
}

// checkConfig refuses a config that agents would not take with the options that
// are stored.
func (s *Store) checkConfig(ctx context.Context, tx *database.DB, row configRecord) error {
	d, err := row.read()
	if err != nil {
		return unprocessable(err)
	}
	options, err := s.With(tx).Options(ctx)
	if fault.Is(err, fault.Internal) {
		options, err = nil, nil // what somebody broke by hand is not the config's fault
	}
	if err != nil {
		return err
	}
	if err := validForAll(newPlatformConfig(row.row(), d, additions{options, s.signatures}).assemble(selection{})); err != nil {
		return unprocessable(err)
	}
	return nil
}

// replaceConfig stores v as the version after row's, keeps row as the one before,
// and lets go of the oldest.
func replaceConfig(ctx context.Context, tx *database.DB, row configRecord, v configVersion) error {
	v.Version = row.Version + 1
	v.CreatedAt = max(v.CreatedAt, row.UpdatedAt+1)
	err := tx.Write(ctx).Exec(`
		INSERT INTO config_versions (config_id, version, document, created_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (config_id, version) DO UPDATE SET document = excluded.document`,
		row.ID, row.Version, row.Document, row.UpdatedAt).Error
	if err != nil {
		return database.Fault(err)
	}
	err = tx.Write(ctx).Exec("INSERT INTO config_versions (config_id, version, document, username, comment, created_at) VALUES (?, ?, ?, ?, ?, ?)",
		row.ID, v.Version, v.Document, v.Username, v.Comment, v.CreatedAt).Error
	if err != nil {
		return database.Fault(err)
	}
	err = tx.Write(ctx).Exec("DELETE FROM config_versions WHERE config_id = ? AND version < ?", row.ID, v.Version-keptVersions).Error
	if err != nil {
		return database.Fault(err)
	}
	return database.Fault(tx.Write(ctx).Exec("UPDATE configs SET document = ?, version = ?, updated_at = ? WHERE id = ?",
		v.Document, v.Version, v.CreatedAt, row.ID).Error)
}
