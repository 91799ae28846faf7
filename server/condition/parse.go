package condition

import (
	"fmt"
	"strings"

	"muster/server/fault"
)

// Bounds of every tree, beside those of the options.
const (
	maxDepth   = 32
	maxText    = 8 << 10
	maxName    = 1 << 10
	maxMembers = 16 // names of a path, columns of a template
)

// columnField is the field whose value names the column: [column, value].
const columnField = "column"

// Parse reads conditions as the API's query builder writes them: groups
// {condition, not, rules} that hold groups and leaves {field, operator, value}.
// The field "column" has the name of the column in its value; the field "*" is any
// column. A leaf may have a path, to a member of the JSON in its column, or a
// template, the text that stands for its value: "MD5={md5},SHA256={sha256}".
// Operators that end in _field take the name of another field for their value, or
// {field, path, template}.
//
// Faults: Invalid for a key that is missing or of the wrong kind, named by its
// path such as rules[2].value, and for words that are not known; Unprocessable
// for values that an operator cannot use and trees beyond the bounds.
func Parse(conditions map[string]any, o Options) (*Tree, error) {
	if o.Bounds == (Bounds{}) {
		o.Bounds = Searches
	}
	p := parser{own: o.Own, bounds: o.Bounds}
	root, err := p.group(conditions, "", 1)
	if err != nil {
		return nil, err
	}
	return &Tree{root: root}, nil
}

type parser struct {
	own                     []string
	bounds                  Bounds
	leaves, values, program int
}

func (p *parser) group(m map[string]any, path string, depth int) (*Group, error) {
	if depth > maxDepth {
		return nil, fault.New(fault.Unprocessable, "The conditions nest deeper than %d groups", maxDepth)
	}
	word, err := text(m, path, "condition")
	if err != nil {
		return nil, err
	}
	g := &Group{All: strings.EqualFold(word, "AND")}
	if !g.All && !strings.EqualFold(word, "OR") {
		return nil, fault.New(fault.Invalid, "Unknown condition: %s", clip(word))
	}
	switch not := m["not"].(type) {
	case nil:
	case bool:
		g.Negated = not
	default:
		return nil, fault.New(fault.Invalid, "%snot must be true or false", path)
	}
	list, err := rules(m, path)
	if err != nil {
		return nil, err
	}
	for i, rule := range list {
		n, err := p.rule(rule, fmt.Sprintf("%srules[%d]", path, i), depth)
		if err != nil {
			return nil, err
		}
		g.Nodes = append(g.Nodes, n)
	}
	return g, nil
}

// rules returns what stands in a group.
func rules(m map[string]any, path string) ([]any, error) {
	rules, there := m["rules"]
	list, ok := rules.([]any)
	switch {
	case !there:
		return nil, fault.New(fault.Invalid, "%srules is missing", path)
	case !ok:
		return nil, fault.New(fault.Invalid, "%srules must be a list", path)
	case len(list) == 0:
		return nil, fault.New(fault.Invalid, "A group contains no rules")
	}
	return list, nil
}

// rule reads what stands in a group: a leaf, or another group.
func (p *parser) rule(rule any, path string, depth int) (Node, error) {
	m, ok := rule.(map[string]any)
	if !ok {
		return nil, fault.New(fault.Invalid, "%s must be an object", path)
	}
	_, grouped := m["rules"]
	if _, named := m["condition"]; grouped || named {
		return p.group(m, path+".", depth+1)
	}
	if p.leaves++; p.leaves > p.bounds.Leaves {
		return nil, fault.New(fault.Unprocessable, "The conditions have more than %d rules", p.bounds.Leaves)
	}
	return p.leaf(m, path+".")
}

func (p *parser) leaf(m map[string]any, path string) (Node, error) {
	field, err := p.field(m, path)
	if err != nil {
		return nil, err
	}
	word, err := text(m, path, "operator")
	if err != nil {
		return nil, err
	}
	value, given := m["value"]
	if field.Name == columnField && !field.Own && !field.Computed() {
		word = strings.TrimPrefix(word, "column_")
		if field.Name, value, given, err = columnValue(value, given, path); err != nil {
			return nil, err
		}
		if !isName(field.Name) {
			return nil, fault.New(fault.Unprocessable, "%sfield is no name of a column", path)
		}
	}
	op, own, negated, known := lookup(word)
	if !known {
		return nil, fault.New(fault.Invalid, "Unsupported operator: %s", clip(word))
	}
	if field.Any && (own == "is_null" || op.takes == another) {
		return nil, fault.New(fault.Unprocessable, "%soperator does not go with the field *", path)
	}
	l := &Leaf{Field: field, Negated: negated, word: own}
	if op.takes == another {
		l.asks, err = p.related(op.relates, value, given, path+"value")
		return l, err
	}
	values, err := p.read(op.takes, value, given, path+"value")
	if err != nil {
		return nil, err
	}
	for _, v := range values {
		l.values = append(l.values, v.text)
	}
	l.asks, err = op.build(p, values, path+"value")
	return l, err
}

// columnValue takes apart the value of the field "column": the column and what
// remains, which is one value or a list of them, or the column alone.
func columnValue(value any, given bool, path string) (column string, rest any, left bool, err error) {
	switch v := value.(type) {
	case string:
		return v, nil, false, nil
	case []any:
		if len(v) == 0 {
			break
		}
		name, ok := v[0].(string)
		if !ok {
			break
		}
		switch len(v) {
		case 1:
			return name, nil, false, nil
		case 2:
			return name, v[1], true, nil
		}
		return name, v[1:], true, nil
	}
	if !given {
		return "", nil, false, fault.New(fault.Invalid, "%svalue is missing", path)
	}
	return "", nil, false, fault.New(fault.Invalid, "%svalue must be a column and a value: [column, value]", path)
}

// text returns a key that has to be there and to be text.
func text(m map[string]any, path, key string) (string, error) {
	value, there := m[key]
	if !there {
		return "", fault.New(fault.Invalid, "%s%s is missing", path, key)
	}
	s, ok := value.(string)
	if !ok {
		return "", fault.New(fault.Invalid, "%s%s must be text", path, key)
	}
	return s, nil
}

// clip bounds what a message repeats.
func clip(word string) string {
	if len(word) > 100 {
		word = word[:100] + "..."
	}
	return strings.ToValidUTF8(word, "\uFFFD")
}
