package agenttest

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/valyala/fastjson"
)

// decorators are the queries whose first rows every log line carries.
type decorators struct {
	load, always []string
	interval     map[int][]string // seconds, multiples of 60
}

// decorations are their values, by where they came from.
type decorations map[string]map[string]string

func readDecorators(value *fastjson.Value) decorators {
	lists := readLists(value)
	d := decorators{load: lists["load"], always: lists["always"], interval: map[int][]string{}}
	if value == nil {
		return d
	}
	for name, queries := range readLists(value.Get("interval")) {
		if seconds, err := strconv.Atoi(name); err == nil && seconds > 0 && seconds%60 == 0 {
			d.interval[seconds] = queries
		}
	}
	return d
}

// loadDecorators runs what is due when a config arrives.
func (a *Agent) loadDecorators(d *document) {
	a.decorate("load", d.decorators.load)
	for seconds, queries := range d.decorators.interval {
		a.decorate("interval "+strconv.Itoa(seconds), queries)
	}
}

// redecorate runs what is due before a scheduled query.
func (a *Agent) redecorate(d *document, now time.Time) {
	a.decorate("always", d.decorators.always)
	for seconds, queries := range d.decorators.interval {
		if now.Unix()%int64(seconds) == 0 {
			a.decorate("interval "+strconv.Itoa(seconds), queries)
		}
	}
}

func (a *Agent) decorate(source string, queries []string) {
	if len(queries) == 0 || a.flags.bool("disable_decorators") {
		return
	}
	values := map[string]string{}
	for _, sql := range queries {
		found, err := a.query(context.Background(), look{sql: sql})
		if err != nil || len(found.rows) == 0 {
			continue
		}
		for i, column := range found.columns {
			values[column] = found.rows[0][i]
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mem.decorations[source] = values
}

// decoration is what lines carry now, in the order of the names.
func (a *Agent) decoration() []field {
	if a.flags.bool("disable_decorators") {
		return nil
	}
	all := map[string]string{}
	a.mu.Lock()
	for _, source := range slices.Sorted(maps.Keys(a.mem.decorations)) {
		maps.Copy(all, a.mem.decorations[source])
	}
	a.mu.Unlock()
	var fields []field
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fields = append(fields, field{name, all[name]})
	}
	return fields
}

// field is a name and its text.
type field struct{ name, value string }
