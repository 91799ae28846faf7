package database

import (
	"context"
	"encoding/json"

	"muster/server/fault"
)

// Setting reads the JSON value stored under name into value. found is false,
// and value untouched, when nothing is stored.
func (db *DB) Setting(ctx context.Context, name string, value any) (found bool, err error) {
	var texts []string
	if err := db.Read(ctx).Raw("SELECT value FROM settings WHERE name = ?", name).Scan(&texts).Error; err != nil {
		return false, Fault(err)
	}
	if len(texts) == 0 {
		return false, nil
	}
	if err := json.Unmarshal([]byte(texts[0]), value); err != nil {
		return false, fault.Wrap(err, fault.Internal, "the setting %s cannot be read", name)
	}
	return true, nil
}

// SetSetting stores value as JSON under name.
func (db *DB) SetSetting(ctx context.Context, name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "the setting %s cannot be stored", name)
	}
	return Fault(db.Write(ctx).Exec(
		"INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
		name, string(text)).Error)
}
