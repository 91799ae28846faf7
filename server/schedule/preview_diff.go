package schedule

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// Changes are the differences between two configs, by name.
type Changes struct {
	Schedule Difference
	Packs    Difference
	Options  Difference
	Keys     Difference // other top-level keys
	// Unusable says that agents would not take the new config as it stands, mostly
	// for its size: they would keep the old one, or get it without its largest parts.
	Unusable bool
}

// Difference names what is in only one of two objects, or differs; each sorted.
type Difference struct{ Added, Removed, Changed []string }

// compare returns what differs, nil for nothing.
func compare(before, after *rendered) *Changes {
	unusable := before.healthy && !after.healthy
	if before.ETag == after.ETag && !unusable {
		return nil
	}
	old, fresh := members(before.Plain), members(after.Plain)
	c := &Changes{Unusable: unusable}
	for name, difference := range map[string]*Difference{"schedule": &c.Schedule, "packs": &c.Packs, "options": &c.Options} {
		*difference = differ(members(old[name]), members(fresh[name]))
		delete(old, name)
		delete(fresh, name)
	}
	c.Keys = differ(old, fresh)
	return c
}

// members are those of a JSON object that we wrote ourselves.
func members(object []byte) map[string]json.RawMessage {
	found := map[string]json.RawMessage{}
	if json.Unmarshal(object, &found) != nil {
		return map[string]json.RawMessage{}
	}
	return found
}

func differ(before, after map[string]json.RawMessage) Difference {
	var d Difference
	for _, name := range slices.Sorted(maps.Keys(before)) {
		switch value, there := after[name]; {
		case !there:
			d.Removed = append(d.Removed, name)
		case !bytes.Equal(value, before[name]):
			d.Changed = append(d.Changed, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if _, there := before[name]; !there {
			d.Added = append(d.Added, name)
		}
	}
	return d
}
