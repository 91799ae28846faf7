package condition

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// How many texts stand for an expression at most: for all of its matches, and for
// a part of each.
const (
	maxAlternatives = 8
	maxParts        = 64
)

// maxLiteral is how long a text is looked for, in bytes.
const maxLiteral = 64

// literals is what is known of the texts that an expression matches.
type literals struct {
	// whole are all of them, folded; nil when they are too many to tell.
	whole []string
	// parts are texts, folded, of which each match has one; nil when there are none.
	parts []string
}

// required returns texts, folded, of which every value has one that the expression
// matches, and none when there are no such texts.
func required(re *syntax.Regexp) []string {
	var needed []string
	all := literalsOf(re).best()
	for i, text := range all {
		// What holds another of the texts need not be looked for itself.
		if !slices.ContainsFunc(all[:i], func(other string) bool { return strings.Contains(text, other) }) &&
			!slices.ContainsFunc(all[i+1:], func(other string) bool { return other != text && strings.Contains(text, other) }) {
			needed = append(needed, text)
		}
	}
	return needed
}

func (l literals) best() []string { return better(l.parts, l.whole) }

// better is the list whose shortest text is longer: it is found in fewer values.
func better(a, b []string) []string {
	if shortest(b) > shortest(a) {
		return b
	}
	if shortest(a) == 0 {
		return nil
	}
	return a
}

func shortest(texts []string) int {
	if len(texts) == 0 {
		return 0
	}
	n := len(texts[0])
	for _, text := range texts {
		n = min(n, len(text))
	}
	return n
}

func literalsOf(re *syntax.Regexp) literals {
	switch re.Op {
	case syntax.OpLiteral:
		return literal(re)
	case syntax.OpCharClass:
		return literals{whole: class(re.Rune)}
	case syntax.OpCapture:
		return literalsOf(re.Sub[0])
	case syntax.OpConcat:
		all := make([]literals, len(re.Sub))
		for i, sub := range re.Sub {
			all[i] = literalsOf(sub)
		}
		return concat(all)
	case syntax.OpAlternate:
		return alternate(re.Sub)
	case syntax.OpQuest:
		if sub := literalsOf(re.Sub[0]); sub.whole != nil && len(sub.whole) < maxAlternatives {
			return literals{whole: append([]string{""}, sub.whole...)}
		}
	case syntax.OpPlus:
		return literals{parts: literalsOf(re.Sub[0]).best()}
	case syntax.OpRepeat:
		if re.Min > 0 {
			return literals{parts: literalsOf(re.Sub[0]).best()}
		}
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return literals{whole: []string{""}}
	}
	return literals{}
}

// literal is text. Where case does not count, a letter may stand for others, such
// as k for the sign of Kelvin.
func literal(re *syntax.Regexp) literals {
	all := make([]literals, len(re.Rune))
	for i, r := range re.Rune {
		letters := []rune{r, r}
		if re.Flags&syntax.FoldCase != 0 {
			for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
				letters = append(letters, other, other)
			}
		}
		all[i] = literals{whole: class(letters)}
	}
	return concat(all)
}

// class returns the characters in the ranges, folded.
func class(ranges []rune) []string {
	var texts []string
	for i := 0; i+1 < len(ranges); i += 2 {
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			// A byte that is no UTF-8 reads as RuneError.
			if r == utf8.RuneError || !utf8.ValidRune(r) || len(texts) == maxAlternatives {
				return nil
			}
			if text := fold(string(r)); !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

// concat joins what is known of what stands one behind the other.
func concat(all []literals) literals {
	var best []string
	run, gaps := []string{""}, false
	for _, l := range all {
		joined := product(run, l.whole)
		if joined != nil {
			run = joined
			continue
		}
		best, gaps = better(better(best, run), l.parts), true
		run = []string{""}
		if l.whole != nil {
			run = l.whole
		}
	}
	if !gaps {
		return literals{whole: run}
	}
	return literals{parts: better(best, run)}
}

// product joins each of a with each of b, unless that is not known, or too much.
func product(a, b []string) []string {
	if b == nil || len(a)*len(b) > maxAlternatives || shortest(a)+shortest(b) > maxLiteral {
		return nil
	}
	out := make([]string, 0, len(a)*len(b))
	for _, head := range a {
		for _, tail := range b {
			out = append(out, head+tail)
		}
	}
	return out
}

func alternate(subs []*syntax.Regexp) literals {
	var whole, parts []string
	toWhole, toParts := true, true
	for _, sub := range subs {
		l := literalsOf(sub)
		whole = append(whole, l.whole...)
		toWhole = toWhole && l.whole != nil && len(whole) <= maxAlternatives
		some := l.best()
		parts = append(parts, some...)
		toParts = toParts && some != nil && len(parts) <= maxParts
	}
	var out literals
	if toWhole {
		out.whole = whole
	}
	if toParts {
		out.parts = parts
	}
	return out
}

func (p *regex) needs() ([]Need, bool) {
	needs := make([]Need, len(p.required))
	for i, text := range p.required {
		needs[i] = Need{text, Within}
	}
	return needs, false
}

func (p *wildcard) needs() ([]Need, bool) {
	if strings.ContainsRune(p.pattern, utf8.RuneError) { // a byte that is no UTF-8 reads as this character
		return nil, false
	}
	runs, stars, plain := p.runs()
	first, last, longest := fold(runs[0]), fold(runs[len(runs)-1]), fold(longest(runs))
	enough := p.form == folding && plain
	switch {
	case plain && stars == 0:
		return []Need{{first, Whole}}, enough
	case first == longest:
		return []Need{{first, Start}}, enough && stars == 1 && last == ""
	case last == longest:
		return []Need{{last, End}}, enough && stars == 1 && first == ""
	}
	return []Need{{longest, Within}}, enough && stars == 2 && first == "" && last == ""
}
