package condition

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// sqlite counts the comparisons of numbers: each has subqueries, and the time that
// SQLite takes to prepare a statement grows with the square of their number.
type sqlite struct{ comparisons int }

const maxComparisons = 100

// column takes what is no text from the JSON itself: a number as it was written,
// true and not 1.
func (*sqlite) column(object, name string) fragment {
	path := argument(jsonPath(name))
	columns := fragment{text: object}
	return sql("CASE json_type({}, {}) WHEN 'text' THEN {} ->> {} WHEN 'null' THEN NULL ELSE {} -> {} END",
		columns, path, columns, path, columns, path)
}

// jsonPath is the path of a member, whatever its name is.
func jsonPath(name string) string {
	var b strings.Builder
	b.WriteString(`$."`)
	for _, r := range name {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// sifted is clause: SQLite parses a row once for all leaves, faster than it looks
// through its text.
func (*sqlite) sifted(_ string, _ string, clause fragment) fragment { return clause }

func (*sqlite) folded(text fragment) fragment { return sql("lower({})", text) }

func (*sqlite) contains(text, what fragment) fragment {
	return sql("instr({}, {}) > 0", text, what)
}

func (*sqlite) begins(text fragment, what string) fragment {
	return sql("substr({}, 1, {}) = {}", text, argument(utf8.RuneCountInString(what)), argument(what))
}

func (*sqlite) ends(text fragment, what string, size int) fragment {
	return sql("substr({}, {}) = {}", text, argument(-size), argument(what))
}

func (*sqlite) ascii(text fragment) fragment {
	return sql("length(CAST({} AS BLOB)) = length({})", text, text)
}

// number compares digits as text, after their number: SQLite's own numbers are
// exact up to 64 bits only, and everything casts to one. What is too much for one
// statement is left to Match.
func (s *sqlite) number(text fragment, is []comparison) (fragment, bool) {
	if s.comparisons += len(is); s.comparisons > maxComparisons {
		return sql("{} GLOB '*[0-9]'", text), false
	}
	parts := make([]fragment, len(is))
	for i, c := range is {
		parts[i] = sqliteCompare(c)
	}
	return sql("(SELECT CASE WHEN v NOT GLOB '*[^0-9.]*' AND v GLOB '[0-9]*' AND v GLOB '*[0-9]' AND v NOT GLOB '*.*.*' AND length(v) + negative <= {} THEN {} END"+
		" FROM (SELECT v, negative, ltrim(substr(v, 1, point - 1), '0') AS i, rtrim(substr(v, point + 1), '0') AS f"+
		" FROM (SELECT v, negative, instr(v || '.', '.') AS point"+
		" FROM (SELECT substr(v, 1 + (substr(v, 1, 1) = '-')) AS v, substr(v, 1, 1) = '-' AS negative FROM (SELECT {} AS v)))))",
		argument(maxDigits), balanced("({} AND {})", parts), text), true
}

// sqliteCompare writes a comparison of the number with the digits i before the
// point and f after it.
func sqliteCompare(c comparison) fragment {
	size := func(relation string) fragment {
		return sql("(length(i), i, f) "+relation+" ({}, {}, {})", argument(len(c.bound.integer)), argument(c.bound.integer), argument(c.bound.fraction))
	}
	var below fragment // less, or less or equal
	orEqual := c.relation == "<=" || c.relation == ">"
	switch {
	case c.bound.negative && orEqual:
		below = sql("(negative AND {})", size(">="))
	case c.bound.negative:
		below = sql("(negative AND {})", size(">"))
	case orEqual:
		below = sql("(negative OR {})", size("<="))
	default:
		below = sql("(negative AND (i || f) <> '' OR {})", size("<"))
	}
	if c.relation == ">" || c.relation == ">=" {
		return sql("NOT {}", below)
	}
	return below
}
