package condition

import (
	"strconv"
	"strings"
)

// anyOf is true of a value that meets one of these, which are at least two.
type anyOf struct{ predicates []predicate }

// list makes a predicate of each value, and one of all.
func list(values []value, build func(value) (predicate, error)) (predicate, error) {
	p := anyOf{predicates: make([]predicate, len(values))}
	for i, v := range values {
		var err error
		if p.predicates[i], err = build(v); err != nil {
			return nil, err
		}
	}
	if len(values) == 1 {
		return p.predicates[0], nil
	}
	return p, nil
}

func (p anyOf) match(row *Object, value string, present bool) bool {
	return present && p.chosen(row, value) >= 0
}

func (p anyOf) chosen(row *Object, value string) int {
	for i, one := range p.predicates {
		if one.match(row, value, true) {
			return i
		}
	}
	return -1
}

// maxListed is how many predicates of a list are written out in SQL. What is
// left to Match of a longer one costs less than the statement would.
const maxListed = 200

func (p anyOf) where(v operand) (fragment, bool) {
	if len(p.predicates) > maxListed {
		return v.present(), false
	}
	parts := make([]fragment, len(p.predicates))
	exact := true
	for i, one := range p.predicates {
		var whole bool
		parts[i], whole = one.where(v)
		exact = exact && whole
	}
	return balanced("({} OR {})", parts), exact
}

func (p anyOf) key() string {
	keys := make([]string, len(p.predicates))
	for i, one := range p.predicates {
		keys[i] = one.key()
	}
	return listKey("any", keys)
}

// listKey writes texts so that no two lists read alike.
func listKey(kind string, texts []string) string {
	var b strings.Builder
	b.WriteString(kind)
	for _, text := range texts {
		b.WriteByte(' ')
		b.WriteString(strconv.Itoa(len(text)))
		b.WriteByte(':')
		b.WriteString(text)
	}
	return b.String()
}
