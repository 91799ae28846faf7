package matcher

import "muster/server/condition"

// node is a part of a condition. Negations stand at its leaves alone.
type node struct {
	kind    kind
	nodes   []*node
	test    int32
	negated bool // of a leaf
}

type kind uint8

const (
	leaf kind = iota
	conjunction
	disjunction
)

// maxSplit is how long a list may be that is taken apart, so that rules share its
// values. A longer one stays one test.
const maxSplit = 32

// node takes over a part of a tree, or its negation.
func (c *compiler) node(n condition.Node, negated bool) *node {
	switch n := n.(type) {
	case *condition.Group:
		negated = negated != n.Negated
		out := &node{kind: disjunction}
		if n.All != negated { // not (a or b) is (not a) and (not b)
			out.kind = conjunction
		}
		for _, part := range n.Nodes {
			out.add(c.node(part, negated))
		}
		return out
	case *condition.Leaf:
		return c.leaf(n, negated != n.Negated)
	}
	return &node{kind: disjunction} // there is no other: it never matches
}

// add appends a part; a part of the same kind is dissolved.
func (n *node) add(part *node) {
	if part.kind == n.kind {
		n.nodes = append(n.nodes, part.nodes...)
	} else {
		n.nodes = append(n.nodes, part)
	}
}

func (c *compiler) leaf(l *condition.Leaf, negated bool) *node {
	tests := l.Tests()
	if len(tests) == 1 || len(tests) > maxSplit {
		return &node{test: c.test(l.Test()), negated: negated}
	}
	out := &node{kind: disjunction}
	if negated {
		out.kind = conjunction
	}
	for _, t := range tests {
		out.nodes = append(out.nodes, &node{test: c.test(t), negated: negated})
	}
	return out
}

// uses adds the tests of a node; one that stands twice is added twice.
func (n *node) uses(tests []int32) []int32 {
	if n.kind == leaf {
		return append(tests, n.test)
	}
	for _, part := range n.nodes {
		tests = part.uses(tests)
	}
	return tests
}
