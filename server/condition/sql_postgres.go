package condition

import (
	"fmt"
	"strings"
)

type postgres struct{}

func (postgres) column(object, name string) fragment {
	return sql("(({})::json ->> {}::text)", fragment{text: object}, argument(name))
}

// sifted looks for text in the object before it is parsed, which takes a third of
// the time. Rows with the escape \u, in which text may hide, are always parsed.
func (postgres) sifted(object, what string, clause fragment) fragment {
	run := longestRun(what)
	if len(run) < 3 {
		return clause
	}
	columns := fragment{text: object}
	return sql(`CASE WHEN strpos(lower(({}) COLLATE "C"), {}::text) > 0 OR strpos({}, {}::text) > 0 THEN {} ELSE FALSE END`,
		columns, argument(run), columns, argument(`\u`), clause)
}

// longestRun returns the longest part of text that JSON writes as it is, or with
// the escape \u. A slash, too, may have a backslash before it.
func longestRun(text string) string {
	longest := ""
	for _, run := range strings.FieldsFunc(text, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' || r == '/' }) {
		if len(run) > len(longest) {
			longest = run
		}
	}
	return longest
}

// folded names the collation, so that no other letters are folded, whatever the
// database's own is.
func (postgres) folded(text fragment) fragment { return sql(`lower(({}) COLLATE "C")`, text) }

func (postgres) contains(text, what fragment) fragment {
	return sql("strpos({}, ({})::text) > 0", text, what)
}

func (postgres) begins(text fragment, what string) fragment {
	return sql("starts_with({}, {}::text)", text, argument(what))
}

func (postgres) ends(text fragment, what string, size int) fragment {
	return sql(fmt.Sprintf("right({}, %d) = {}", size), text, argument(what))
}

func (postgres) ascii(text fragment) fragment {
	return sql("octet_length({}) = char_length({})", text, text)
}

// number casts under CASE: a text that is no number never reaches the cast. The
// subquery, which OFFSET keeps as it is, finds the text once.
func (postgres) number(text fragment, is []comparison) (fragment, bool) {
	parts := make([]fragment, len(is))
	for i, c := range is {
		parts[i] = sql("v::numeric "+c.relation+" ({}::text)::numeric", argument(c.bound.String()))
	}
	return sql(fmt.Sprintf(`(SELECT CASE WHEN v COLLATE "C" ~ '^-{0,1}[0-9]+([.][0-9]+){0,1}$' AND length(v) <= %d THEN {} END`+
		` FROM (SELECT {} AS v OFFSET 0) AS field)`, maxDigits), balanced("({} AND {})", parts), text), true
}
