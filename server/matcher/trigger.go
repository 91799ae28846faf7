package matcher

import (
	"math"

	"muster/server/condition"
)

// choice is tests of which one is true whenever a rule matches.
type choice struct {
	tests []int32
	cost  float64 // how often one of them is true, guessed
}

// choose returns the cheapest triggers of a node: of a conjunction those of the
// cheapest part, of a disjunction those of all parts together. There are none for
// a negation, or when a test cannot be indexed.
func (c *compiler) choose(n *node) (choice, bool) {
	switch n.kind {
	case leaf:
		cost, ok := c.cost(n.test)
		return choice{[]int32{n.test}, cost}, ok && !n.negated
	case conjunction:
		var best choice
		found := false
		for _, part := range n.nodes {
			if one, ok := c.choose(part); ok && (!found || one.cost < best.cost) {
				best, found = one, true
			}
		}
		return best, found
	}
	var all choice
	for _, part := range n.nodes {
		one, ok := c.choose(part)
		if !ok {
			return choice{}, false
		}
		all.tests = append(all.tests, one.tests...)
		all.cost += one.cost
	}
	return all, true
}

// cost guesses how often a test is true, from how much its texts say and from how
// many rules ask for it: what every rule of a group asks for (event_type is exec)
// is true of most events, and the name of a shell is seen more often than that of
// a tool that one rule knows. It is not ok when the test cannot be indexed.
func (c *compiler) cost(test int32) (cost float64, ok bool) {
	t := c.p.tests[test].Test
	if _, _, ok := t.Bound(); ok {
		return 0.2 * c.asked[test], true
	}
	if networks := t.Networks(); networks != nil {
		return 0.05 * c.asked[test], true
	}
	needs, _ := t.Needs()
	for _, n := range needs {
		if !indexable(n) {
			return 0, false
		}
		cost += math.Exp2(-bits(n))
	}
	return cost * c.asked[test], len(needs) > 0
}

// indexable reports whether a text is worth looking for. A single letter anywhere
// is found in nearly every value.
func indexable(n condition.Need) bool {
	return n.Place == condition.Whole || len(n.Text) > 1 || n.Place != condition.Within && n.Text != ""
}

// bits is how much a text says.
func bits(n condition.Need) float64 {
	length := float64(min(len(n.Text), 20))
	switch n.Place {
	case condition.Whole:
		return length + 2
	case condition.Within:
		return length * 0.75
	}
	return length*0.85 + 0.5
}
