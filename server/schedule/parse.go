package schedule

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"muster/server/fault"
)

// maxPackFile is the largest pack file that is looked at, in bytes.
const maxPackFile = 4 << 20

// ParsePack reads a pack in osquery's format, as its own reader of files does
// (osquery-tls 10): a backslash at the end of a line joins it with the next, lines
// that start with # or // are comments, the rest is strict JSON. Intervals, shards
// and bools may be strings; platforms stay as they are.
//
// What osquery or Muster would not use is left out and named in the warnings. What
// is wrong is Unprocessable, with the place. A pack that comes back renders into a
// config that agents take, if it fits in one.
func ParsePack(name string, data []byte) (Pack, []string, error) {
	if err := checkPackName(name); err != nil {
		return Pack{}, nil, unprocessable(err)
	}
	if len(data) > maxPackFile {
		return Pack{}, nil, fault.New(fault.Unprocessable, "The pack is larger than %d bytes", maxPackFile)
	}
	value, err := decode(stripComments(data), maxDepth)
	if err != nil {
		return Pack{}, nil, fault.New(fault.Unprocessable, "The pack is not JSON that osquery reads: %s", err)
	}
	p, warnings, err := readPack(name, value)
	if err != nil {
		return Pack{}, nil, unprocessable(err)
	}
	return p, warnings, nil
}

func unprocessable(err error) error {
	sentence := err.Error()
	return fault.New(fault.Unprocessable, "%s", strings.ToUpper(sentence[:1])+sentence[1:])
}

// stripComments is osquery's pass over a file before it parses JSON. Every line
// keeps its number, for messages.
func stripComments(data []byte) []byte {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	out := make([]byte, 0, len(data)+1)
	var line []byte
	joined := 0
	for len(data) > 0 {
		part, rest, newline := bytes.Cut(data, []byte("\n"))
		data = rest
		if newline && bytes.HasSuffix(part, []byte(`\`)) {
			line = append(line, part[:len(part)-1]...)
			joined++
			if len(rest) > 0 {
				continue
			}
			part = nil
		}
		line = bytes.TrimSpace(append(line, part...))
		if !bytes.HasPrefix(line, []byte("#")) && !bytes.HasPrefix(line, []byte("//")) {
			out = append(out, line...)
		}
		out = append(out, bytes.Repeat([]byte("\n"), joined+1)...)
		line, joined = line[:0], 0
	}
	return out
}

func readPack(name string, value any) (Pack, []string, error) {
	f := newFields(fmt.Sprintf("pack %q", name), value)
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
	queries := f.object("queries")
	if len(queries) == 0 {
		f.fail("it has no queries")
	}
	if f.err != nil {
		return Pack{}, nil, f.err
	}
	warnings := append(f.unknown(), platformWarning(f.where, p.Platform)...)
	for _, key := range slices.Sorted(maps.Keys(queries)) {
		query, more, err := readQuery(key, queries[key], false)
		if err != nil {
			return Pack{}, nil, fmt.Errorf("%s, %w", f.where, err)
		}
		query.ID = queryID("pack/"+name, key)
		p.Queries[key] = query
		for _, warning := range more {
			warnings = append(warnings, f.where+", "+warning)
		}
	}
	return p, warnings, nil
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
		Denylist:    f.flag("denylist", true),
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
