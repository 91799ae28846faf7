package condition

import (
	"strings"
	"unicode/utf8"

	"muster/server/fault"
)

// wildcard is true of a value that the pattern matches from end to end.
//
// * stands for any characters, ? for one, [a-z] for one of a set and [!a-z] for one
// outside it. There is no escape: [*] stands for the star itself. A bracket that
// is never closed stands for itself.
type wildcard struct{ marks []mark }

type kind uint8

const (
	letter kind = iota // one character
	single             // ?
	set                // [...]
	star               // *
)

type mark struct {
	kind    kind
	letter  rune // folded
	ranges  [][2]rune
	outside bool
}

func newWildcard(values []value, path string) (predicate, error) {
	text := values[0].text
	if len(text) > maxPattern {
		return nil, fault.New(fault.Unprocessable, "%s is a pattern longer than %d bytes", path, maxPattern)
	}
	p := wildcard{}
	runes := []rune(fold(text))
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
	return p, nil
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

// match goes back to the last star only, so its time is at most the length of the
// value times that of the pattern.
func (p wildcard) match(value string, present bool) bool {
	at, mark := 0, 0
	resumeAt, resumeMark := 0, -1
	for at < len(value) {
		if mark < len(p.marks) && p.marks[mark].kind == star {
			mark++
			resumeAt, resumeMark = at, mark
			continue
		}
		if mark < len(p.marks) {
			if r, size := nextFolded(value[at:]); p.marks[mark].takes(r) {
				at += size
				mark++
				continue
			}
		}
		if resumeMark < 0 {
			return false
		}
		_, size := nextFolded(value[resumeAt:])
		resumeAt += size
		at, mark = resumeAt, resumeMark
	}
	for mark < len(p.marks) && p.marks[mark].kind == star {
		mark++
	}
	return present && mark == len(p.marks)
}

func nextFolded(s string) (rune, int) {
	if s[0] < utf8.RuneSelf {
		return rune(folded[s[0]]), 1
	}
	return utf8.DecodeRuneInString(s)
}

// where is exact for the usual patterns: text with at most one star in it, or one
// at each end. Of others it looks for text that a match has to hold.
func (p wildcard) where(v operand) (fragment, bool) {
	runs, stars, plain := p.runs()
	first, last := runs[0], runs[len(runs)-1]
	switch {
	case plain && stars == 0:
		return equal{texts: []string{first}}.where(v)
	case plain && stars == 1:
		size := sql("length({}) >= {}", v.text(), argument(utf8.RuneCountInString(first)+utf8.RuneCountInString(last)))
		begin, _ := begins{first}.where(v)
		end, _ := ends{last}.where(v)
		return sql("({} AND {} AND {})", begin, end, size), true
	case plain && stars == 2 && first == "" && last == "":
		return v.contains(v.folded(), runs[1]), true
	}
	begin, _ := begins{first}.where(v)
	end, _ := ends{last}.where(v)
	return sql("({} AND {} AND {})", begin, end, v.contains(v.folded(), p.held())), false
}

// held is the longest text of the pattern.
func (p wildcard) held() string {
	longest := ""
	runs, _, _ := p.runs()
	for _, run := range runs {
		if len(run) > len(longest) {
			longest = run
		}
	}
	return longest
}

// runs returns the text between what is no text, the number of stars, and whether
// there is nothing but text and stars.
func (p wildcard) runs() (runs []string, stars int, plain bool) {
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
