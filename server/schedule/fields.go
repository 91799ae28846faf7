package schedule

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// fields reads the members of a JSON object that people wrote: it keeps the first
// mistake, and remembers which members nobody asked for.
type fields struct {
	where   string
	members map[string]any
	asked   map[string]bool
	err     error
}

func newFields(where string, value any) *fields {
	f := &fields{where: where, asked: map[string]bool{}}
	members, ok := value.(map[string]any)
	if !ok {
		f.fail("must be a JSON object")
	}
	f.members = members
	return f
}

// get returns a member; null counts as missing.
func (f *fields) get(name string) any {
	f.asked[name] = true
	return f.members[name]
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("%s: %s", f.where, fmt.Sprintf(format, args...))
	}
}

func (f *fields) text(name string) string {
	value := f.get(name)
	text, ok := value.(string)
	if value != nil && !ok {
		f.fail("%s must be a string", name)
	}
	if strings.ContainsRune(text, 0) {
		f.fail("%s holds a NUL character", name)
	}
	return strings.TrimSpace(text)
}

// flag reads what osquery takes for a bool: true, 1, "true", "t" (osquery-tls 2.4).
func (f *fields) flag(name string, missing bool) bool {
	switch value := f.get(name).(type) {
	case nil:
		return missing
	case bool:
		return value
	case json.Number:
		if value == "0" || value == "1" {
			return value == "1"
		}
	case string:
		switch strings.ToLower(value) {
		case "true", "t":
			return true
		case "false", "f":
			return false
		}
	}
	f.fail("%s must be true or false", name)
	return missing
}

// number reads an integer or a string of one.
func (f *fields) number(name string, missing, low, high int) int {
	var text string
	switch value := f.get(name).(type) {
	case nil:
		return missing
	case json.Number:
		text = value.String()
	case string:
		text = strings.TrimSpace(value)
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		f.fail("%s must be a whole number from %d to %d", name, low, high)
		return missing
	}
	return n
}

// texts reads a list of strings, leaving out empty ones.
func (f *fields) texts(name string) []string {
	value := f.get(name)
	if value == nil {
		return nil
	}
	list, ok := value.([]any)
	if !ok {
		f.fail("%s must be a list of strings", name)
	}
	var texts []string
	for _, item := range list {
		text, ok := item.(string)
		if !ok || strings.ContainsRune(text, 0) {
			f.fail("%s must be a list of strings", name)
		}
		if text = strings.TrimSpace(text); text != "" {
			texts = append(texts, text)
		}
	}
	return texts
}

// object returns a member that is an object, empty when it is missing.
func (f *fields) object(name string) map[string]any {
	value := f.get(name)
	if value == nil {
		return map[string]any{}
	}
	object, ok := value.(map[string]any)
	if !ok {
		f.fail("%s must be a JSON object", name)
	}
	return object
}

// rest returns the members that nobody asked for, nil when there are none.
func (f *fields) rest() map[string]any {
	var rest map[string]any
	for name, value := range f.members {
		if f.asked[name] {
			continue
		}
		if rest == nil {
			rest = map[string]any{}
		}
		if hasNUL(name) || hasNUL(value) {
			f.fail("%s holds a NUL character", strings.ReplaceAll(name, "\x00", ""))
		}
		rest[name] = value
	}
	return rest
}

// hasNUL looks for what PostgreSQL's JSON cannot hold.
func hasNUL(value any) bool {
	switch value := value.(type) {
	case string:
		return strings.ContainsRune(value, 0)
	case []any:
		return slices.ContainsFunc(value, hasNUL)
	case map[string]any:
		for name, element := range value {
			if hasNUL(name) || hasNUL(element) {
				return true
			}
		}
	}
	return false
}

// unknown warns of each member that nobody asked for.
func (f *fields) unknown() []string {
	var warnings []string
	for _, name := range slices.Sorted(maps.Keys(f.members)) {
		if !f.asked[name] {
			warnings = append(warnings, fmt.Sprintf("%s: %s is kept, but agents do not get it", f.where, name))
		}
	}
	return warnings
}
