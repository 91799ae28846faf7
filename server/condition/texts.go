package condition

import (
	"strings"
	"unicode/utf8"
)

// form is how texts are compared: folded, or cased as they are.
type form bool

const (
	folding form = false
	cased   form = true
)

// of returns text in this form. A predicate holds its texts in its form.
func (f form) of(text string) string {
	if f == cased {
		return text
	}
	return fold(text)
}

func (f form) equal(value, text string) bool {
	if f == cased {
		return value == text
	}
	return foldEqual(value, text)
}

func (f form) contains(value, text string) bool {
	if f == cased {
		return strings.Contains(value, text)
	}
	return foldContains(value, text)
}

// key marks what is kept in this form.
func (f form) key(kind string, texts ...string) string {
	if f == cased {
		kind += "_cased"
	}
	return listKey(kind, texts)
}

// texted makes a predicate of one text.
func texted(build func(text string, form form) predicate, f form) builder {
	return func(_ *parser, values []value, _ string) (predicate, error) {
		return list(values, func(v value) (predicate, error) { return build(f.of(v.text), f), nil })
	}
}

// equal is true of a value that is one of these.
type equal struct {
	texts []string
	form  form
}

func equals(f form) builder {
	return func(_ *parser, values []value, _ string) (predicate, error) {
		p := equal{texts: make([]string, len(values)), form: f}
		for i, v := range values {
			p.texts[i] = f.of(v.text)
		}
		return p, nil
	}
}

func (p equal) match(row *Object, value string, present bool) bool {
	return present && p.chosen(row, value) >= 0
}

func (p equal) chosen(_ *Object, value string) int {
	for i, text := range p.texts {
		if p.form.equal(value, text) {
			return i
		}
	}
	return -1
}

func (p equal) where(v operand) (fragment, bool) {
	if len(p.texts) == 1 {
		return sql("{} = {}", v.in(p.form), argument(p.texts[0])), true
	}
	if len(p.texts) > maxArguments {
		return v.present(), false
	}
	list := fragment{text: "?" + strings.Repeat(", ?", len(p.texts)-1)}
	for _, text := range p.texts {
		list.args = append(list.args, text)
	}
	return sql("{} IN ({})", v.in(p.form), list), true
}

func (p equal) held() string {
	if len(p.texts) == 1 {
		return fold(p.texts[0])
	}
	return ""
}

func (p equal) key() string { return p.form.key("equal", p.texts...) }

// contains is true of a value that holds this.
type contains struct {
	text string
	form form
}

func newContains(text string, f form) predicate { return contains{text, f} }

func (p contains) match(_ *Object, value string, present bool) bool {
	return present && p.form.contains(value, p.text)
}

func (p contains) held() string { return fold(p.text) }

func (p contains) where(v operand) (fragment, bool) {
	return v.contains(v.in(p.form), argument(p.text)), true
}

func (p contains) key() string { return p.form.key("contains", p.text) }

// begins is true of a value that starts with this.
type begins struct {
	text string
	form form
}

func newBegins(text string, f form) predicate { return begins{text, f} }

func (p begins) match(_ *Object, value string, present bool) bool {
	return present && len(value) >= len(p.text) && p.form.equal(value[:len(p.text)], p.text)
}

func (p begins) held() string { return fold(p.text) }

func (p begins) where(v operand) (fragment, bool) { return v.begins(v.in(p.form), p.text), true }

func (p begins) key() string { return p.form.key("begins", p.text) }

// ends is true of a value that ends with this.
type ends struct {
	text string
	form form
}

func newEnds(text string, f form) predicate { return ends{text, f} }

func (p ends) match(_ *Object, value string, present bool) bool {
	return present && len(value) >= len(p.text) && p.form.equal(value[len(value)-len(p.text):], p.text)
}

func (p ends) held() string { return fold(p.text) }

func (p ends) where(v operand) (fragment, bool) {
	if p.text == "" {
		return v.present(), true
	}
	return v.ends(v.in(p.form), p.text, utf8.RuneCountInString(p.text)), true
}

func (p ends) key() string { return p.form.key("ends", p.text) }
