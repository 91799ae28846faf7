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
	required   []string // every value that matches has one of them, folded
	size       int      // instructions: the time it takes grows with them
}

func newRegex(p *parser, values []value, path string) (predicate, error) {
	if err := p.patterns(values, path, "regular expression"); err != nil {
		return nil, err
	}
	return list(values, func(v value) (predicate, error) { return p.regex(v.text, path) })
}

// patterns checks how long the patterns of a leaf are.
func (p *parser) patterns(values []value, path, what string) error {
	sum := 0
	for _, v := range values {
		if len(v.text) > p.bounds.Pattern {
			return fault.New(fault.Unprocessable, "%s is a %s longer than %d bytes", path, what, p.bounds.Pattern)
		}
		sum += len(v.text)
	}
	if sum > p.bounds.Patterns {
		return fault.New(fault.Unprocessable, "%s has more than %d bytes of patterns", path, p.bounds.Patterns)
	}
	return nil
}

func (p *parser) regex(text, path string) (predicate, error) {
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, fault.New(fault.Unprocessable, "%s is no regular expression: %s", path, clip(err.Error()))
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, fault.New(fault.Unprocessable, "%s is too large a regular expression", path)
	}
	if p.program += len(program.Inst); p.program > p.bounds.Program {
		return nil, fault.New(fault.Unprocessable, "%s is too large a regular expression", path)
	}
	compiled, err := regexp.Compile(text)
	if err != nil {
		return nil, fault.New(fault.Unprocessable, "%s is no regular expression: %s", path, clip(err.Error()))
	}
	return &regex{expression: compiled, size: len(program.Inst), required: required(parsed)}, nil
}

func (p *regex) match(row *Object, value string, present bool) bool {
	if !present {
		return false
	}
	if p.size*len(value) > longWork && row.Ended != nil {
		return p.matchUntil(value, row.Ended)
	}
	return p.expression.MatchString(value)
}

// longWork is how many instructions times bytes take about a tenth of a second.
const longWork = 1 << 22

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

func (p *regex) held() string {
	if len(p.required) != 1 {
		return ""
	}
	return p.required[0]
}

// where finds the values that hold the text which every match has: the engines'
// own expressions are of other kinds, or absent.
func (p *regex) where(v operand) (fragment, bool) {
	var parts []fragment
	for _, text := range p.required {
		if !storable(text) || len(p.required) > maxAlternatives {
			return v.present(), false
		}
		parts = append(parts, v.contains(v.in(folding), argument(text)))
	}
	if parts == nil {
		return v.present(), false
	}
	return balanced("({} OR {})", parts), false
}

func (p *regex) key() string { return "regex " + p.expression.String() }
