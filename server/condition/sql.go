package condition

import (
	"strings"
)

// fragment is a piece of SQL and its arguments.
type fragment struct {
	text string
	args []any
}

// sql puts the parts in the places {} of the text. Nothing that comes from
// outside is ever part of the text: it is an argument.
func sql(text string, parts ...fragment) fragment {
	var out fragment
	var b strings.Builder
	for _, part := range parts {
		before, after, _ := strings.Cut(text, "{}")
		b.WriteString(before)
		b.WriteString(part.text)
		out.args = append(out.args, part.args...)
		text = after
	}
	b.WriteString(text)
	out.text = b.String()
	return out
}

func argument(value any) fragment { return fragment{text: "?", args: []any{value}} }

// dialect is what the engines write differently.
type dialect interface {
	// column is the text of a column of the JSON object; NULL when it is missing.
	column(object, name string) fragment
	// sifted is the clause, preceded by what spares it rows that do not hold the
	// text anywhere in the object: what is folded, and held by every value that
	// the clause is true of.
	sifted(object, what string, clause fragment) fragment
	// folded is the text with A to Z as small letters.
	folded(text fragment) fragment
	contains(text, what fragment) fragment
	begins(text fragment, what string) fragment
	// ends takes what is not empty, and how many characters that has.
	ends(text fragment, what string, size int) fragment
	ascii(text fragment) fragment
	// number is true when text is a decimal that meets each comparison; of more
	// rows when it is not exact.
	number(text fragment, is []comparison) (clause fragment, exact bool)
}

// operand is a field in SQL: the field's own text, and where it stands.
type operand struct {
	*scope
	expression fragment
}

func (o operand) text() fragment    { return o.expression }
func (o operand) present() fragment { return sql("{} IS NOT NULL", o.expression) }

// in is the text in the form in which a predicate compares it.
func (o operand) in(f form) fragment {
	if f == cased {
		return o.expression
	}
	return o.folded(o.expression)
}

// other is another field of the row.
func (o operand) other(f Field) (operand, bool) { return o.operand(f) }

// scope is one rendering of a tree.
type scope struct {
	dialect
	from  Source
	exact bool
	size  int // bytes of text
	args  int
}

// What a statement may be, so that either engine takes it. Leaves beyond it are
// left to Match.
const (
	maxSize      = 500_000
	maxArguments = 20_000
)

// always is the condition that every row meets.
const always = "TRUE"

// SQL renders the condition. It is exact for columns as osquery writes them: a
// flat object in which no name stands twice. The text of an object or a list
// inside of it is as the engine gives it, with white space or without.
func (t *Tree) SQL(from Source) Clause {
	s := &scope{from: from, exact: true}
	switch from.Engine {
	case SQLite:
		s.dialect = &sqlite{}
	case Postgres:
		s.dialect = postgres{}
	default: // nothing can be said in its words: Match decides of every row
		return Clause{Where: "TRUE"}
	}
	where := t.root.where(s, false)
	return Clause{Where: "(" + where.text + ")", Args: where.args, Exact: s.exact}
}

func (g *Group) where(s *scope, negated bool) fragment {
	negated = negated != g.Negated
	all := g.All != negated // not (a and b) is (not a) or (not b)
	var parts []fragment
	for _, n := range g.Nodes {
		part := n.where(s, negated)
		if part.text != always {
			parts = append(parts, part)
			continue
		}
		if !all {
			return part
		}
	}
	if len(parts) == 0 {
		return fragment{text: always}
	}
	if all {
		return balanced("({} AND {})", parts)
	}
	return balanced("({} OR {})", parts)
}

// balanced joins the parts as a tree that is no deeper than it has to be: SQLite
// bounds the depth of an expression.
func balanced(text string, parts []fragment) fragment {
	if len(parts) == 1 {
		return parts[0]
	}
	half := len(parts) / 2
	return sql(text, balanced(text, parts[:half]), balanced(text, parts[half:]))
}

func (l *Leaf) where(s *scope, negated bool) fragment {
	clause, exact := l.clause(s)
	if negated = negated != l.Negated; negated {
		clause = sql("({}) IS NOT TRUE", clause)
	}
	s.size, s.args = s.size+len(clause.text), s.args+len(clause.args)
	switch {
	case negated && !exact: // more than matches is found, so the rest is too little
		clause = fragment{text: always}
	case s.size > maxSize || s.args > maxArguments:
		clause, exact = fragment{text: always}, false
	}
	s.exact = s.exact && exact
	return clause
}

// clause renders the predicate, as it stands without its negation.
func (l *Leaf) clause(s *scope) (clause fragment, exact bool) {
	v, known := s.operand(l.Field)
	clause = fragment{text: always}
	if known {
		clause, exact = l.asks.where(v)
	}
	if p, ok := l.asks.(holder); ok && !l.Field.Own && l.Field.template == nil {
		clause = s.sifted(s.from.Columns, p.held(), clause)
	}
	return clause, exact
}

// operand is a field that SQL can tell from the row. Others are left to Match.
func (s *scope) operand(f Field) (operand, bool) {
	switch {
	case f.Any || f.Computed():
		return operand{}, false
	case f.Own:
		expression, known := s.from.Own[f.Name]
		return operand{scope: s, expression: fragment{text: expression}}, known
	}
	return operand{scope: s, expression: s.column(s.from.Columns, f.Name)}, true
}
