package sigma

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"

	"muster/server/condition"
	"muster/server/fault"
	"muster/server/osquery"
)

// MaxMapping bounds the text of a mapping, in bytes.
const MaxMapping = 1 << 20

// Mapping says which tables report what Sigma's log sources are about, and which of
// their columns stand for Sigma's fields. It is immutable.
type Mapping struct {
	targets      []*target
	placeholders map[string][]pattern
}

// Source is an entry of a mapping: the tables of a log source.
type Source struct {
	LogSource LogSource
	Tables    []string
	Platforms []string
	Fields    map[string]string // of Sigma -> the column, with a path behind a dot, or the template
}

//go:embed mapping.yaml
var defaultMapping []byte

var loadDefault = sync.OnceValue(func() *Mapping {
	m, err := ParseMapping(defaultMapping)
	if err != nil {
		panic(err) // a test parses it
	}
	return m
})

// DefaultMapping is the mapping that ships with the server: mapping.yaml, on the
// tables of osquery as the shipped packs and configs report them.
func DefaultMapping() *Mapping { return loadDefault() }

// ConditionOptions are those that the conditions of rules are parsed with.
func ConditionOptions() condition.Options {
	return condition.Options{Own: own, Bounds: condition.Rules}
}

// own are the names that in conditions stand for the entry and not for a column.
var own = []string{"query_name", "action", "timestamp", "host_identifier"}

// mappingFile is the YAML of a mapping. mapping.yaml says what each key is.
type mappingFile struct {
	Placeholders map[string][]string          `yaml:"placeholders"`
	FieldSets    map[string]map[string]column `yaml:"fieldsets"`
	Targets      []target                     `yaml:"targets"`
}

// target is a kind of event of some tables.
type target struct {
	For       []LogSource       `yaml:"for"`
	Tables    []string          `yaml:"tables"`
	Platforms []string          `yaml:"platforms"`
	Where     []map[string]any  `yaml:"where"`
	Use       []string          `yaml:"use"`
	Fields    map[string]column `yaml:"fields"`
	Rest      *column           `yaml:"rest"`
}

// ParseMapping reads a mapping as mapping.yaml describes it.
//
// Faults: Unprocessable, which says what is wrong and where.
func ParseMapping(text []byte) (*Mapping, error) {
	if len(text) > MaxMapping {
		return nil, fault.New(fault.Unprocessable, "The mapping is larger than %d KiB", MaxMapping>>10)
	}
	var file mappingFile
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, fault.New(fault.Unprocessable, "The mapping is wrong: %s", clip(strings.ReplaceAll(err.Error(), "\n", " ")))
	}
	m := &Mapping{placeholders: map[string][]pattern{}}
	for name, values := range file.Placeholders {
		for _, value := range values {
			m.placeholders[name] = append(m.placeholders[name], parsePattern(value, false))
		}
	}
	for i := range file.Targets {
		t := &file.Targets[i]
		if err := t.complete(file.FieldSets); err != nil {
			return nil, fault.New(fault.Unprocessable, "The mapping is wrong: targets[%d] (%s): %s", i, clip(strings.Join(t.Tables, ", ")), err)
		}
		m.targets = append(m.targets, t)
	}
	return m, nil
}

// complete puts the fields of sets into the target and checks it.
func (t *target) complete(sets map[string]map[string]column) error {
	if len(t.For) == 0 || len(t.Tables) == 0 {
		return errors.New("for and tables must not be empty")
	}
	for i, l := range t.For {
		if l == (LogSource{}) {
			return fmt.Errorf("for[%d] names no category, product or service", i)
		}
	}
	for _, platform := range t.Platforms {
		if platform != "linux" && platform != "darwin" && platform != "windows" {
			return fmt.Errorf("platform %s is none of linux, darwin, windows", clip(platform))
		}
	}
	fields := map[string]column{}
	for _, name := range t.Use {
		set, known := sets[name]
		if !known {
			return fmt.Errorf("there is no fieldset %s", clip(name))
		}
		for field, c := range set {
			fields[field] = c
		}
	}
	for field, c := range t.Fields {
		fields[field] = c
	}
	t.Fields = fields
	t.leaveOutGone()
	if len(t.Where) == 0 {
		return nil
	}
	if _, err := condition.Parse(t.where(nil), ConditionOptions()); err != nil {
		return fmt.Errorf("where: %s", fault.Public(err))
	}
	return nil
}

// leaveOutGone makes rows of osquery's polled tables that are gone no events of the target,
// unless where says of which actions they are.
func (t *target) leaveOutGone() {
	asked := slices.ContainsFunc(t.Where, func(rule map[string]any) bool { return rule["field"] == "action" })
	polled := slices.ContainsFunc(t.Tables, func(name string) bool {
		table, known := osquery.Find(name)
		return known && !table.Evented
	})
	if polled && !asked {
		t.Where = append(t.Where, map[string]any{"field": "action", "operator": "not_equal", "value": "removed"})
	}
}

// where is the conjunction of what makes a row one of the target's events, and more.
func (t *target) where(more map[string]any) map[string]any {
	var rules []any
	for _, rule := range t.Where {
		rules = append(rules, rule)
	}
	if parts, isGroup := more["rules"].([]any); isGroup && more["condition"] == "AND" && more["not"] == nil {
		rules = append(rules, parts...)
	} else if more != nil {
		rules = append(rules, more)
	}
	return map[string]any{"condition": "AND", "rules": rules}
}

// column returns what stands for a field of Sigma.
func (t *target) column(field string) (column, bool) {
	if c, known := t.Fields[field]; known {
		return c, true
	}
	if t.Rest == nil {
		return column{}, false
	}
	c := *t.Rest
	c.Column = strings.ReplaceAll(c.Column, "{field}", field)
	c.Path = strings.ReplaceAll(c.Path, "{field}", field)
	return c, true
}

// json reports whether the target has columns of JSON text, which keywords look at too.
func (t *target) json() bool {
	for _, c := range t.Fields {
		if c.Escaped || c.Path != "" {
			return true
		}
	}
	return t.Rest != nil && t.Rest.Path != ""
}

// platformOf are the products of Sigma that are platforms.
var platformOf = map[string]string{"linux": "linux", "macos": "darwin", "windows": "windows"}

// platforms are those of a rule's variant: of a product that is a platform, that one.
// ok is false when the target is none of its.
func (t *target) platforms(l LogSource) (platforms []string, ok bool) {
	platform, is := platformOf[l.Product]
	if !is {
		return t.Platforms, true
	}
	return []string{platform}, len(t.Platforms) == 0 || slices.Contains(t.Platforms, platform)
}

// holds reports whether a rule with that log source is about the target: the
// category and the service are the same, and the product is where both name one.
func (t *target) holds(l LogSource) bool {
	if _, ok := t.platforms(l); !ok {
		return false
	}
	for _, f := range t.For {
		if f.Category == l.Category && f.Service == l.Service && (f.Product == l.Product || f.Product == "" || l.Product == "") {
			return true
		}
	}
	return false
}

// Sources lists the mapping, in its order.
func (m *Mapping) Sources() []Source {
	var all []Source
	for _, t := range m.targets {
		fields := map[string]string{}
		for field, c := range t.Fields {
			fields[field] = c.String()
		}
		for _, l := range t.For {
			all = append(all, Source{LogSource: l, Tables: t.Tables, Platforms: t.Platforms, Fields: fields})
		}
	}
	return all
}
