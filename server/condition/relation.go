package condition

import (
	"strings"

	"muster/server/fault"
)

// relation is how two texts are compared, the value of a field with another's.
type relation struct {
	kind relationKind
	form form
}

type relationKind string

const (
	equalTo       relationKind = "equal"
	containing    relationKind = "contains"
	beginningWith relationKind = "begins"
	endingWith    relationKind = "ends"
)

// related is true when both fields are there and stand in the relation.
type related struct {
	relation
	other Field
}

// related reads the other field: its name, or {field, path, template}.
func (p *parser) related(r relation, given any, there bool, path string) (predicate, error) {
	if !there {
		return nil, fault.New(fault.Invalid, "%s is missing", path)
	}
	q := related{relation: r}
	switch v := given.(type) {
	case string:
		if v == anyColumn || !isName(v) {
			return nil, fault.New(fault.Unprocessable, "%s is no name of a column", path)
		}
		q.other = p.named(v)
	case map[string]any:
		var err error
		if q.other, err = p.field(v, path+"."); err != nil {
			return nil, err
		}
		if q.other.Any {
			return nil, fault.New(fault.Unprocessable, "%s.field must be one column", path)
		}
	default:
		return nil, fault.New(fault.Invalid, "%s must be the name of a field, or an object {field, path, template}", path)
	}
	return q, nil
}

func (p related) match(row *Object, value string, present bool) bool {
	if !present {
		return false
	}
	other, present := row.Value(p.other)
	return present && p.holds(value, other)
}

func (r relation) holds(value, other string) bool {
	switch r.kind {
	case equalTo:
		return len(value) == len(other) && r.same(value, other)
	case beginningWith:
		return len(value) >= len(other) && r.same(value[:len(other)], other)
	case endingWith:
		return len(value) >= len(other) && r.same(value[len(value)-len(other):], other)
	}
	if r.form == cased {
		return strings.Contains(value, other)
	}
	if len(other) > longNeedle {
		return strings.Contains(fold(value), fold(other))
	}
	for i := 0; i+len(other) <= len(value); i++ {
		if r.same(value[i:i+len(other)], other) {
			return true
		}
	}
	return false
}

// same compares texts of one length, neither of which is folded.
func (r relation) same(a, b string) bool {
	if r.form == cased {
		return a == b
	}
	for i := range len(a) {
		if folded[a[i]] != folded[b[i]] {
			return false
		}
	}
	return true
}

// where is exact for equal and contains of two columns.
func (p related) where(v operand) (fragment, bool) {
	other, known := v.other(p.other)
	switch {
	case !known:
		return v.present(), false
	case p.kind == equalTo:
		return sql("{} = {}", v.in(p.form), other.in(p.form)), true
	case p.kind == containing:
		return v.contains(v.in(p.form), other.in(p.form)), true
	}
	return sql("({} AND {})", v.present(), other.present()), false
}

func (p related) key() string { return p.form.key("field "+string(p.kind), p.other.Key()) }
