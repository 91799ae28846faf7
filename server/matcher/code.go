package matcher

import "slices"

// step asks a test and says which step is next.
type step struct {
	test    int32
	yes, no int32
	decided bool // the index knows: a test that it did not report is false
}

// Where a rule ends.
const (
	matches int32 = -1
	fails   int32 = -2
)

// emit writes the steps of a node, which lead to yes when it is true and to no
// when it is not, and returns the first of them. They are written from the last to
// the first, because a step has to know what comes behind it.
func (c *compiler) emit(n *node, yes, no int32) int32 {
	if n.kind == leaf {
		if n.negated {
			yes, no = no, yes
		}
		c.p.steps = append(c.p.steps, step{test: n.test, yes: yes, no: no, decided: c.decided[n.test]})
		return int32(len(c.p.steps) - 1)
	}
	slices.SortStableFunc(n.nodes, func(a, b *node) int { return c.effort(a) - c.effort(b) })
	next := yes
	if n.kind == disjunction {
		next = no
	}
	for _, part := range slices.Backward(n.nodes) {
		if n.kind == conjunction {
			next = c.emit(part, next, no)
		} else {
			next = c.emit(part, yes, next)
		}
	}
	return next
}

// effort is how long a node takes, so that what is known comes first: 0 for what
// the index decides, 1 for a look at a value, 2 for a search with a pattern.
func (c *compiler) effort(n *node) int {
	if n.kind == leaf {
		switch {
		case c.decided[n.test]:
			return 0
		case c.p.tests[n.test].slow:
			return 2
		}
		return 1
	}
	most := 0
	for _, part := range n.nodes {
		most = max(most, c.effort(part))
	}
	return most
}
