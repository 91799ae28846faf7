package schedule

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"muster/server/database"
	"muster/server/fault"
)

// ConfigChange is what an administrator wants of a config. Its values are decoded
// JSON with numbers as json.Number.
type ConfigChange struct {
	// Queries by name, each with at least status and interval. Those that are not
	// named stay. One that is new needs its SQL as query; remove: true takes one out.
	// Other members of a query may be given too; null takes one away.
	Queries map[string]any
	// Filters replace those there are.
	Filters map[string]any
	// Options replace those there are, unless nil.
	Options map[string]any
	// By stands beside the new version.
	By Author
}

// ConfigChanged is what came of a change.
type ConfigChanged struct {
	StoredConfig
	// Before is the version that was changed; Version where nothing was.
	Before int
	// Ignored are the queries that were named, are not there, and came without SQL.
	Ignored []string
	// Warnings name what osquery does not know, such as a table of an extension.
	Warnings []string
}

var errBoth = fault.New(fault.Invalid, "Please provide both interval and status for all queries!")

// queryMembers are what a query of a config may be given.
var queryMembers = []string{
	"query", "interval", "status", "platform", "version", "description", "value", "snapshot", "removed", "denylist", "shard", "startup_priority",
}

// UpdateConfig changes a config and keeps what it was (see Versions); where nothing
// differs there is no new version. Faults: NotFound (ErrNoConfig); Invalid for a
// query without status or interval; Unprocessable, with the place, for what agents
// would not take.
func (s *Store) UpdateConfig(ctx context.Context, key ConfigKey, c ConfigChange) (ConfigChanged, error) {
	var changed ConfigChanged
	err := s.db.Tx(ctx, func(tx *database.DB) error {
		row, err := lockConfig(ctx, tx, key)
		if err != nil {
			return err
		}
		if row == nil {
			return ErrNoConfig
		}
		before, err := row.read()
		if err != nil {
			return unprocessable(fmt.Errorf("the stored config cannot be read; restore an earlier version: %w", err))
		}
		changed = ConfigChanged{Before: row.Version}
		after, err := c.apply(row.key(), before, &changed)
		if err != nil {
			return err
		}
		if changed.Warnings, err = checkChangedSQL(ctx, before, after); err != nil {
			return err
		}
		if text := after.text(); text != before.text() {
			if err := s.storeConfig(ctx, tx, row, configVersion{Document: text, Username: c.By.Username, Comment: c.By.Comment}); err != nil {
				return err
			}
		}
		changed.StoredConfig = row.stored(after)
		return nil
	})
	if err != nil {
		return ConfigChanged{}, err
	}
	s.changed(ctx)
	return changed, nil
}

// apply makes the changed document of a config.
func (c ConfigChange) apply(key ConfigKey, before document, changed *ConfigChanged) (document, error) {
	queries := before.storedQueries()
	for _, name := range slices.Sorted(maps.Keys(c.Queries)) {
		ignored, err := c.applyQuery(queries, name)
		if err != nil {
			return document{}, err
		}
		if ignored {
			changed.Ignored = append(changed.Ignored, name)
		}
	}
	options := before.options
	if c.Options != nil {
		options = c.Options
	}
	text := appendJSON(nil, map[string]any{"queries": queries, "filters": orNone(c.Filters), "options": options})
	after, err := readDocument("config/"+key.String(), text)
	if err != nil {
		return document{}, unprocessable(err)
	}
	return after, nil
}

// applyQuery changes one of the queries; ignored is one that is not there.
func (c ConfigChange) applyQuery(queries map[string]any, name string) (ignored bool, err error) {
	entry, isObject := c.Queries[name].(map[string]any)
	old, known := queries[name].(map[string]any)
	f := newFields(fmt.Sprintf("query %q", name), entry)
	if remove := f.flag("remove", false); isObject && remove {
		delete(queries, name)
		return !known, unprocessableOrNil(f.err)
	}
	if !isObject || entry["status"] == nil || entry["interval"] == nil {
		return false, errBoth
	}
	if sql := f.text("query"); !known && sql == "" {
		return true, unprocessableOrNil(f.err)
	}
	merged := map[string]any{}
	maps.Copy(merged, old)
	for _, member := range queryMembers {
		value, given := entry[member]
		switch {
		case value != nil:
			merged[member] = value
		case given && member != "query":
			delete(merged, member)
		}
	}
	queries[name] = merged
	return false, unprocessableOrNil(f.err)
}

func unprocessableOrNil(err error) error {
	if err == nil {
		return nil
	}
	return unprocessable(err)
}

// storedQueries are the queries as they are stored, for a change.
func (d document) storedQueries() map[string]any {
	queries := map[string]any{}
	for name, query := range d.queries {
		object := query.object(true)
		object["status"] = query.Status
		queries[name] = object
	}
	return queries
}

// text is the document as it is stored: the same text for the same content.
func (d document) text() string {
	return string(appendJSON(nil, map[string]any{
		"queries": d.storedQueries(), "filters": orNone(d.filters), "options": orNone(d.options),
	}))
}

func orNone(object map[string]any) map[string]any {
	if object == nil {
		return map[string]any{}
	}
	return object
}

// checkChangedSQL checks the queries that are new or have another SQL than before.
// What is stored already must not keep the rest from being changed.
func checkChangedSQL(ctx context.Context, before, after document) ([]string, error) {
	changed := Pack{Queries: map[string]Query{}}
	for name, query := range after.queries {
		if query.SQL != before.queries[name].SQL {
			changed.Queries[name] = query
		}
	}
	return checkSQL(ctx, "", changed)
}
