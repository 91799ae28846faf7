package condition

import (
	"strings"
	"unicode/utf8"
)

// equal is true of a value that is one of these, which are folded.
type equal struct{ texts []string }

func newEqual(values []value, _ string) (predicate, error) {
	p := equal{texts: make([]string, len(values))}
	for i, v := range values {
		p.texts[i] = fold(v.text)
	}
	return p, nil
}

func (p equal) match(value string, present bool) bool {
	if !present {
		return false
	}
	for _, text := range p.texts {
		if foldEqual(value, text) {
			return true
		}
	}
	return false
}

func (p equal) where(v operand) (fragment, bool) {
	if len(p.texts) == 1 {
		return sql("{} = {}", v.folded(), argument(p.texts[0])), true
	}
	list := fragment{text: "?" + strings.Repeat(", ?", len(p.texts)-1)}
	for _, text := range p.texts {
		list.args = append(list.args, text)
	}
	return sql("{} IN ({})", v.folded(), list), true
}

func (p equal) held() string {
	if len(p.texts) == 1 {
		return p.texts[0]
	}
	return ""
}

// contains is true of a value that holds this, which is folded. So are the next two.
type contains struct{ text string }

func newContains(values []value, _ string) (predicate, error) {
	return contains{fold(values[0].text)}, nil
}

func (p contains) match(value string, present bool) bool {
	return present && foldContains(value, p.text)
}

func (p contains) held() string { return p.text }

func (p contains) where(v operand) (fragment, bool) { return v.contains(v.folded(), p.text), true }

// begins is true of a value that starts with this.
type begins struct{ text string }

func newBegins(values []value, _ string) (predicate, error) {
	return begins{fold(values[0].text)}, nil
}

func (p begins) match(value string, present bool) bool {
	return present && len(value) >= len(p.text) && foldEqual(value[:len(p.text)], p.text)
}

func (p begins) held() string { return p.text }

func (p begins) where(v operand) (fragment, bool) { return v.begins(v.folded(), p.text), true }

// ends is true of a value that ends with this.
type ends struct{ text string }

func newEnds(values []value, _ string) (predicate, error) {
	return ends{fold(values[0].text)}, nil
}

func (p ends) match(value string, present bool) bool {
	return present && len(value) >= len(p.text) && foldEqual(value[len(value)-len(p.text):], p.text)
}

func (p ends) held() string { return p.text }

func (p ends) where(v operand) (fragment, bool) {
	if p.text == "" {
		return sql("{} IS NOT NULL", v.text()), true
	}
	return v.ends(v.folded(), p.text, utf8.RuneCountInString(p.text)), true
}
