package schedule

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"muster/server/fault"
)

// locate finds the one osquery config in the documents of a file. What is around it
// is warned of.
func (r *configReader) locate(documents []any) (map[string]any, error) {
	var found map[string]any
	for _, value := range documents {
		object, ok := value.(map[string]any)
		if !ok {
			return nil, errNoConfigFile
		}
		var around configReader
		around.platform = r.platform
		config, err := around.unwrap(object)
		if err != nil {
			return nil, err
		}
		switch {
		case isConfig(config) && found != nil:
			return nil, fault.New(fault.Unprocessable, "The file holds more than one config: import them one by one")
		case isConfig(config):
			found = config
			r.warnings = append(r.warnings, around.warnings...)
		case config["queries"] != nil && len(documents) == 1:
			return config, nil // read says what is wrong
		default:
			r.warn("%s is no config: it is left out", documentName(object))
		}
	}
	if found == nil {
		return nil, errNoConfigFile
	}
	return found, nil
}

// documentName is what a document says that it is.
func documentName(object map[string]any) string {
	spec, _ := object["spec"].(map[string]any)
	return strings.TrimSpace(fmt.Sprintf("a document of the kind %q %s", textOf(object, "kind"), cmp.Or(textOf(spec, "name"), textOf(object, "name"))))
}

// labels are members of specs that say nothing of a config.
var labels = []string{"apiVersion", "kind", "name"}

// unwrap returns the osquery config of a document, for the platform.
func (r *configReader) unwrap(object map[string]any) (map[string]any, error) {
	where := ""
	for _, key := range []string{"spec", "team", "agent_options"} {
		inner, is := object[key].(map[string]any)
		if !is || key == "spec" && textOf(object, "kind") == "" || key == "team" && where == "" {
			continue
		}
		r.leftOut(where, object, key)
		object, where = inner, where+key+"."
	}
	config, isAgentOptions := object["config"].(map[string]any)
	if isAgentOptions || object["config"] == nil && object["overrides"] != nil && !isConfig(object) {
		r.leftOut(where, object, "config", "overrides")
	} else {
		config = maps.Clone(object)
		if object["overrides"] == nil {
			return config, nil
		}
		delete(config, "overrides")
	}
	return r.override(where+"overrides", config, object["overrides"])
}

// leftOut warns of each member of an object but for those that are used.
func (r *configReader) leftOut(where string, object map[string]any, used ...string) {
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if object[key] != nil && !slices.Contains(used, key) && !slices.Contains(labels, key) {
			r.warn("%s%s is no part of a config: it is left out", where, key)
		}
	}
}

// override lays what is said for the platform over the config.
func (r *configReader) override(where string, config map[string]any, overrides any) (map[string]any, error) {
	if overrides == nil {
		return config, nil
	}
	f := newFields(where, overrides)
	platforms := f.object("platforms")
	if f.err == nil {
		r.leftOut(where+".", f.members, "platforms")
		f = newFields(where+".platforms", platforms)
	}
	over := f.object(r.platform)
	if f.err != nil {
		return nil, unprocessable(f.err)
	}
	for _, other := range slices.Sorted(maps.Keys(platforms)) {
		if other != r.platform && platforms[other] != nil {
			r.warn("%s.platforms.%s is for other hosts than those of %s: it is left out", where, other, r.platform)
		}
	}
	if len(over) == 0 {
		return config, nil
	}
	merged, below := laidOver(config, over)
	if len(below) > 0 {
		const most = 50
		names := strings.Join(below[:min(len(below), most)], ", ")
		if len(below) > most {
			names += fmt.Sprintf(" and %d more", len(below)-most)
		}
		r.warn("%s.platforms.%s is laid over the config; Fleet sends it alone, that is without %s", where, r.platform, names)
	}
	return merged, nil
}

// laidOver returns the config with the members of over, and within each object, such
// as the options, with the members of that; below names what only the config says.
func laidOver(config, over map[string]any) (merged map[string]any, below []string) {
	merged = map[string]any{}
	maps.Copy(merged, config)
	for key, value := range over {
		if value != nil {
			merged[key] = value
		}
	}
	for _, key := range slices.Sorted(maps.Keys(config)) {
		under, isObject := config[key].(map[string]any)
		top, both := over[key].(map[string]any)
		switch {
		case config[key] == nil:
		case over[key] == nil:
			below = append(below, key)
		case isObject && both:
			inner := maps.Clone(under)
			maps.Copy(inner, top)
			merged[key] = inner
			for _, name := range slices.Sorted(maps.Keys(under)) {
				if _, replaced := top[name]; !replaced {
					below = append(below, key+"."+name)
				}
			}
		}
	}
	return merged, below
}
