package sigma

import (
	"regexp"
	"strings"
)

// pattern is a text with wildcards in it: pieces in order.
type pattern []piece

// piece is literal text, or one of the others.
type piece struct {
	text string
	kind pieceKind
}

type pieceKind uint8

const (
	literal     pieceKind = iota
	anything              // *
	single                // ?
	placeholder           // %text%
)

var placeholderName = regexp.MustCompile(`^%([A-Za-z0-9_.-]+)%`)

// parsePattern reads a value of a rule. A backslash makes the character behind it
// plain if that is a wildcard or a backslash, or a percent sign where placeholders
// are asked for; any other backslash stands for itself.
func parsePattern(s string, placeholders bool) pattern {
	var p pattern
	var run strings.Builder
	add := func(kind pieceKind, text string) {
		if run.Len() > 0 {
			p = append(p, piece{text: run.String()})
			run.Reset()
		}
		p = append(p, piece{text: text, kind: kind})
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && (strings.IndexByte(`*?\`, s[i+1]) >= 0 || placeholders && s[i+1] == '%'):
			i++
			run.WriteByte(s[i])
		case c == '*':
			add(anything, "")
		case c == '?':
			add(single, "")
		case c == '%' && placeholders && placeholderName.MatchString(s[i:]):
			name := placeholderName.FindStringSubmatch(s[i:])[1]
			add(placeholder, name)
			i += len(name) + 1
		default:
			run.WriteByte(c)
		}
	}
	if run.Len() > 0 {
		p = append(p, piece{text: run.String()})
	}
	return p
}

// plain returns the text of a pattern that is nothing but text.
func (p pattern) plain() (string, bool) {
	var text strings.Builder
	for _, part := range p {
		if part.kind != literal {
			return "", false
		}
		text.WriteString(part.text)
	}
	return text.String(), true
}

// at puts the pattern at a place of the value: contains, startswith or endswith.
func (p pattern) at(place string) pattern {
	var out pattern
	if place == contains || place == endswith {
		out = append(out, piece{kind: anything})
	}
	out = append(out, p...)
	if place == contains || place == startswith {
		out = append(out, piece{kind: anything})
	}
	return out
}

// operator returns the operator of conditions, and its value, that is true of what
// the pattern matches. Operators of plain text are preferred: they are found fast.
func (p pattern) operator() (operator, text string) {
	begin, end := 0, len(p)
	for begin < end && p[begin].kind == anything {
		begin++
	}
	for end > begin && p[end-1].kind == anything {
		end--
	}
	text, plain := p[begin:end].plain()
	switch {
	case !plain:
		return "matches_wildcard", p.wildcard()
	case len(p) > 0 && begin == end:
		return "is_not_null", "" // nothing but stars
	case begin == 0 && end == len(p):
		return "equal", text
	case begin == 0:
		return "begins_with", text
	case end == len(p):
		return "ends_with", text
	}
	return "contains", text
}

// plainly makes the wildcards of matches_wildcard stand for themselves.
var plainly = strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]")

// wildcard is the pattern in the writing of matches_wildcard.
func (p pattern) wildcard() string {
	var text strings.Builder
	for _, part := range p {
		switch part.kind {
		case anything:
			text.WriteByte('*')
		case single:
			text.WriteByte('?')
		default:
			text.WriteString(plainly.Replace(part.text))
		}
	}
	return text.String()
}
