package condition

import (
	"strings"
	"unicode/utf8"
)

// Evidence is one leaf that made a tree true.
type Evidence struct {
	Field    string // of a path: column.path; of the field "*": the column that was found
	Operator string // as in the conditions, without its negation
	Wanted   string // the value; of a list, the one that was met, or all of them when none was
	Actual   string // what the row has there; "" when it is missing
	Negated  bool   // the predicate is false, and that is why
}

// Bounds of what Explain returns.
const (
	maxEvidence = 32
	maxShown    = 256 // bytes of a text
)

// Explain returns the leaves that made the tree true of the row, at most 32,
// those that are met before those that are not; nothing when it does not match.
// Texts are cut to 256 bytes, around what was found in them.
func (t *Tree) Explain(row *Object) []Evidence {
	if !t.Match(row) {
		return nil
	}
	var r reasons
	t.root.explain(row, true, &r)
	all := append(r.met, r.unmet...)
	return all[:min(len(all), maxEvidence)]
}

type reasons struct{ met, unmet []Evidence }

func (r *reasons) full() bool { return len(r.met) >= maxEvidence }

// explain asks the nodes that decide: of a conjunction that is true all of them,
// of one that is false those that are false.
func (g *Group) explain(row *Object, is bool, to *reasons) {
	is = is != g.Negated
	for _, n := range g.Nodes {
		if to.full() {
			return
		}
		if n.match(row) == is {
			n.explain(row, is, to)
		}
	}
}

func (l *Leaf) explain(row *Object, is bool, to *reasons) {
	e := Evidence{Field: l.Field.display(), Operator: l.word, Wanted: listed(l.values), Negated: is == l.Negated}
	if e.Negated {
		if len(to.unmet) < maxEvidence {
			e.Actual, _ = row.Value(l.Field)
			to.unmet = append(to.unmet, l.shown(row, e))
		}
		return
	}
	if l.Field.Any {
		if column, found := keyword(l.asks, row); found {
			e.Field, e.Actual, _ = row.Column(column)
		}
	} else {
		e.Actual, _ = row.Value(l.Field)
	}
	if p, ok := l.asks.(chooser); ok {
		if i := p.chosen(row, e.Actual); i >= 0 {
			e.Wanted = l.values[i]
		}
	}
	to.met = append(to.met, l.shown(row, e))
}

// listed is as much of the values as is shown.
func listed(values []string) string {
	var b strings.Builder
	for i, v := range values {
		if b.Len() > maxShown {
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(v)
	}
	return b.String()
}

// shown is the evidence as it leaves the package: bounded, and with texts of its own.
func (l *Leaf) shown(row *Object, e Evidence) Evidence {
	if p, ok := l.asks.(related); ok {
		other, _ := row.Value(p.other)
		e.Wanted = p.other.display() + ": " + other
	}
	at := strings.Index(fold(e.Actual), fold(e.Wanted))
	e.Actual = strings.Clone(excerpt(e.Actual, at))
	e.Wanted = strings.Clone(excerpt(e.Wanted, 0))
	e.Field = strings.Clone(e.Field)
	return e
}

// excerpt returns at most maxShown bytes of text. What stands at a place beyond
// them is shown with a little before it.
func excerpt(text string, at int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= maxShown {
		return text
	}
	start := 0
	if at > maxShown/2 {
		start = min(at-maxShown/4, len(text)-maxShown)
	}
	for start > 0 && !utf8.RuneStart(text[start]) {
		start--
	}
	end := min(start+maxShown, len(text))
	for end < len(text) && end > start && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[start:end]
}
