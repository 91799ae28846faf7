package yara

import "strings"

// outline is what of a file matters to the files beside it. It is read without
// compiling, from text that compiled once.
type outline struct {
	rules   []string // names, in their order
	imports []string // modules
	// global reports a rule that decides over all others it is compiled with.
	global bool
	// openComment is the line of a comment without an end, or 0.
	openComment int
}

// outlineOf reads text by the rules of YARA's own scanner. A slash always starts a
// comment or a pattern, since YARA divides with a backslash.
func outlineOf(text string) outline {
	var o outline
	last := ""
	for at := 0; at < len(text); {
		rest := text[at:]
		switch c := rest[0]; {
		case strings.HasPrefix(rest, "//"):
			at += upTo(rest, "\n")
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				o.openComment = 1 + strings.Count(text[:at], "\n")
				return o
			}
			at += end + 4
		case c == '"' || c == '/':
			n := quoted(rest)
			if last == "import" && n > 2 {
				o.imports = append(o.imports, rest[1:n-1])
			}
			at, last = at+n, ""
		case c == '$' || c == '#' || c == '@' || c == '!':
			at += 1 + word(rest[1:]) // a string may be called $rule
			last = ""
		case word(rest) > 0:
			n := word(rest)
			o.take(last, rest[:n])
			at, last = at+n, rest[:n]
		default:
			at++
		}
	}
	return o
}

// take notes a word that follows last.
func (o *outline) take(last, word string) {
	switch {
	case last == "rule":
		o.rules = append(o.rules, word)
	case word == "global":
		o.global = true
	}
}

// word is the length of the identifier, keyword or number at the start.
func word(text string) int {
	n := 0
	for n < len(text) && (text[n] == '_' || text[n]-'0' < 10 || text[n]|0x20-'a' < 26) {
		n++
	}
	return n
}

// quoted is the length of the string or pattern at the start, delimiters included.
// Neither goes over the end of a line.
func quoted(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case text[0]:
			return i + 1
		case '\\':
			i++
		case '\n':
			return i
		}
	}
	return len(text)
}

func upTo(text, end string) int {
	if n := strings.Index(text, end); n >= 0 {
		return n
	}
	return len(text)
}
