package schedule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// decodeYAML reads the documents of a YAML file as decode reads JSON: objects as
// map[string]any, arrays as []any, numbers as json.Number. References between parts
// (anchors) are refused: a small file could grow without bound.
func decodeYAML(data []byte) ([]any, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var documents []any
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
		}
		if len(documents) == maxQueries {
			return nil, fmt.Errorf("there are more than %d documents", maxQueries)
		}
		value, err := yamlValue(&node, maxDepth)
		if err != nil {
			return nil, err
		}
		if value != nil { // nothing between two separators
			documents = append(documents, value)
		}
	}
}

func yamlValue(node *yaml.Node, depth int) (any, error) {
	if depth == 0 {
		return nil, fmt.Errorf("line %d: it is nested too deeply", node.Line)
	}
	switch node.Kind {
	case yaml.DocumentNode:
		return yamlValue(node.Content[0], depth)
	case yaml.MappingNode:
		return yamlObject(node, depth-1)
	case yaml.SequenceNode:
		list := make([]any, 0, len(node.Content))
		for _, item := range node.Content {
			value, err := yamlValue(item, depth-1)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, nil
	case yaml.ScalarNode:
		return yamlScalar(node), nil
	}
	return nil, fmt.Errorf("line %d: anchors are not supported", node.Line)
}

func yamlObject(node *yaml.Node, depth int) (any, error) {
	object := map[string]any{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			return nil, fmt.Errorf("line %d: a key must be a text", key.Line)
		}
		if _, twice := object[key.Value]; twice {
			return nil, fmt.Errorf("line %d: the key %q is given twice", key.Line, key.Value)
		}
		value, err := yamlValue(node.Content[i+1], depth)
		if err != nil {
			return nil, err
		}
		object[key.Value] = value
	}
	return object, nil
}

// yamlScalar is a value as JSON would have it. What JSON cannot write as a number
// or knows no kind of, such as a date, stays the text that it is.
func yamlScalar(node *yaml.Node) any {
	switch node.Tag {
	case "!!null":
		return nil
	case "!!bool":
		var value bool
		if node.Decode(&value) == nil {
			return value
		}
	case "!!int", "!!float":
		if json.Valid([]byte(node.Value)) {
			return json.Number(node.Value)
		}
	}
	return node.Value
}
