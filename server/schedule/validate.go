package schedule

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Validate reports why an agent would refuse, drop a part of, or misread the config
// (osquery-tls 2.3, 2.4), or nil. It stands between what is stored and the agents,
// since those throw their old schedule away before they parse a new one.
func Validate(config []byte) error {
	if len(config) > MaxSize {
		return fmt.Errorf("the config has %d bytes, more than the %d that agents take", len(config), MaxSize)
	}
	value, err := decode(config, maxDepth)
	if err != nil {
		return fmt.Errorf("the config cannot be read: %w", err)
	}
	top, ok := value.(map[string]any)
	if !ok || len(top) == 0 {
		return errors.New("the config is no object, or an empty one")
	}
	for _, key := range []string{"error", "node_invalid"} {
		if _, steers := top[key]; steers {
			return fmt.Errorf("the config has the key %s, which is not for configs", key)
		}
	}
	if err := checkNumbers(top); err != nil {
		return err
	}
	if err := topShape.check(top); err != nil {
		return err
	}
	return checkNames(top)
}

// scheduleEntry and packEntry are what osquery-tls 2.4 says of queries and packs.
var (
	scheduleEntry = record{
		"query": isQuery, "interval": isInteger(1, MaxInterval), "snapshot": isBool, "removed": isBool, "denylist": isBool,
		"platform": isText, "version": isText, "shard": isInteger(0, 100), "startup_priority": isInteger(0, 1<<30),
	}
	packEntry = record{
		"platform": isText, "version": isText, "shard": isInteger(0, 100), "discovery": listOf(isText),
		"file_paths": mapOf(listOf(isText)), "queries": mapOf(needs(scheduleEntry, "query", "interval")),
	}
	topShape = func() record {
		shapes := record{
			"options":  mapOf(isScalar),
			"schedule": mapOf(needs(scheduleEntry, "query", "interval")),
			"packs":    mapOf(needs(packEntry, "queries")),
		}
		for key, check := range filters {
			shapes[key] = check
		}
		return shapes
	}()
)

func isQuery(value any) error {
	if text, _ := value.(string); text == "" {
		return errors.New("it must be a query")
	}
	return nil
}

func needs(r record, members ...string) shape {
	return func(value any) error {
		object, _ := value.(map[string]any)
		for _, member := range members {
			if _, there := object[member]; !there {
				return fmt.Errorf("%s is missing", member)
			}
		}
		return r.check(value)
	}
}

func checkNames(top map[string]any) error {
	if err := checkQueryNames(top["schedule"]); err != nil {
		return fmt.Errorf("schedule: %w", err)
	}
	packs, _ := top["packs"].(map[string]any)
	for name, value := range packs {
		if err := checkPackName(name); err != nil {
			return fmt.Errorf("pack %q: %w", name, err)
		}
		pack, _ := value.(map[string]any)
		if err := checkQueryNames(pack["queries"]); err != nil {
			return fmt.Errorf("pack %q: %w", name, err)
		}
	}
	return nil
}

func checkQueryNames(queries any) error {
	object, _ := queries.(map[string]any)
	for name := range object {
		if err := checkQueryName(name); err != nil {
			return fmt.Errorf("query %q: %w", name, err)
		}
	}
	return nil
}

// checkNumbers finds numbers that no double holds: osquery's parser stops at them.
func checkNumbers(value any) error {
	switch value := value.(type) {
	case json.Number:
		if _, err := strconv.ParseFloat(value.String(), 64); err != nil {
			return fmt.Errorf("the number %.40s is too large", value)
		}
	case []any:
		for _, element := range value {
			if err := checkNumbers(element); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, element := range value {
			if err := checkNumbers(element); err != nil {
				return err
			}
		}
	}
	return nil
}
