package schedule

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// ConfigKey names a config. In questions an empty Type stands for the active one,
// and the default of 64-bit Windows for the shallow one (esp-api 1.12).
type ConfigKey struct{ Platform, Arch, Type string }

func (k ConfigKey) meant() ConfigKey {
	if k.Platform == windows && k.Arch == shippedArch && k.Type == DefaultConfig {
		k.Type = ShallowConfig
	}
	return k
}

// String is the name for people: linux/x86_64/default.
func (k ConfigKey) String() string { return k.Platform + "/" + k.Arch + "/" + k.Type }

// StoredConfig is what hosts of a platform and architecture run while it is active.
// Its maps hold decoded JSON with numbers as json.Number; options have int64.
type StoredConfig struct {
	ConfigKey
	ID      int64
	Active  bool
	Version int // counts the changes from 1
	Queries map[string]Query
	Filters map[string]any // further top-level keys of the osquery config
	Options map[string]any
	Updated time.Time
}

// ErrNoConfig says that there is no such config. It is NotFound.
var ErrNoConfig error = fault.New(fault.NotFound, "Requested config is not present for the platform, arch, type given!")

// configRecord is a whole row of configs.
type configRecord struct {
	ID        int64
	Platform  string
	Arch      string
	Type      string
	Active    int64
	Version   int
	Document  string
	UpdatedAt int64
}

const configColumns = "id, platform, arch, type, active, version, document, updated_at"

func (r configRecord) key() ConfigKey { return ConfigKey{r.Platform, r.Arch, r.Type} }

// row is what configs are rendered from.
func (r configRecord) row() configRow {
	return configRow{ID: r.ID, Platform: r.Platform, Arch: r.Arch, Type: r.Type, Version: r.Version, Document: r.Document}
}

func (r configRecord) read() (document, error) {
	return readDocument("config/"+r.key().String(), []byte(r.Document))
}

func (r configRecord) stored(d document) StoredConfig {
	return StoredConfig{
		ConfigKey: r.key(), ID: r.ID, Active: r.Active != 0, Version: r.Version,
		Queries: d.queries, Filters: d.filters, Options: d.options, Updated: database.FromMicros(r.UpdatedAt),
	}
}

// Configs returns all configs by platform, architecture and type. One whose document
// cannot be read has no queries.
func (s *Store) Configs(ctx context.Context) ([]StoredConfig, error) {
	var rows []configRecord
	if err := s.db.Read(ctx).Raw("SELECT " + configColumns + " FROM configs").Scan(&rows).Error; err != nil {
		return nil, database.Fault(err)
	}
	slices.SortFunc(rows, func(a, b configRecord) int {
		return cmp.Or(strings.Compare(a.Platform, b.Platform), strings.Compare(a.Arch, b.Arch), strings.Compare(a.Type, b.Type))
	})
	configs := make([]StoredConfig, 0, len(rows))
	for _, row := range rows {
		d, err := row.read()
		if err != nil {
			s.log.Error("a stored config cannot be read", "config", row.key().String(), "error", err)
		}
		configs = append(configs, row.stored(d))
	}
	return configs, nil
}

// FindConfig returns one config. Faults: NotFound (ErrNoConfig), Unprocessable when
// its document cannot be read.
func (s *Store) FindConfig(ctx context.Context, key ConfigKey) (StoredConfig, error) {
	row, err := findConfig(ctx, s.db, key)
	if err != nil {
		return StoredConfig{}, err
	}
	d, err := row.read()
	if err != nil {
		return StoredConfig{}, unprocessable(fmt.Errorf("the stored config cannot be read: %w", err))
	}
	return row.stored(d), nil
}

func findConfig(ctx context.Context, db *database.DB, key ConfigKey) (configRecord, error) {
	key = key.meant()
	var rows []configRecord
	err := db.Read(ctx).Raw("SELECT "+configColumns+` FROM configs
		WHERE platform = ? AND arch = ? AND (type = ? OR (? = '' AND active = 1))`, key.Platform, key.Arch, key.Type, key.Type).Scan(&rows).Error
	if err != nil {
		return configRecord{}, database.Fault(err)
	}
	if len(rows) == 0 {
		return configRecord{}, ErrNoConfig
	}
	return rows[0], nil
}

// lockConfig reads a config that nobody else changes until tx ends; nil when there
// is none.
func lockConfig(ctx context.Context, tx *database.DB, key ConfigKey) (*configRecord, error) {
	key = key.meant()
	var rows []configRecord
	err := tx.Write(ctx).Raw("UPDATE configs SET version = version WHERE platform = ? AND arch = ? AND type = ? RETURNING "+configColumns,
		key.Platform, key.Arch, key.Type).Scan(&rows).Error
	if err != nil || len(rows) == 0 {
		return nil, database.Fault(err)
	}
	return &rows[0], nil
}

// ToggleConfig makes a config the active one of its platform and architecture, at
// once and for good: there is one at every moment. Faults: NotFound (ErrNoConfig).
func (s *Store) ToggleConfig(ctx context.Context, key ConfigKey) error {
	key = key.meant()
	now := database.Micros(s.now())
	err := s.db.Tx(ctx, func(tx *database.DB) error {
		// All rows of the pair are locked first, so that two who toggle come one after the other.
		err := tx.Write(ctx).Exec("UPDATE configs SET active = 0 WHERE platform = ? AND arch = ?", key.Platform, key.Arch).Error
		if err != nil {
			return database.Fault(err)
		}
		done := tx.Write(ctx).Exec(`
			UPDATE configs SET active = 1, updated_at = CASE WHEN updated_at < ? THEN ? ELSE updated_at + 1 END
			WHERE platform = ? AND arch = ? AND type = ?`, now, now, key.Platform, key.Arch, key.Type)
		if done.Error == nil && done.RowsAffected == 0 {
			return ErrNoConfig
		}
		return database.Fault(done.Error)
	})
	if err != nil {
		return err
	}
	s.changed(ctx)
	return nil
}
