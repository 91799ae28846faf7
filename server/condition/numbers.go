package condition

import (
	"cmp"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"muster/server/fault"
)

// maxDigits is how long a number may be, sign and point included.
const maxDigits = 64

// Number is a number such as 42, -0.5 or 007: a minus or nothing, digits, and
// perhaps a point and more digits. Anything else is no number: 1e3, +1, .5, 1.
// and what has spaces. It is compared digit by digit, so that numbers of 64 bits
// and of more compare exactly.
type Number struct {
	negative          bool   // and not zero
	integer, fraction string // without the zeros that say nothing
}

// ParseNumber reads a text that is a number and nothing else.
func ParseNumber(s string) (Number, bool) {
	if len(s) > maxDigits {
		return Number{}, false
	}
	digits := strings.TrimPrefix(s, "-")
	integer, fraction, point := strings.Cut(digits, ".")
	if !isDigits(integer) || point && !isDigits(fraction) {
		return Number{}, false
	}
	d := Number{integer: strings.TrimLeft(integer, "0"), fraction: strings.TrimRight(fraction, "0")}
	d.negative = len(digits) < len(s) && (d.integer != "" || d.fraction != "")
	return d, true
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// Compare returns -1, 0 or 1.
func (d Number) Compare(other Number) int {
	switch {
	case d.negative && !other.negative:
		return -1
	case !d.negative && other.negative:
		return 1
	}
	size := cmp.Or(cmp.Compare(len(d.integer), len(other.integer)),
		strings.Compare(d.integer, other.integer), strings.Compare(d.fraction, other.fraction))
	if d.negative {
		return -size
	}
	return size
}

// String returns the number in its shortest form.
func (d Number) String() string {
	s := "0"
	if d.integer != "" {
		s = d.integer
	}
	if d.fraction != "" {
		s += "." + d.fraction
	}
	if d.negative {
		s = "-" + s
	}
	return s
}

// comparison is true of numbers on one side of a bound: relation is <, <=, > or >=.
type comparison struct {
	relation string
	bound    Number
}

func compares(relation string) builder {
	return func(_ *parser, values []value, path string) (predicate, error) {
		return newComparison(relation, values[0], path)
	}
}

func newComparison(relation string, v value, path string) (comparison, error) {
	text := v.text
	bound, ok := ParseNumber(text)
	if !ok && v.number { // JSON may write it with an exponent
		if f, err := json.Number(text).Float64(); err == nil && !math.IsInf(f, 0) {
			bound, ok = ParseNumber(strconv.FormatFloat(f, 'f', -1, 64))
		}
	}
	if !ok {
		return comparison{}, fault.New(fault.Unprocessable, "%s must be a number such as 42 or -0.5", path)
	}
	return comparison{relation: relation, bound: bound}, nil
}

func (p comparison) match(_ *Object, value string, present bool) bool {
	if !present {
		return false
	}
	number, ok := ParseNumber(value)
	return ok && p.takes(number)
}

func (p comparison) takes(number Number) bool {
	order := number.Compare(p.bound)
	switch p.relation {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

func (p comparison) where(v operand) (fragment, bool) {
	return v.number(v.text(), []comparison{p})
}

func (p comparison) key() string { return p.relation + p.bound.String() }

// between is true of numbers from low to high, both included.
type between struct{ low, high comparison }

func newBetween(_ *parser, values []value, path string) (predicate, error) {
	low, err := newComparison(">=", values[0], path+"[0]")
	if err != nil {
		return nil, err
	}
	high, err := newComparison("<=", values[1], path+"[1]")
	if err != nil {
		return nil, err
	}
	return between{low, high}, nil
}

func (p between) match(_ *Object, value string, present bool) bool {
	if !present {
		return false
	}
	number, ok := ParseNumber(value)
	return ok && p.low.takes(number) && p.high.takes(number)
}

func (p between) where(v operand) (fragment, bool) {
	return v.number(v.text(), []comparison{p.low, p.high})
}

func (p between) key() string { return p.low.key() + p.high.key() }
