package schedule

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"muster/server/fault"
)

const (
	// maxPackFile is the largest pack file that is looked at, in bytes.
	maxPackFile = 4 << 20
	// maxQueries bounds the queries of a pack: each is compiled before it is stored.
	maxQueries = 2000
)

// ParsePack reads a pack in osquery's format, as its own reader of files does
// (osquery-tls 10): a backslash at the end of a line joins it with the next, lines
// that start with # or // are comments, the rest is strict JSON. Intervals, shards
// and bools may be strings; platforms stay as they are. Comments behind a value and
// commas before a closing bracket, which osquery refuses, are left out with a warning.
//
// Members that osquery does not know are kept in Other and named in the warnings.
// What is wrong is Unprocessable, with the place. A pack that comes back renders
// into a config that agents take, if it fits in one.
func ParsePack(name string, data []byte) (Pack, []string, error) {
	if err := checkPackName(name); err != nil {
		return Pack{}, nil, unprocessable(err)
	}
	if len(data) > maxPackFile {
		return Pack{}, nil, fault.New(fault.Unprocessable, "The pack is larger than %d bytes", maxPackFile)
	}
	value, warnings, err := decodeFile(data)
	if err != nil {
		return Pack{}, nil, fault.New(fault.Unprocessable, "The pack is not JSON that osquery reads: %s", err)
	}
	p, more, err := readPack(name, value)
	if err != nil {
		return Pack{}, nil, unprocessable(err)
	}
	return p, append(warnings, more...), nil
}

func unprocessable(err error) error {
	sentence := err.Error()
	return fault.New(fault.Unprocessable, "%s", strings.ToUpper(sentence[:1])+sentence[1:])
}

func readPack(name string, value any) (Pack, []string, error) {
	f := newFields(fmt.Sprintf("pack %q", name), value)
	p, warnings := readFrame(name, f)
	queries := f.object("queries")
	if len(queries) == 0 {
		f.fail("it has no queries")
	}
	if len(queries) > maxQueries {
		f.fail("it has more than %d queries", maxQueries)
	}
	if f.err != nil {
		return Pack{}, nil, f.err
	}
	for _, key := range slices.Sorted(maps.Keys(queries)) {
		query, more, err := readQuery(key, queries[key], false)
		if err != nil {
			return Pack{}, nil, fmt.Errorf("%s, %w", f.where, err)
		}
		p.Queries[key] = query
		for _, warning := range more {
			warnings = append(warnings, f.where+", "+warning)
		}
	}
	return p, warnings, nil
}

// readFrame reads a pack but for its queries; what is wrong stands in f.
func readFrame(name string, f *fields) (Pack, []string) {
	p := Pack{
		Name:        name,
		Platform:    readPlatform(f),
		Version:     readVersion(f),
		Shard:       f.number("shard", 0, 0, 100),
		Description: f.text("description"),
		Category:    f.text("category"),
		Discovery:   f.texts("discovery"),
		FilePaths:   readFilePaths(f),
		Queries:     map[string]Query{},
	}
	f.get("queries")
	p.Other = f.rest()
	for key := range p.Other {
		if sentInPack(key) && f.get(key) != nil {
			if err := checkFilter(key, p.Other[key]); err != nil {
				f.fail("%s", err)
			}
		}
	}
	return p, append(f.unknown(), platformWarning(f.where, p.Platform)...)
}

// sentInPack reports whether osquery's parsers read a key in a pack as they do at
// the top level (osquery-tls 2.4): decorators, yara, views and the like.
func sentInPack(key string) bool {
	_, parsed := filters[key]
	return parsed
}

// readQuery reads an entry of a pack or of a config; only those of a config have a status.
func readQuery(name string, value any, status bool) (Query, []string, error) {
	f := newFields(fmt.Sprintf("query %q", name), value)
	if err := checkQueryName(name); err != nil {
		f.fail("%s", err)
	}
	q := Query{
		SQL:         f.text("query"),
		Interval:    f.number("interval", defaultInterval, 1, MaxInterval),
		Platform:    readPlatform(f),
		Version:     readVersion(f),
		Description: f.text("description"),
		Value:       f.text("value"),
		Snapshot:    f.flag("snapshot", false),
		Removed:     f.flag("removed", true),
		Denylist:    f.flag("denylist", f.flag("blacklist", true)), // its name before osquery 4.4
		Shard:       f.number("shard", 0, 0, 100),
		Status:      true,
	}
	if status {
		q.Status = f.flag("status", true)
	}
	if f.get("startup_priority") != nil {
		priority := f.number("startup_priority", 0, 0, 1<<30)
		q.StartupPriority = &priority
	}
	if q.SQL == "" {
		f.fail("query is missing")
	}
	q.Other = f.rest()
	return q, append(f.unknown(), platformWarning(f.where, q.Platform)...), f.err
}

// readPlatform keeps osquery's free text; its word null means everywhere.
func readPlatform(f *fields) string {
	platform := f.text("platform")
	if len(platform) > maxName {
		f.fail("platform is longer than %d bytes", maxName)
	}
	if platform == "null" {
		return ""
	}
	return platform
}

func readVersion(f *fields) string {
	version := f.text("version")
	if version == "null" {
		return ""
	}
	if err := checkVersion(version); err != nil {
		f.fail("%s", err)
	}
	return version
}

func platformWarning(where, platform string) []string {
	for _, family := range families {
		if runsOn(platform, family) {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s: no osquery calls its platform %q, so it runs nowhere", where, platform)}
}

func readFilePaths(f *fields) map[string][]string {
	object := f.object("file_paths")
	if len(object) == 0 {
		return nil
	}
	paths := map[string][]string{}
	inner := newFields(f.where+", file_paths", object)
	for category := range object {
		if checkName(category) != nil {
			inner.fail("a category has no proper name")
		}
		if patterns := inner.texts(category); len(patterns) > 0 {
			paths[category] = patterns
		}
	}
	if inner.err != nil && f.err == nil {
		f.err = inner.err
	}
	if len(paths) == 0 {
		return nil
	}
	return paths
}
