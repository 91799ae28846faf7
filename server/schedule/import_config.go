package schedule

import (
	"fmt"
	"maps"
	"slices"

	"muster/server/fault"
)

// ConfigFile is the config of a platform as a file tells it. Its maps are those of a
// StoredConfig.
type ConfigFile struct {
	Queries map[string]Query // all switched on
	Options map[string]any
	Filters map[string]any // every top-level key besides options, schedule and packs
	Packs   []Pack         // by name; without tags
}

// errNoConfigFile says what would do.
var errNoConfigFile error = fault.New(fault.Unprocessable,
	"The file holds no config: neither an osquery config, such as one with options and a schedule, nor agent options with such a config")

// ParseConfigFile reads the config that a file holds for a platform. The file is one
// of these:
//
//   - an osquery config, as osquery's own reader of files takes it (see ParsePack)
//   - agent options as Fleet keeps them, alone or in a spec of theirs, in YAML or
//     JSON; what they override for the platform is laid over the rest
//
// What stays out, and what agents do not get, is named in the warnings; all else is
// in the ConfigFile. Faults: Unprocessable, with the place, for what agents would not
// take and for a file that holds something else.
func ParseConfigFile(platform string, data []byte) (ConfigFile, []string, error) {
	if len(data) > maxPackFile {
		return ConfigFile{}, nil, fault.New(fault.Unprocessable, "The file is larger than %d bytes", maxPackFile)
	}
	documents, warnings, err := readDocuments(data)
	if err != nil {
		return ConfigFile{}, nil, fault.New(fault.Unprocessable, "The file cannot be read: %s", err)
	}
	r := configReader{platform: platform, warnings: warnings}
	config, err := r.locate(documents)
	if err != nil {
		return ConfigFile{}, nil, err
	}
	file, err := r.read(config)
	if err != nil {
		return ConfigFile{}, nil, err
	}
	return file, r.warnings, nil
}

// configReader takes a config apart and notes what somebody should know of it.
type configReader struct {
	platform string
	warnings []string
}

func (r *configReader) warn(format string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf(format, args...))
}

// configKeys are the top-level keys by which an osquery config is known, besides
// those of filters.
var configKeys = []string{"options", "schedule", "packs", "kafka_topics", "logger"}

func isConfigKey(key string) bool { return filters[key] != nil || slices.Contains(configKeys, key) }

func isConfig(object map[string]any) bool {
	for key := range object {
		if isConfigKey(key) {
			return true
		}
	}
	return false
}

// read takes the parts of an osquery config.
func (r *configReader) read(config map[string]any) (ConfigFile, error) {
	if config["queries"] != nil {
		return ConfigFile{}, fault.New(fault.Unprocessable, "The file has queries where a config has a schedule: upload it as a pack")
	}
	f := newFields("config", config)
	options, queries, packs := f.object("options"), f.object("schedule"), f.object("packs")
	if len(queries) > maxQueries {
		f.fail("schedule has more than %d queries", maxQueries)
	}
	if f.err != nil {
		return ConfigFile{}, unprocessable(f.err)
	}
	d := document{options: r.options(options), filters: r.filters(config)}
	var err error
	if d.queries, err = r.queries(queries); err != nil {
		return ConfigFile{}, unprocessable(err)
	}
	if d, err = readDocument("config", []byte(d.text())); err != nil {
		return ConfigFile{}, unprocessable(err)
	}
	r.optionWarnings(d.options)
	file := ConfigFile{Queries: d.queries, Options: d.options, Filters: d.filters}
	file.Packs, err = r.packs(packs)
	return file, err
}

func (r *configReader) queries(schedule map[string]any) (map[string]Query, error) {
	queries := map[string]Query{}
	for _, name := range slices.Sorted(maps.Keys(schedule)) {
		value := schedule[name]
		if entry, isObject := value.(map[string]any); isObject && entry["status"] != nil {
			entry = maps.Clone(entry)
			delete(entry, "status") // ours has the word, and another meaning for it
			value = entry
			r.warn("query %q: status is left out: agents run all of a schedule", name)
		}
		query, warnings, err := readQuery(name, value, false)
		if err != nil {
			return nil, fmt.Errorf("schedule, %w", err)
		}
		queries[name] = query
		r.warnings = append(r.warnings, warnings...)
	}
	return queries, nil
}

// options leaves out what can be none here.
func (r *configReader) options(options map[string]any) map[string]any {
	kept := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		text, isText := options[name].(string)
		switch {
		case options[name] == nil:
			r.warn("the option %s has no value: it is left out", name)
		case isText && text != "" && holdsSecret(name):
			r.warn("the option %s looks like a secret: it is left out", name)
		default:
			kept[name] = options[name]
		}
	}
	return kept
}

// optionWarnings names options that have no effect, and those that take the place of
// what this server would tell its agents.
func (r *configReader) optionWarnings(options map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(options)) {
		own, builtin := builtinOptions[name]
		switch value := options[name]; {
		case isWithheld(name):
			r.warn("the option %s is kept, but agents do not get it: it belongs in their flagfile", name)
		case value == "":
			r.warn("the option %s is kept, but agents do not get it: it is empty", name)
		case builtin && fmt.Sprint(value) != fmt.Sprint(own):
			r.warn("the option %s is %v now: without it agents get %v from this server", name, value, own)
		}
	}
}

// filters are all keys that no other part takes.
func (r *configReader) filters(config map[string]any) map[string]any {
	kept := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(config)) {
		switch value := config[key]; {
		case value == nil:
			r.warn("%s has no value: it is left out", key)
		case slices.Contains(configKeys[:3], key):
		case slices.Contains(ownKeys, key):
			r.warn("%s is for servers to say to agents, and no part of a config: it is left out", key)
		default:
			kept[key] = value
			if !isConfigKey(key) {
				r.warn("%s is no key that osquery knows: it is kept, and sent to agents as it is", key)
			}
		}
	}
	return kept
}

// packs reads the packs that stand in the config itself.
func (r *configReader) packs(packs map[string]any) ([]Pack, error) {
	members := map[string]any{}
	several, isSeveral := packs["*"].(map[string]any)
	maps.Copy(members, several) // osquery takes the members of this one for packs
	for _, name := range slices.Sorted(maps.Keys(packs)) {
		switch path, isPath := packs[name].(string); {
		case isPath:
			r.warn("pack %q is the file %q on the agent's disk: upload that as well", name, path)
		case packs[name] == nil:
			r.warn("pack %q has no value: it is left out", name)
		case name == "*" && isSeveral:
		case members[name] != nil:
			return nil, fault.New(fault.Unprocessable, "The file has two packs of the name %q", name)
		default:
			members[name] = packs[name]
		}
	}
	read, warnings, err := readPacks(members)
	r.warnings = append(r.warnings, warnings...)
	return read, err
}
