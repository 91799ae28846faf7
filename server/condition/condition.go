// Package condition is the predicate tree of rules, searches and hunts: it parses
// the conditions of the API's query builder, matches a row, says why it matched,
// and renders SQL.
//
// It knows no table and no feature. Each operator has its match and its SQL side
// by side, and means the same on either engine and in memory:
//
//   - Texts compare without regard to the case of the letters A to Z, and of no
//     others, because that is what all three can agree on. The operators that end
//     in _cased compare texts as they are. Names of columns compare as they are.
//   - User text has no wildcards, save in matches_wildcard and matches_regex.
//   - A field that the row lacks (a JSON null is one) makes every operator false,
//     save is_empty and is_null. A negated operator is the negation, no more and
//     no less, so it is true of a field that is missing.
//   - less, greater and their kin compare numbers, exactly: see Number. They are
//     false of a value that is none.
//   - A list of values means any of them.
package condition

// Options say how fields are read, and how large a tree may be.
type Options struct {
	// Own are the names that stand for the entry itself, such as query_name, and
	// not for one of its columns.
	Own []string
	// Bounds are those of Searches unless they are given.
	Bounds Bounds
}

// Bounds say how large a tree may be. What is beyond them is refused.
type Bounds struct {
	Leaves   int
	Values   int // of all leaves together
	Pattern  int // bytes of a wildcard pattern or a regular expression
	Patterns int // bytes of all those of one leaf
	Program  int // instructions of all regular expressions together
}

// Searches come from people; Rules come from rule sets, which list more.
var (
	Searches = Bounds{Leaves: 1000, Values: 10_000, Pattern: 1 << 10, Patterns: 16 << 10, Program: 20_000}
	Rules    = Bounds{Leaves: 5000, Values: 50_000, Pattern: 8 << 10, Patterns: 64 << 10, Program: 100_000}
)

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
type Tree struct{ root *Group }

// Root returns the tree's nodes, which must not be changed.
func (t *Tree) Root() *Group { return t.root }

// Match reports whether the row meets the condition.
func (t *Tree) Match(row *Object) bool { return t.root.match(row) }

// Node is a *Group or a *Leaf.
type Node interface {
	match(row *Object) bool
	// where renders the node, or its negation.
	where(s *scope, negated bool) fragment
	// explain gathers the leaves that make the node what it is: true, or false.
	explain(row *Object, is bool, to *reasons)
}

// Group is the conjunction of its nodes, or their disjunction.
type Group struct {
	All     bool
	Negated bool
	Nodes   []Node // at least one
}

func (g *Group) match(row *Object) bool {
	for _, n := range g.Nodes {
		if n.match(row) != g.All {
			return g.All == g.Negated
		}
	}
	return g.All != g.Negated
}

// Leaf asks one thing of one field.
type Leaf struct {
	Field   Field
	Negated bool
	asks    predicate
	word    string   // the operator, without its negation
	values  []string // as they were written
}

func (l *Leaf) match(row *Object) bool { return holds(l.asks, l.Field, row) != l.Negated }

// holds reports whether the predicate is true of the field; for Any, of the value
// of one of the row's columns.
func holds(p predicate, f Field, row *Object) bool {
	if !f.Any {
		value, present := row.Value(f)
		return p.match(row, value, present)
	}
	_, found := keyword(p, row)
	return found
}

// keyword returns the first column whose value meets the predicate.
func keyword(p predicate, row *Object) (column int, found bool) {
	for i := range row.Columns() {
		if _, value, present := row.Column(i); present && p.match(row, value, true) {
			return i, true
		}
	}
	return 0, false
}

// predicate is an operator with its values. It is never negated itself.
type predicate interface {
	// match takes the row beside the value for what else it may ask of it.
	match(row *Object, value string, present bool) bool
	// where renders the predicate, NULL counting as false. It is not exact when
	// rows may be found that do not match.
	where(v operand) (clause fragment, exact bool)
	// key differs between predicates that differ in meaning.
	key() string
}

// holder is a predicate that knows a text, folded, that is in every value it is
// true of; "" when there is none.
type holder interface{ held() string }

// chooser is a predicate of several values that knows which of them is met first.
type chooser interface {
	chosen(row *Object, value string) int
}
