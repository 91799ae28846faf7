package condition

import (
	"strings"
	"unicode/utf8"
)

// wildcard is true of a value that the pattern matches from end to end.
//
// * stands for any characters, ? for one, [a-z] for one of a set and [!a-z] for one
// outside it. There is no escape: [*] stands for the star itself. A bracket that
// is never closed stands for itself.
type wildcard struct {
	marks   []mark
	form    form
	pattern string // in its form
}

type kind uint8

const (
	letter kind = iota // one character
	single             // ?
	set                // [...]
	star               // *
)

type mark struct {
	kind    kind
	letter  rune // in the pattern's form
	ranges  [][2]rune
	outside bool
}

func wildcards(f form) builder {
	return func(p *parser, values []value, path string) (predicate, error) {
		if err := p.patterns(values, path, "pattern"); err != nil {
			return nil, err
		}
		return list(values, func(v value) (predicate, error) { return newWildcard(f.of(v.text), f), nil })
	}
}

func newWildcard(pattern string, f form) *wildcard {
	p := &wildcard{form: f, pattern: pattern}
	runes := []rune(pattern)
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; r {
		case '*':
			if n := len(p.marks); n == 0 || p.marks[n-1].kind != star {
				p.marks = append(p.marks, mark{kind: star})
			}
		case '?':
			p.marks = append(p.marks, mark{kind: single})
		case '[':
			m, used := readSet(runes[i:])
			p.marks = append(p.marks, m)
			i += used - 1
		default:
			p.marks = append(p.marks, mark{letter: r})
		}
	}
	return p
}

// readSet reads the set at the start of runes and returns how many of them it takes.
func readSet(runes []rune) (mark, int) {
	start := 1
	m := mark{kind: set}
	if start < len(runes) && runes[start] == '!' {
		m.outside = true
		start++
	}
	end := start + 1 // a bracket that comes first is of the set
	for end < len(runes) && runes[end] != ']' {
		end++
	}
	if end >= len(runes) {
		return mark{letter: '['}, 1
	}
	for i := start; i < end; i++ {
		last := i
		if i+2 < end && runes[i+1] == '-' {
			last = i + 2
		}
		m.ranges = append(m.ranges, [2]rune{runes[i], runes[last]})
		i = last
	}
	if one := m.ranges[0]; len(m.ranges) == 1 && !m.outside && one[0] == one[1] {
		m = mark{letter: one[0]} // [*] is the star itself
	}
	return m, end + 1
}

func (m *mark) takes(r rune) bool {
	switch m.kind {
	case single:
		return true
	case set:
		for _, between := range m.ranges {
			if between[0] <= r && r <= between[1] {
				return !m.outside
			}
		}
		return m.outside
	}
	return m.letter == r
}

// stepsBetween is how many steps are taken before the row is asked whether it ended.
const stepsBetween = 1 << 16

// match goes back to the last star only, so its time is at most the length of the
// value times that of the pattern.
func (p *wildcard) match(row *Object, value string, present bool) bool {
	at, mark := 0, 0
	resumeAt, resumeMark := 0, -1
	for steps := 0; at < len(value); steps++ {
		if steps == stepsBetween {
			if steps = 0; row.Ended != nil && row.Ended() {
				return false
			}
		}
		if mark < len(p.marks) && p.marks[mark].kind == star {
			mark++
			resumeAt, resumeMark = at, mark
			continue
		}
		if mark < len(p.marks) {
			if r, size := p.next(value[at:]); p.marks[mark].takes(r) {
				at += size
				mark++
				continue
			}
		}
		if resumeMark < 0 {
			return false
		}
		_, size := p.next(value[resumeAt:])
		resumeAt += size
		at, mark = resumeAt, resumeMark
	}
	for mark < len(p.marks) && p.marks[mark].kind == star {
		mark++
	}
	return present && mark == len(p.marks)
}

// next is the first character of s, in the pattern's form.
func (p *wildcard) next(s string) (rune, int) {
	switch {
	case s[0] >= utf8.RuneSelf:
		return utf8.DecodeRuneInString(s)
	case p.form == cased:
		return rune(s[0]), 1
	}
	return rune(folded[s[0]]), 1
}

// where is exact for the usual patterns: text with at most one star in it, or one
// at each end. Of others it looks for text that a match has to hold.
func (p *wildcard) where(v operand) (fragment, bool) {
	runs, stars, plain := p.runs()
	first, last := runs[0], runs[len(runs)-1]
	switch {
	case plain && stars == 0:
		return equal{texts: []string{first}, form: p.form}.where(v)
	case plain && stars == 1:
		size := sql("length({}) >= {}", v.text(), argument(utf8.RuneCountInString(first)+utf8.RuneCountInString(last)))
		begin, _ := begins{first, p.form}.where(v)
		end, _ := ends{last, p.form}.where(v)
		return sql("({} AND {} AND {})", begin, end, size), true
	case plain && stars == 2 && first == "" && last == "":
		return v.contains(v.in(p.form), argument(runs[1])), true
	}
	begin, _ := begins{first, p.form}.where(v)
	end, _ := ends{last, p.form}.where(v)
	return sql("({} AND {} AND {})", begin, end, v.contains(v.in(p.form), argument(longest(runs)))), false
}

func (p *wildcard) key() string { return p.form.key("wildcard", p.pattern) }

func (p *wildcard) held() string {
	runs, _, _ := p.runs()
	return fold(longest(runs))
}

func longest(runs []string) string {
	longest := ""
	for _, run := range runs {
		if len(run) > len(longest) {
			longest = run
		}
	}
	return longest
}

// runs returns the text between what is no text, the number of stars, and whether
// there is nothing but text and stars.
func (p *wildcard) runs() (runs []string, stars int, plain bool) {
	var run strings.Builder
	plain = true
	for _, m := range p.marks {
		if m.kind == letter {
			run.WriteRune(m.letter)
			continue
		}
		runs = append(runs, run.String())
		run.Reset()
		if m.kind == star {
			stars++
		} else {
			plain = false
		}
	}
	return append(runs, run.String()), stars, plain
}
