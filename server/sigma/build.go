package sigma

import (
	"fmt"
	"strings"
)

// built is a part of a rule as conditions of one target: a rule of them, or a truth
// that does not depend on the row.
type built struct {
	rule  map[string]any // nil: constant
	holds bool           // the constant
	why   []string       // it is constant, one sentence each
}

// builder makes the conditions of one target.
type builder struct {
	target *target
	tables string
	work   *int
	leaves int
	lacks  []string // fields that were asked for in vain, each once
}

func (b *builder) build(n node) (built, error) {
	switch n := n.(type) {
	case *group:
		return b.group(n)
	case *negation:
		part, err := b.build(n.of)
		return part.negated(), err
	default:
		return b.item(n.(*item))
	}
}

func (b *builder) group(g *group) (built, error) {
	word := "OR"
	if g.all {
		word = "AND"
	}
	var rules []any
	var why []string
	for _, n := range g.nodes {
		part, err := b.build(n)
		switch {
		case err != nil:
			return built{}, err
		case part.rule == nil && part.holds != g.all:
			return part, nil // it decides
		case part.rule == nil:
			why = append(why, part.why...)
		case part.rule["condition"] == word && part.rule["not"] == nil:
			rules = append(rules, part.rule["rules"].([]any)...)
		default:
			rules = append(rules, part.rule)
		}
	}
	if len(rules) == 0 {
		return built{holds: g.all, why: why}, nil
	}
	return built{rule: grouped(word, rules)}, nil
}

// grouped is a group of rules, or the only one.
func grouped(word string, rules []any) map[string]any {
	if len(rules) == 1 {
		return rules[0].(map[string]any)
	}
	return map[string]any{"condition": word, "rules": rules}
}

func (p built) negated() built {
	if p.rule == nil {
		p.holds = !p.holds
		return p
	}
	if p.rule["not"] == true { // of one rule, as it is made below
		return built{rule: p.rule["rules"].([]any)[0].(map[string]any)}
	}
	return built{rule: map[string]any{"condition": "AND", "not": true, "rules": []any{p.rule}}}
}

// item is what asks a field of Sigma.
func (b *builder) item(it *item) (built, error) {
	c, known := column{Column: "*", Escaped: b.target.json()}, true
	if it.field != "" {
		c, known = b.target.column(it.field)
	}
	if !known {
		return b.lack(it.field), nil
	}
	w := writer{target: b.target, item: it, column: c}
	rule, lacking := w.write()
	if lacking != "" {
		return b.lack(lacking), nil
	}
	*b.work += w.count
	if b.leaves += w.count; b.leaves > maxLeaves {
		return built{}, wrong(it.line, "the rule asks more than %d things", maxLeaves)
	}
	part := built{rule: rule}
	if c.Constant != nil {
		holds, err := decide(rule, *c.Constant)
		if err != nil {
			return built{}, err
		}
		part = built{holds: holds, why: []string{fmt.Sprintf("%s is always %s in %s", clip(it.field), clip(*c.Constant), b.tables)}}
	}
	if it.negated {
		part = part.negated()
	}
	return part, nil
}

// lack is an item on a field that the target does not have: false, whatever it asks.
func (b *builder) lack(field string) built {
	why := fmt.Sprintf("field %s is not in %s", clip(field), b.tables)
	for _, known := range b.lacks {
		if known == why {
			return built{why: []string{why}}
		}
	}
	b.lacks = append(b.lacks, why)
	return built{why: []string{why}}
}

// named is "table a" or "tables a, b".
func named(tables []string) string {
	if len(tables) == 1 {
		return "table " + tables[0]
	}
	return "tables " + strings.Join(tables, ", ")
}
