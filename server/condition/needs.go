package condition

import "net/netip"

// Test is a predicate of one field, without a negation: what a leaf asks, as an
// index over many trees needs to know it.
type Test struct {
	Field Field
	asks  predicate
}

// Test is what the leaf asks.
func (l *Leaf) Test() Test { return Test{l.Field, l.asks} }

// Tests takes a list apart: the leaf asks whether any of these is true. They are
// one for a leaf that has one value.
func (l *Leaf) Tests() []Test {
	var tests []Test
	switch p := l.asks.(type) {
	case anyOf:
		for _, one := range p.predicates {
			tests = append(tests, Test{l.Field, one})
		}
	case equal:
		for i := range p.texts {
			tests = append(tests, Test{l.Field, equal{texts: p.texts[i : i+1], form: p.form}})
		}
	default:
		tests = append(tests, Test{l.Field, p})
	}
	return tests
}

// Key differs between tests that differ in meaning.
func (t Test) Key() string { return listKey(t.Field.Key(), []string{t.asks.key()}) }

// Holds evaluates the test.
func (t Test) Holds(row *Object) bool { return holds(t.asks, t.Field, row) }

// HoldsOf evaluates the test for a value of its field; the field is not Any.
func (t Test) HoldsOf(row *Object, value string, present bool) bool {
	return t.asks.match(row, value, present)
}

// Slow reports whether a test takes more than a look at its value: one that
// searches with a pattern.
func (t Test) Slow() bool {
	switch t.asks.(type) {
	case *regex, *wildcard, anyOf:
		return true
	}
	return false
}

// Place is where a text stands in a value.
type Place uint8

// The places.
const (
	Within Place = iota
	Start
	End
	Whole // there is nothing else
)

// Need is a text, folded, at its place in a value.
type Need struct {
	Text  string
	Place Place
}

// Needs returns texts of which every value has one that the test is true of, and
// whether a value that has one, folded, is enough. There are none for a test that
// may be true of a value without any.
func (t Test) Needs() (needs []Need, enough bool) {
	if p, ok := t.asks.(needer); ok {
		return p.needs()
	}
	return nil, false
}

type needer interface{ needs() ([]Need, bool) }

func (p equal) needs() ([]Need, bool) {
	needs := make([]Need, len(p.texts))
	for i, text := range p.texts {
		needs[i] = Need{fold(text), Whole}
	}
	return needs, p.form == folding
}

func (p contains) needs() ([]Need, bool) {
	return []Need{{fold(p.text), Within}}, p.form == folding
}

func (p begins) needs() ([]Need, bool) {
	return []Need{{fold(p.text), Start}}, p.form == folding
}

func (p ends) needs() ([]Need, bool) {
	return []Need{{fold(p.text), End}}, p.form == folding
}

func (p anyOf) needs() (needs []Need, enough bool) {
	enough = true
	for _, one := range p.predicates {
		some, all := Test{asks: one}.Needs()
		if len(some) == 0 {
			return nil, false
		}
		needs, enough = append(needs, some...), enough && all
	}
	return needs, enough
}

// Bound is one end of a range of numbers.
type Bound struct {
	Number    Number
	Above     bool // numbers above it, not below
	Inclusive bool
}

// Bound returns a bound that every number is within that the test is true of, and
// whether that is enough.
func (t Test) Bound() (b Bound, enough, ok bool) {
	switch p := t.asks.(type) {
	case comparison:
		return p.asBound(), true, true
	case between:
		return p.low.asBound(), false, true
	}
	return Bound{}, false, false
}

func (p comparison) asBound() Bound {
	return Bound{Number: p.bound, Above: p.relation[0] == '>', Inclusive: len(p.relation) == 2}
}

// Networks returns those of which the test asks for one; nil for another test.
func (t Test) Networks() []netip.Prefix {
	if p, ok := t.asks.(networks); ok {
		return p.prefixes
	}
	return nil
}
