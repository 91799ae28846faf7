package schedule

import (
	"hash/crc32"
	"maps"
	"time"
)

// Query is a query that runs by the clock.
type Query struct {
	// ID is that of the stored query; of a config's, a number made of its name,
	// the same in every replica. It is 0 for one that is not stored.
	ID  int64
	SQL string
	// Interval is in seconds, 1 to MaxInterval.
	Interval int
	// Platform restricts as osquery does (substrings); "" is everywhere.
	Platform string
	// Version is the oldest osquery that runs it; "" is any.
	Version string
	// Description and Value are for people; agents do not get them.
	Description, Value string
	// Snapshot reports every row at each run instead of what changed.
	Snapshot bool
	// Removed reports rows that are gone; osquery's default is true.
	Removed bool
	// Denylist lets osquery drop the query after it died running it; its default is true.
	Denylist bool
	// Shard is the percentage of hosts that run it; 0 is all.
	Shard int
	// StartupPriority runs it right at the start, lower first; nil is not.
	StartupPriority *int
	// Status is false for a query of a config that is switched off.
	Status bool
	// Tags of its own select it for hosts, beside those of its packs; sorted.
	Tags []string
	// Packs are the names of the packs that it is in, sorted; empty for a config's.
	Packs []string
	// Other holds the members of its document that neither osquery nor Muster
	// knows: kept and shown, not sent. Decoded JSON with json.Number; nil for none.
	Other map[string]any
}

// Pack is a named set of queries that hosts run which carry one of its tags.
type Pack struct {
	ID      int64
	Name    string
	Builtin bool
	// Platform, Version and Shard restrict the whole pack, as those of a Query.
	Platform, Version string
	Shard             int
	// Description and Category are for people; agents do not get them.
	Description, Category string
	// Discovery holds queries that must all have rows for the pack to run.
	Discovery []string
	// FilePaths are watched while the pack runs: category to patterns.
	FilePaths        map[string][]string
	Queries          map[string]Query
	Tags             []string // sorted
	Created, Updated time.Time
	// Other is as that of a Query, and holds what osquery reads in a pack as it does
	// at the top level, such as decorators: that is sent.
	Other map[string]any
}

// object is the query as osquery reads it; with what is for people when stored.
func (q Query) object(stored bool) map[string]any {
	o := map[string]any{"query": q.SQL, "interval": q.Interval}
	setText(o, "platform", q.Platform)
	setText(o, "version", q.Version)
	if q.Snapshot {
		o["snapshot"] = true
	}
	if !q.Removed {
		o["removed"] = false
	}
	if !q.Denylist {
		o["denylist"] = false
	}
	if q.Shard > 0 {
		o["shard"] = q.Shard
	}
	if q.StartupPriority != nil {
		o["startup_priority"] = *q.StartupPriority
	}
	if stored {
		setText(o, "description", q.Description)
		setText(o, "value", q.Value)
		maps.Copy(o, q.Other)
	}
	return o
}

// document is what is stored: readQuery reads it back.
func (q Query) document() string { return string(appendJSON(nil, q.object(true))) }

// object is the pack as osquery reads it; with what is for people when stored.
func (p Pack) object(stored bool) map[string]any {
	queries := map[string]any{}
	for name, query := range p.Queries {
		queries[name] = query.object(stored)
	}
	o := p.frame(stored)
	o["queries"] = queries
	return o
}

// frame is the pack without its queries.
func (p Pack) frame(stored bool) map[string]any {
	o := map[string]any{}
	setText(o, "platform", p.Platform)
	setText(o, "version", p.Version)
	if p.Shard > 0 {
		o["shard"] = p.Shard
	}
	if len(p.Discovery) > 0 {
		o["discovery"] = p.Discovery
	}
	if len(p.FilePaths) > 0 {
		o["file_paths"] = p.FilePaths
	}
	if stored {
		setText(o, "description", p.Description)
		setText(o, "category", p.Category)
	}
	for key, value := range p.Other {
		if stored || sentInPack(key) {
			o[key] = value
		}
	}
	return o
}

// document is the whole pack: ParsePack reads it back.
func (p Pack) document() string { return string(appendJSON(nil, p.object(true))) }

// frameDocument is what is stored of the pack itself; its queries have rows of their own.
func (p Pack) frameDocument() string { return string(appendJSON(nil, p.frame(true))) }

// runsOn reports whether osquery of that family would do anything for the pack.
func (p Pack) runsOn(family string) bool {
	if !runsOn(p.Platform, family) {
		return false
	}
	if len(p.FilePaths) > 0 && len(p.Queries) > 0 {
		return true
	}
	for _, query := range p.Queries {
		if runsOn(query.Platform, family) {
			return true
		}
	}
	return false
}

func setText(o map[string]any, key, text string) {
	if text != "" {
		o[key] = text
	}
}

// queryID numbers a config's query by where it stands and its name: the same after
// a restart and in every replica. The wire wants a number, nothing looks one up.
func queryID(where, name string) int64 {
	return int64(crc32.ChecksumIEEE([]byte(where+"\x00"+name)) & 0x7fffffff)
}
