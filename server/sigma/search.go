package sigma

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// node is a part of a rule's detection: a *group, a *negation or an *item.
type node any

// group is the conjunction of its nodes, or their disjunction.
type group struct {
	all   bool
	nodes []node
}

type negation struct{ of node }

// item asks one thing of one field, or of any when field is "".
type item struct {
	field   string
	line    int
	all     bool // every value has to be met, not one of them
	negated bool
	cased   bool
	values  []value
}

// value is a value of the rule: what it became, one of which has to be met.
type value []term

// term is one predicate on a field.
type term struct {
	kind termKind
	text string  // an expression, a network, a number, the name of a field
	like pattern // of matches
	word string  // the operator of compares, the place of refers
}

type termKind uint8

const (
	matches  termKind = iota // the pattern
	fits                     // the regular expression
	within                   // the network
	compares                 // as word says with the number
	empty                    // missing or ""
	present
	absent
	refers // to another field
)

// parser reads the detection of one rule.
type parser struct {
	mapping  *Mapping
	work     *int
	values   int
	searches map[string]node
	names    []string // of the searches, as they stand in the rule
	used     int      // nodes of choices in the condition
}

// search reads what a search identifier stands for.
func (p *parser) search(name string, n *yaml.Node) (node, error) {
	switch n.Kind {
	case yaml.MappingNode:
		return p.fields(name, n)
	case yaml.SequenceNode:
		return p.alternatives(name, n)
	}
	return p.keywords(name, []*yaml.Node{n})
}

// alternatives reads a list of maps, of keywords, or of both.
func (p *parser) alternatives(name string, n *yaml.Node) (node, error) {
	g := &group{}
	var words []*yaml.Node
	for _, element := range n.Content {
		switch element.Kind {
		case yaml.MappingNode:
			fields, err := p.fields(name, element)
			if err != nil {
				return nil, err
			}
			g.nodes = append(g.nodes, fields)
		case yaml.ScalarNode:
			words = append(words, element)
		default:
			return nil, wrong(element.Line, "%s: a list in a list", clip(name))
		}
	}
	if len(words) > 0 {
		found, err := p.keywords(name, words)
		if err != nil {
			return nil, err
		}
		g.nodes = append(g.nodes, found)
	}
	if len(g.nodes) == 0 {
		return nil, wrong(n.Line, "%s is an empty list", clip(name))
	}
	return g, nil
}

// keywords reads values without a field.
func (p *parser) keywords(name string, values []*yaml.Node) (node, error) {
	it := &item{line: values[0].Line}
	return it, p.read(it, name, modifiers{}, values)
}

// fields reads a map of fields, all of which have to be met.
func (p *parser) fields(name string, n *yaml.Node) (node, error) {
	g := &group{all: true}
	for i := 0; i+1 < len(n.Content); i += 2 {
		it, err := p.item(name, n.Content[i], n.Content[i+1])
		if err != nil {
			return nil, err
		}
		g.nodes = append(g.nodes, it)
	}
	if len(g.nodes) == 0 {
		return nil, wrong(n.Line, "%s is an empty map", clip(name))
	}
	return g, nil
}

// item reads a field with its modifiers and values.
func (p *parser) item(name string, key, n *yaml.Node) (*item, error) {
	words := strings.Split(key.Value, "|")
	m, err := readModifiers(words[1:], key.Line)
	if err != nil {
		return nil, err
	}
	it := &item{field: strings.TrimSpace(words[0]), line: key.Line}
	if len(it.field) > maxTitle {
		return nil, wrong(key.Line, "%s: the name of a field is longer than %d bytes", clip(name), maxTitle)
	}
	values := []*yaml.Node{n}
	switch n.Kind {
	case yaml.MappingNode:
		return nil, wrong(n.Line, "%s: %s must be a value or a list of values, not a map", clip(name), clip(key.Value))
	case yaml.SequenceNode:
		if values = n.Content; len(values) == 0 {
			return nil, wrong(n.Line, "%s: %s is an empty list", clip(name), clip(key.Value))
		}
	}
	return it, p.read(it, name+": "+key.Value, m, values)
}

// read gives an item its values.
func (p *parser) read(it *item, label string, m modifiers, values []*yaml.Node) error {
	if it.field == "" {
		if err := m.forKeywords(it.line); err != nil {
			return err
		}
		if m.kind == "" {
			m.place = contains
		}
	}
	it.all, it.negated, it.cased = m.all, m.negated, m.cased
	for _, n := range values {
		v, err := p.value(it, label, m, n)
		if err != nil {
			return err
		}
		*p.work += len(v)
		if p.values += len(v); p.values > maxValues {
			return wrong(n.Line, "the rule has more than %d values", maxValues)
		}
		it.values = append(it.values, v)
	}
	return nil
}
