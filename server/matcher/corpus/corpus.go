// Package corpus makes up rules and events to measure the matcher with. The rules
// have the shape of SigmaHQ's rules of process creation, as far as it is known in
// numbers: of 3,754 rules 4,605 fields contain, 3,430 end with, 567 start with
// something, 1,181 want all of a list, 202 match a regular expression, 110 take
// either dash before an option, 39 name a network. Nothing is taken from them.
package corpus

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Rules returns n conditions as condition.Parse takes them: the first n of one
// endless list, the same at every call.
func Rules(n int) []map[string]any {
	m := maker{newRandom(4)}
	rules := make([]map[string]any, n)
	for i := range rules {
		rules[i] = m.rule(i)
	}
	return rules
}

func newRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 2026)) }

type maker struct{ *rand.Rand }

// rule is a selection or two, and often an exception.
func (m maker) rule(i int) map[string]any {
	selection := []any{m.image(i), m.commandLine(i)}
	if m.IntN(3) == 0 {
		selection = append(selection, m.commandLine(i))
	}
	if m.IntN(5) == 0 {
		selection = append(selection, leaf("ParentImage", "ends_with", m.names(1+m.IntN(4))))
	}
	if m.IntN(18) == 0 {
		selection = append(selection, leaf("CommandLine", "matches_regex", m.expression()))
	}
	if m.IntN(96) == 0 {
		selection = append(selection, leaf("DestinationIp", "in_network", []any{"10.0.0.0/8", "192.168.0.0/16", "172.16.0.0/12"}))
	}
	if m.IntN(12) == 0 {
		selection = append(selection, leaf("User", "contains", []any{"AUTHORI", "AUTORI"}))
	}
	rule := group("AND", selection...)
	if m.IntN(3) == 0 {
		rule["rules"] = append(rule["rules"].([]any), m.exception())
	}
	return rule
}

// image says which programs a rule is about: by the path or the name inside the file.
func (m maker) image(i int) map[string]any {
	if m.IntN(5) == 0 {
		return leaf("CommandLine", "contains", m.literal(i))
	}
	names := m.names(1 + m.IntN(m.IntN(6)+1))
	path := leaf("Image", "ends_with", names)
	if m.IntN(3) > 0 {
		return path
	}
	original := make([]any, len(names))
	for i, name := range names {
		original[i] = strings.ToUpper(strings.TrimPrefix(name.(string), `\`))
	}
	return group("OR", path, leaf("OriginalFileName", "in", original))
}

// commandLine is what the rule wants of the arguments: any of a list, all of one,
// or an option after either dash.
func (m maker) commandLine(i int) map[string]any {
	parts := make([]any, 1+m.IntN(1+m.IntN(16)))
	switch m.IntN(8) {
	case 0, 1:
		parts = parts[:min(len(parts), 4)]
		for k := range parts {
			parts[k] = leaf("CommandLine", "contains", m.literal(i))
		}
		return group("AND", parts...)
	case 2:
		option := options[m.IntN(len(options))]
		return leaf("CommandLine", "contains", []any{" -" + option, " /" + option, " \u2013" + option, " \u2014" + option, " \u2015" + option})
	case 3:
		return group("AND", leaf("CommandLine", "contains", m.literal(i)), leaf("CurrentDirectory", "begins_with", folders[m.IntN(len(folders))]))
	}
	for k := range parts {
		parts[k] = m.literal(i)
	}
	return leaf("CommandLine", "contains", parts)
}

func (m maker) exception() map[string]any {
	not := group("OR", leaf("ParentImage", "begins_with", folders[m.IntN(len(folders))]), leaf("CommandLine", "contains", m.literal(m.IntN(1000))))
	not["not"] = true
	return not
}

// literal is a piece of a command line: one that many rules know, or one of this
// rule's own.
func (m maker) literal(i int) string {
	if m.IntN(4) == 0 {
		return arguments[m.IntN(len(arguments))]
	}
	word := syllables[m.IntN(len(syllables))] + syllables[m.IntN(len(syllables))] + syllables[m.IntN(len(syllables))]
	switch m.IntN(4) {
	case 0:
		return " -" + word
	case 1:
		return fmt.Sprintf("%s%s%d.", word, syllables[i%len(syllables)], i%97)
	case 2:
		return `\` + word + `\` + syllables[i%len(syllables)]
	}
	return word + syllables[m.IntN(len(syllables))] + " "
}

func (m maker) expression() string {
	return `(?i)` + syllables[m.IntN(len(syllables))][:3] + `\w*\s+[-/](e|enc|` + options[m.IntN(len(options))] + `)\s+[a-z0-9+/=]{` + fmt.Sprint(20+m.IntN(20)) + `,}`
}

// names are n programs; few of them stand in many rules.
func (m maker) names(n int) []any {
	list := make([]any, n)
	for i := range list {
		name := syllables[m.IntN(len(syllables))] + syllables[m.IntN(len(syllables))] + ".exe"
		if m.IntN(3) > 0 {
			name = programs[min(m.IntN(len(programs)), m.IntN(len(programs)))]
		}
		list[i] = `\` + name
	}
	return list
}

func leaf(field, operator string, value any) map[string]any {
	return map[string]any{"field": columns[field], "operator": operator, "value": value}
}

func group(condition string, rules ...any) map[string]any {
	return map[string]any{"condition": condition, "rules": rules}
}

// columns are the fields of Sigma as columns of process_etw_events and its joins.
var columns = map[string]string{
	"Image": "path", "CommandLine": "cmdline", "ParentImage": "parent_path", "OriginalFileName": "original_filename",
	"CurrentDirectory": "cwd", "User": "username", "DestinationIp": "remote_address",
}
