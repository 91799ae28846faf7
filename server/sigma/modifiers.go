package sigma

import "slices"

// The places of a value that a modifier names.
const (
	contains   = "contains"
	startswith = "startswith"
	endswith   = "endswith"
)

// modifiers are what stands behind a field.
type modifiers struct {
	place     string   // contains, startswith, endswith or ""
	kind      string   // re, cidr, lt, lte, gt, gte, exists, fieldref or "": text
	encodings []string // windash, base64 and the like, in order
	flags     string   // of re: i, m, s
	all       bool
	cased     bool
	negated   bool // neq
	expand    bool
}

// timeParts take a time apart.
var timeParts = []string{"minute", "hour", "day", "week", "month", "year"}

// readModifiers reads the words behind a field.
func readModifiers(words []string, line int) (modifiers, error) {
	var m modifiers
	for i, word := range words {
		if slices.Contains(words[:i], word) {
			return m, wrong(line, "the modifier %s stands twice", clip(word))
		}
		if slices.Contains(timeParts, word) {
			return m, unusable(line, "the modifier %s is not supported yet", word)
		}
		if err := m.add(word, line); err != nil {
			return m, err
		}
	}
	return m, m.check(line)
}

func (m *modifiers) add(word string, line int) error {
	switch word {
	case contains, startswith, endswith:
		if m.place != "" {
			return wrong(line, "the modifiers %s and %s exclude each other", m.place, word)
		}
		m.place = word
	case "re", "cidr", "lt", "lte", "gt", "gte", "exists", "fieldref":
		if m.kind != "" {
			return wrong(line, "the modifiers %s and %s exclude each other", m.kind, word)
		}
		m.kind = word
	case "windash", "base64", "base64offset", "wide", "utf16le", "utf16be", "utf16":
		if m.place != "" && word != "windash" {
			return wrong(line, "the modifier %s must stand before %s", word, m.place)
		}
		m.encodings = append(m.encodings, word)
	case "i", "m", "s":
		if m.kind != "re" {
			return wrong(line, "the modifier %s must stand behind re", word)
		}
		m.flags += word
	case "all":
		m.all = true
	case "cased":
		m.cased = true
	case "neq":
		m.negated = true
	case "expand":
		m.expand = true
	default:
		return wrong(line, "there is no modifier %q", clip(word))
	}
	return nil
}

// check refuses modifiers that make no sense together.
func (m *modifiers) check(line int) error {
	clash := ""
	switch {
	case m.all && m.negated:
		clash = "all and neq"
	case m.kind == "":
	case len(m.encodings) > 0:
		clash = m.encodings[0] + " and " + m.kind
	case m.place != "" && m.kind != "fieldref":
		clash = m.place + " and " + m.kind
	case m.cased && m.kind != "fieldref":
		clash = "cased and " + m.kind
	case m.expand && m.kind != "cidr":
		clash = "expand and " + m.kind
	case m.all && m.kind != "re" && m.kind != "fieldref":
		clash = "all and " + m.kind
	case m.negated && m.kind != "re" && m.kind != "fieldref" && m.kind != "cidr":
		clash = "neq and " + m.kind
	}
	if clash != "" {
		return wrong(line, "the modifiers %s do not go together", clash)
	}
	return nil
}

// forKeywords refuses what needs a field.
func (m *modifiers) forKeywords(line int) error {
	for _, word := range []string{m.place, m.kind} {
		if word != "" && word != contains && word != "re" {
			return wrong(line, "the modifier %s needs a field before it", word)
		}
	}
	return nil
}
