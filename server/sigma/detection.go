package sigma

import (
	"gopkg.in/yaml.v3"
)

// detection reads what the rule looks for: the condition, with the searches in the
// places of their names.
func (p *parser) detection(root *yaml.Node) (node, error) {
	n := member(root, "detection")
	if n == nil {
		return nil, wrong(root.Line, "detection is missing")
	}
	if n.Kind != yaml.MappingNode {
		return nil, wrong(n.Line, "detection must be a mapping")
	}
	if err := p.readSearches(n); err != nil {
		return nil, err
	}
	condition := member(n, "condition")
	if isNull(condition) {
		return nil, wrong(n.Line, "detection has no condition")
	}
	if frame := member(n, "timeframe"); frame != nil {
		return nil, unusable(frame.Line, "timeframe is not supported yet")
	}
	conditions := []*yaml.Node{condition}
	if condition.Kind == yaml.SequenceNode {
		conditions = condition.Content
	}
	if len(conditions) == 0 {
		return nil, wrong(condition.Line, "condition is an empty list")
	}
	alternatives := &group{}
	for _, c := range conditions {
		if c.Kind != yaml.ScalarNode || isNull(c) {
			return nil, wrong(c.Line, "condition must be text or a list of texts")
		}
		parsed, err := p.condition(c.Value, c.Line)
		if err != nil {
			return nil, err
		}
		alternatives.nodes = append(alternatives.nodes, parsed)
	}
	return alternatives, nil
}

func (p *parser) readSearches(n *yaml.Node) error {
	p.searches = map[string]node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, content := n.Content[i].Value, n.Content[i+1]
		if name == "condition" || name == "timeframe" {
			continue
		}
		if len(p.names) == maxNames {
			return wrong(n.Content[i].Line, "detection has more than %d search identifiers", maxNames)
		}
		found, err := p.search(name, content)
		if err != nil {
			return err
		}
		p.searches[name] = found
		p.names = append(p.names, name)
	}
	return nil
}
