package condition

import (
	"io"
	"regexp"
	"regexp/syntax"
	"strings"

	"muster/server/fault"
)

// regex is true of a value that the expression matches somewhere.
type regex struct {
	expression *regexp.Regexp
	prefix     string // every match starts with it
	size       int    // instructions: the time it takes grows with them
}

func newRegex(values []value, path string) (predicate, error) {
	text := values[0].text
	if len(text) > maxPattern {
		return nil, fault.New(fault.Unprocessable, "%s is a regular expression longer than %d bytes", path, maxPattern)
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, fault.New(fault.Unprocessable, "%s is no regular expression: %s", path, clip(err.Error()))
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil || len(program.Inst) > maxProgram {
		return nil, fault.New(fault.Unprocessable, "%s is too large a regular expression", path)
	}
	compiled, err := regexp.Compile(text)
	if err != nil {
		return nil, fault.New(fault.Unprocessable, "%s is no regular expression: %s", path, clip(err.Error()))
	}
	p := &regex{expression: compiled, size: len(program.Inst)}
	if prefix, _ := compiled.LiteralPrefix(); storable(prefix) {
		p.prefix = prefix
	}
	return p, nil
}

func (p *regex) match(value string, present bool) bool {
	return present && p.expression.MatchString(value)
}

// longWork is how many instructions times bytes take about a tenth of a second.
const longWork = 1 << 22

func (p *regex) takesLong(value string) bool { return p.size*len(value) > longWork }

// matchUntil is match for as long as it is wanted.
func (p *regex) matchUntil(value string, ended func() bool) bool {
	return p.expression.MatchReader(&endingReader{text: strings.NewReader(value), ended: ended})
}

// endingReader reads a text, up to the moment when nobody wants it any more.
type endingReader struct {
	text  *strings.Reader
	read  int
	ended func() bool
}

func (r *endingReader) ReadRune() (rune, int, error) {
	if r.read++; r.read%256 == 0 && r.ended() {
		return 0, 0, io.EOF
	}
	return r.text.ReadRune()
}

func (p *regex) held() string { return fold(p.prefix) }

// where finds the values that hold the text with which every match starts: the
// engines' own expressions are of other kinds, or absent.
func (p *regex) where(v operand) (fragment, bool) {
	if p.prefix == "" {
		return sql("{} IS NOT NULL", v.text()), false
	}
	return v.contains(v.text(), p.prefix), false
}
