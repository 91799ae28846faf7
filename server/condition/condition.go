// Package condition is the predicate tree of rules, searches and hunts: it parses
// the conditions of the API's query builder, matches a row, and renders SQL.
//
// It knows no table and no feature. Each operator has its match and its SQL side
// by side, and means the same on either engine and in memory:
//
//   - Texts compare without regard to the case of the letters A to Z, and of no
//     others, because that is what all three can agree on. Names of columns
//     compare as they are.
//   - User text has no wildcards, save in matches_wildcard and matches_regex.
//   - A field that the row lacks (a JSON null is one) makes every operator false,
//     save is_empty and is_null. A negated operator is the negation, no more and
//     no less, so it is true of a field that is missing.
//   - less, greater and their kin compare numbers, exactly: see decimal. They are
//     false of a value that is none.
package condition

// Options say how fields are read.
type Options struct {
	// Own are the names that stand for the entry itself, such as query_name, and
	// not for one of its columns.
	Own []string
}

// Field is what a predicate looks at.
type Field struct {
	Name string
	Own  bool // of the entry itself, not a column
}

// Row is what a tree is matched against. Value reports false for a field that the
// row does not have.
type Row interface {
	Value(f Field) (string, bool)
}

// Engine is a dialect of SQL.
type Engine string

// The dialects.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Source says where SQL finds fields.
type Source struct {
	Engine  Engine
	Columns string            // the expression of the JSON object of columns, as text
	Own     map[string]string // name of an own field -> its expression, of type text
}

// Clause is a condition in SQL, with ? for arguments.
type Clause struct {
	// Where is true of what is found. It may be NULL instead of false, so it must
	// not stand under NOT.
	Where string
	Args  []any
	// Exact is false when rows may be found that do not match: then Match decides.
	// No row that matches is ever left out.
	Exact bool
}

// Tree is a parsed condition. It is immutable and safe for concurrent use.
type Tree struct{ root node }

// node is a group or a leaf.
type node interface {
	match(row Row) bool
	// where renders the node, or its negation.
	where(s *scope, negated bool) fragment
}

// group is the conjunction of its nodes, or their disjunction.
type group struct {
	all     bool
	negated bool
	nodes   []node
}

// leaf asks one thing of one field.
type leaf struct {
	field   Field
	asks    predicate
	negated bool
}

// predicate is an operator with its values. It is never negated itself.
type predicate interface {
	match(value string, present bool) bool
	// where renders the predicate, NULL counting as false. It is not exact when
	// rows may be found that do not match.
	where(v operand) (clause fragment, exact bool)
}

// holder is a predicate that knows a text, folded, that is in every value it is
// true of; "" when there is none.
type holder interface{ held() string }

// Match reports whether the row meets the condition.
func (t *Tree) Match(row Row) bool { return t.root.match(row) }

func (g *group) match(row Row) bool {
	for _, n := range g.nodes {
		if n.match(row) != g.all {
			return g.all == g.negated
		}
	}
	return g.all != g.negated
}

func (l *leaf) match(row Row) bool {
	value, present := row.Value(l.field)
	if p, ok := l.asks.(*regex); ok && p.takesLong(value) {
		if o, ok := row.(*Object); ok && o.Ended != nil {
			return p.matchUntil(value, o.Ended) != l.negated
		}
	}
	return l.asks.match(value, present) != l.negated
}
