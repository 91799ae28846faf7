package osquery

import "slices"

// Reads names the tables whose rows a query reports, in lower case and in the order
// in which they stand: those after FROM and JOIN, in subqueries too. Tables that are
// joined with LEFT JOIN only add columns to the rows of others and are left out, and
// so are the names that WITH defines. Names that osquery does not have, such as those
// of extensions, are among them.
//
// It goes by the text alone and never fails: what is no query reads what looks so.
func Reads(sql string) []string {
	r := reader{tokens: lex(sql)}
	r.run()
	return slices.DeleteFunc(r.found, func(name string) bool { return slices.Contains(r.defined, name) })
}

// reader looks for the names of tables.
type reader struct {
	tokens         []token
	found, defined []string
	open           []bool // for each bracket that is open: whether it stands in a FROM clause
	from           bool   // in a FROM clause: a comma comes before another table
	left           bool   // the next table is joined with LEFT JOIN
}

// clauses end the list of tables.
var clauses = []string{"where", "group", "order", "limit", "having", "union", "intersect", "except", "window", "select"}

func (r *reader) run() {
	for i, t := range r.tokens {
		switch {
		case t.text == "(":
			r.open, r.from = append(r.open, r.from), false
		case t.text == ")" && len(r.open) > 0:
			r.from, r.open = r.open[len(r.open)-1], r.open[:len(r.open)-1]
		case t.text == "," && r.from:
			r.table(i + 1)
		case t.kind == wordToken:
			r.word(i, t.name())
		}
	}
}

func (r *reader) word(i int, name string) {
	switch {
	case name == "from" || name == "join":
		r.from = true
		r.table(i + 1)
	case name == "left" && i+1 < len(r.tokens) && slices.Contains([]string{"join", "outer"}, r.tokens[i+1].name()):
		r.left = true
	case name == "as" && i > 0 && i+1 < len(r.tokens) && r.tokens[i+1].text == "(" && r.tokens[i-1].kind == wordToken:
		r.defined = append(r.defined, r.tokens[i-1].name())
	case slices.Contains(clauses, name):
		r.from = false
	}
}

// table takes the name at a place, the last part of one with a schema.
func (r *reader) table(i int) {
	left := r.left
	r.left = false
	if i >= len(r.tokens) || r.tokens[i].kind != wordToken || left {
		return
	}
	if i+2 < len(r.tokens) && r.tokens[i+1].text == "." && r.tokens[i+2].kind == wordToken {
		i += 2
	}
	name := r.tokens[i].name()
	if real, isAlias := aliases[name]; isAlias {
		name = real
	}
	if !slices.Contains(r.found, name) {
		r.found = append(r.found, name)
	}
}
