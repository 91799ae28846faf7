package osquery

import "strings"

// tokenKind sorts tokens as far as finding statements and names needs it.
type tokenKind int

const (
	wordToken    tokenKind = iota // identifier or keyword, quoted or not
	textToken                     // 'string'
	otherToken                    // number, operator, parameter
	endToken                      // the ; that ends a statement
	illegalToken                  // what SQLite cannot read: an unclosed quote, a stray character
)

// token is a stretch of SQL; comments and space are none.
type token struct {
	kind       tokenKind
	start, end int // bytes
	text       string
}

// name is the identifier that a word stands for, in lower case.
func (t token) name() string {
	text := t.text
	if len(text) >= 2 && strings.IndexByte("\"`[", text[0]) >= 0 {
		quote := text[len(text)-1:]
		text = text[1 : len(text)-1]
		if quote != "]" {
			text = strings.ReplaceAll(text, quote+quote, quote)
		}
	}
	return strings.ToLower(text)
}

// lex splits SQL as SQLite does. It never fails: what SQLite would refuse is an
// illegalToken.
func lex(sql string) []token {
	var tokens []token
	for at := 0; at < len(sql); {
		kind, length, space := next(sql[at:])
		if !space {
			tokens = append(tokens, token{kind: kind, start: at, end: at + length, text: sql[at : at+length]})
		}
		at += length
	}
	return tokens
}

// next measures the token at the start of a text that is not empty.
func next(sql string) (kind tokenKind, length int, space bool) {
	switch c := sql[0]; {
	case strings.IndexByte(" \t\n\f\r", c) >= 0:
		return 0, 1, true
	case strings.HasPrefix(sql, "\ufeff"): // SQLite reads a byte order mark as space
		return 0, 3, true
	case strings.HasPrefix(sql, "--"):
		return 0, until(sql, 2, "\n"), true
	case strings.HasPrefix(sql, "/*") && len(sql) > 2:
		return 0, until(sql, 2, "*/"), true
	case c == ';':
		return endToken, 1, false
	case c == '\'':
		return quoted(sql, textToken)
	case c == '"' || c == '`':
		return quoted(sql, wordToken)
	case c == '[':
		if end := strings.IndexByte(sql, ']'); end > 0 {
			return wordToken, end + 1, false
		}
		return illegalToken, len(sql), false
	case c >= '0' && c <= '9', strings.IndexByte("?#@$:", c) >= 0:
		return otherToken, 1 + wordLength(sql[1:]), false
	case isWord(c):
		return wordToken, wordLength(sql), false
	case strings.IndexByte("+-*/%=<>!|&~(),.", c) >= 0:
		return otherToken, 1, false
	}
	return illegalToken, 1, false
}

// until is the length up to and with the mark that ends a comment, or all.
func until(sql string, from int, mark string) int {
	if end := strings.Index(sql[from:], mark); end >= 0 {
		return from + end + len(mark)
	}
	return len(sql)
}

// quoted measures a text that ends at its first character, doubled to stand for itself.
func quoted(sql string, kind tokenKind) (tokenKind, int, bool) {
	for i := 1; i < len(sql); i++ {
		if sql[i] != sql[0] {
			continue
		}
		if i+1 == len(sql) || sql[i+1] != sql[0] {
			return kind, i + 1, false
		}
		i++
	}
	return illegalToken, len(sql), false
}

func wordLength(sql string) int {
	n := 0
	for n < len(sql) && isWord(sql[n]) {
		n++
	}
	return n
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
