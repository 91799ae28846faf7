package intel

import (
	"fmt"
	"strings"
)

// stixParser goes through a pattern token by token.
type stixParser struct {
	rest     string
	token    string // "" at the end
	text     bool   // the token is a text in quotes, without them
	leaves   []stixLeaf
	problems []string // of parts that others do without
	problem  string   // of the whole
}

func (p *stixParser) fail(sentence string, args ...any) {
	if p.problem == "" {
		p.problem = fmt.Sprintf(sentence, args...)
	}
	p.rest, p.token, p.text = "", "", false
}

// next takes the next token.
func (p *stixParser) next() {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	p.token, p.text = "", false
	if p.rest == "" {
		return
	}
	if p.rest[0] == '\'' {
		p.quotedText()
		return
	}
	length := 1
	if !strings.ContainsRune("[](),=", rune(p.rest[0])) {
		for length < len(p.rest) && !strings.ContainsRune("[](),= \t\r\n", rune(p.rest[length])) {
			if p.rest[length] == '\'' { // a part of a path in quotes
				if end := strings.IndexByte(p.rest[length+1:], '\''); end >= 0 {
					length += end + 1
				}
			}
			length++
		}
	}
	p.token, p.rest = p.rest[:length], p.rest[length:]
}

func (p *stixParser) quotedText() {
	var text strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '\\' && i+1 < len(p.rest):
			i++
			text.WriteByte(p.rest[i])
		case c == '\'':
			p.token, p.text, p.rest = text.String(), true, p.rest[i+1:]
			return
		default:
			text.WriteByte(c)
		}
	}
	p.fail("its pattern has a text without an end")
}

// is says whether the token is a word or a mark.
func (p *stixParser) is(word string) bool { return !p.text && strings.EqualFold(p.token, word) }
