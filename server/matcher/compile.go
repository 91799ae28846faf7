package matcher

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"muster/server/condition"
)

// compiler makes a program. It works on one group at a time, save for the
// automata, which share one bound.
type compiler struct {
	p      *Program
	tests  map[string]int32 // by key
	fields map[string]int32 // by key
	// Of the present group:
	asked   []float64         // by test: how many rules ask for it
	wakes   map[int32][]int32 // by test: the rules that it wakes
	decided []bool            // by test: the index knows it
}

// Compile makes a program of the rules, which found and Failure name by their
// places in the list. It takes about a second for 6,000 rules, so it belongs off
// the path of events.
//
// Its automata take 128 MiB at most, save for sets of rules with more texts than
// differ in their first two bytes, by table and field.
func Compile(rules []Rule) *Program { return compile(rules, maxEntries) }

func compile(rules []Rule, entries int) *Program {
	p := &Program{columns: map[string]int32{}, byTable: map[string][]int32{}, starts: make([]int32, len(rules)), counters: make([]counters, len(rules))}
	c := &compiler{p: p, tests: map[string]int32{}, fields: map[string]int32{}}
	c.route(rules)
	nodes := make([]*node, len(rules))
	for i, r := range rules {
		nodes[i] = c.node(r.Tree.Root(), false)
	}
	c.asked, c.decided = make([]float64, len(p.tests)), make([]bool, len(p.tests))
	drafts := make([]draftGroup, len(p.groups))
	for i := range p.groups {
		drafts[i] = c.draft(&p.groups[i], nodes)
	}
	length := automata(drafts, entries)
	for i := range p.groups {
		c.finish(&p.groups[i], drafts[i], length, nodes)
	}
	p.measure()
	p.states.New = func() any { return newState(p) }
	return p
}

// route puts each rule into the group of its tables and platforms.
func (c *compiler) route(rules []Rule) {
	numbers := map[string]int32{}
	for i, r := range rules {
		tables, platforms := distinct(r.Tables), distinct(r.Platforms)
		key := strings.Join(tables, "\x00") + "\x00\x00" + strings.Join(platforms, "\x00")
		number, known := numbers[key]
		if !known {
			number = int32(len(c.p.groups))
			numbers[key] = number
			c.p.groups = append(c.p.groups, group{tables: tables, platforms: platforms})
			for _, table := range tables {
				c.p.byTable[table] = append(c.p.byTable[table], number)
			}
			if len(tables) == 0 {
				c.p.anyTable = append(c.p.anyTable, number)
			}
		}
		c.p.groups[number].rules = append(c.p.groups[number].rules, int32(i))
	}
}

func distinct(names []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(names)))
}

// test returns the number of a test, the same for tests that mean the same.
func (c *compiler) test(t condition.Test) int32 {
	key := t.Key()
	if number, known := c.tests[key]; known {
		return number
	}
	number := int32(len(c.p.tests))
	c.tests[key] = number
	c.p.tests = append(c.p.tests, test{Test: t, field: c.field(t.Field), slow: t.Slow()})
	return number
}

func (c *compiler) field(f condition.Field) int32 {
	key := f.Key()
	if number, known := c.fields[key]; known {
		return number
	}
	number := int32(len(c.p.fields))
	c.fields[key] = number
	c.p.fields = append(c.p.fields, f)
	if !f.Any && !f.Own && !f.Computed() {
		c.p.columns[f.Name] = number
	}
	return number
}

// draftGroup is a group's indexes in the making, and its signals.
type draftGroup struct {
	indexes  []*draft
	from, to int // signals
}

// draft chooses the triggers of a group's rules and what its indexes look for.
func (c *compiler) draft(g *group, nodes []*node) draftGroup {
	var used []int32
	for _, rule := range g.rules {
		own := distinctTests(nodes[rule].uses(nil))
		for _, t := range own {
			c.asked[t]++
		}
		used = append(used, own...)
	}
	used = distinctTests(used)
	c.wakes = map[int32][]int32{}
	for _, rule := range g.rules {
		chosen, ok := c.choose(nodes[rule])
		if !ok {
			g.always = append(g.always, rule)
			continue
		}
		for _, t := range distinctTests(chosen.tests) {
			c.wakes[t] = append(c.wakes[t], rule)
		}
	}
	out := draftGroup{from: len(c.p.signals)}
	byField := map[int32]*draft{}
	for _, t := range used {
		c.asked[t] = 0
		if wakes := c.wakes[t]; wakes != nil || c.worthwhile(t) {
			f := c.p.tests[t].field
			if byField[f] == nil {
				byField[f] = &draft{index: index{field: f, any: c.p.fields[f].Any}}
			}
			byField[f].add(c.p.tests[t].Test, int32(len(c.p.signals)))
			c.p.signals = append(c.p.signals, signal{test: t, wakes: wakes})
		}
	}
	out.to, out.indexes = len(c.p.signals), slices.Collect(maps.Values(byField))
	slices.SortFunc(out.indexes, func(a, b *draft) int { return cmp.Compare(a.field, b.field) })
	return out
}

func distinctTests(tests []int32) []int32 { return slices.Compact(slices.Sorted(slices.Values(tests))) }

// worthwhile reports whether a test that wakes no rule is indexed all the same: a
// search through the whole value, or a long list. What looks at one end of a value
// is as fast done when a rule asks for it.
func (c *compiler) worthwhile(t int32) bool {
	needs, enough := c.p.tests[t].Needs()
	if !enough {
		return false
	}
	for _, n := range needs {
		if !indexable(n) || len(n.Text) > maxLength && n.Place != condition.Whole {
			return false
		}
	}
	return len(needs) > maxSplit || needs[0].Place == condition.Within
}

// How much of a text the automata look for, in bytes, and how many entries their
// tables may have together, of 4 bytes each. When they would have more, they look
// for less of each text, and the tests are evaluated when that is found. There
// are not many texts of two bytes.
const (
	maxLength  = 32
	minLength  = 2
	maxEntries = 32 << 20
)

// automata makes those of all groups, and returns the length of their texts.
func automata(drafts []draftGroup, entries int) (length int) {
	for length = maxLength; ; length = max(minLength, length*2/3) {
		left := entries
		if length == minLength {
			left = math.MaxInt32 / 2
		}
		if grown(drafts, length, left) {
			return length
		}
	}
}

func grown(drafts []draftGroup, length, left int) bool {
	for _, g := range drafts {
		for _, d := range g.indexes {
			if d.needs == nil {
				continue
			}
			if d.literals = newAutomaton(d.needs, d.signals, length, left); d.literals == nil {
				return false
			}
			left -= len(d.literals.table)
		}
	}
	return true
}

// finish completes a group's indexes and writes the steps of its rules.
func (c *compiler) finish(g *group, drafts draftGroup, length int, nodes []*node) {
	for _, d := range drafts.indexes {
		d.finish()
		if d.literals != nil {
			d.literals.first = c.p.hits
			c.p.hits += len(d.literals.hits)
		}
		g.indexes = append(g.indexes, d.index)
	}
	signals := c.p.signals[drafts.from:drafts.to]
	for i := range signals {
		signals[i].decides = c.decides(signals[i].test, length)
		c.decided[signals[i].test] = signals[i].decides
	}
	for _, rule := range g.rules {
		c.p.starts[rule] = c.emit(nodes[rule], matches, fails)
	}
	for i := range signals {
		c.decided[signals[i].test] = false
	}
}

// decides reports whether a test is true of whatever its index finds.
func (c *compiler) decides(test int32, length int) bool {
	t := c.p.tests[test]
	if _, enough, ok := t.Bound(); ok {
		return enough
	}
	if t.Networks() != nil {
		return true
	}
	needs, enough := t.Needs()
	for _, n := range needs {
		if n.Place != condition.Whole && len(n.Text) > length {
			return false
		}
	}
	return enough
}
