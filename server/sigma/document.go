package sigma

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// document is one YAML document of a text.
type document struct {
	line int // of its first line in the text
	text []byte
}

// split cuts a text into its documents, which are parsed one by one so that a broken
// one spares the others. A document of comments alone is none.
func split(text []byte) []document {
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	var documents []document
	line, start, first := 0, 0, 1
	end := func(to, next, nextLine int) {
		if holdsSomething(text[start:to]) {
			documents = append(documents, document{first, text[start:to]})
		}
		start, first = next, nextLine
	}
	for at := 0; at < len(text); {
		line++
		size := bytes.IndexByte(text[at:], '\n') + 1
		if size == 0 {
			size = len(text) - at
		}
		switch word, _, _ := bytes.Cut(bytes.TrimRight(text[at:at+size], "\r\n\t "), []byte(" ")); string(word) {
		case "---":
			end(at, at, line)
		case "...":
			end(at, at+size, line+1)
		}
		at += size
	}
	end(len(text), len(text), line)
	return documents
}

func holdsSomething(text []byte) bool {
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(bytes.TrimPrefix(line, []byte("---")))
		if len(line) > 0 && line[0] != '#' && line[0] != '%' {
			return true
		}
	}
	return false
}

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(?s:(.*))$`)

// parse returns the document's mapping: without aliases, without keys that stand
// twice, of bounded depth and size, and with the lines of the text.
func (d document) parse(work *int) (*yaml.Node, error) {
	if len(d.text) > maxDocument {
		return nil, wrong(d.line, "the document is larger than %d KiB", maxDocument>>10)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(d.text, &root); err != nil {
		line, text := d.line, err.Error()
		if found := yamlError.FindStringSubmatch(text); found != nil {
			n, _ := strconv.Atoi(found[1])
			line, text = line+max(n-1, 0), found[2]
		}
		return nil, wrong(line, "no YAML: %s", clip(text))
	}
	if root.Kind != yaml.DocumentNode || root.Content[0].Kind != yaml.MappingNode {
		return nil, wrong(d.line, "the document is no mapping of keys to values")
	}
	r := resolver{base: d.line - 1, left: maxNodes}
	defer func() { *work += maxNodes - r.left }()
	return r.resolve(root.Content[0], 1)
}

// resolver copies nodes and puts what they stand for in the place of aliases. A few
// lines of YAML can stand for billions of nodes, so they are counted.
type resolver struct{ base, left int }

func (r *resolver) resolve(n *yaml.Node, depth int) (*yaml.Node, error) {
	line := n.Line + r.base
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if depth > maxDepth {
		return nil, wrong(line, "the YAML nests deeper than %d levels", maxDepth)
	}
	if r.left--; r.left < 0 {
		return nil, wrong(line, "the YAML has more than %d values", maxNodes)
	}
	plain := &yaml.Node{Kind: n.Kind, Style: n.Style, Tag: n.Tag, Value: n.Value, Line: line}
	known := map[string]bool{}
	for i, child := range n.Content {
		resolved, err := r.resolve(child, depth+1)
		if err != nil {
			return nil, err
		}
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if err := checkKey(resolved, known); err != nil {
				return nil, err
			}
		}
		plain.Content = append(plain.Content, resolved)
	}
	return plain, nil
}

func checkKey(key *yaml.Node, known map[string]bool) error {
	switch {
	case key.Kind != yaml.ScalarNode:
		return wrong(key.Line, "a key must be text")
	case key.ShortTag() == "!!merge":
		return wrong(key.Line, "<< is not supported: write the keys out")
	case known[key.Value]:
		return wrong(key.Line, "the key %s stands twice", clip(key.Value))
	}
	known[key.Value] = true
	return nil
}

// member returns the value of a key, or nil.
func member(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

func isNull(n *yaml.Node) bool { return n == nil || n.ShortTag() == "!!null" }

// text returns the text of a key, as written, or "" when it is missing or null.
func text(mapping *yaml.Node, key string, most int) (string, error) {
	n := member(mapping, key)
	switch {
	case isNull(n):
		return "", nil
	case n.Kind != yaml.ScalarNode:
		return "", wrong(n.Line, "%s must be text", key)
	case len(n.Value) > most:
		return "", wrong(n.Line, "%s is longer than %d bytes", key, most)
	}
	return strings.TrimSpace(n.Value), nil
}

// texts returns the texts of a key that has a list of them, or one alone.
func texts(mapping *yaml.Node, key string) ([]string, error) {
	n := member(mapping, key)
	if isNull(n) {
		return nil, nil
	}
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	if len(items) > maxList {
		return nil, wrong(n.Line, "%s has more than %d values", key, maxList)
	}
	var list []string
	for _, item := range items {
		switch {
		case item.Kind != yaml.ScalarNode:
			return nil, wrong(item.Line, "%s must be a list of texts", key)
		case len(item.Value) > maxText:
			return nil, wrong(item.Line, "%s has a text longer than %d bytes", key, maxText)
		case !isNull(item):
			list = append(list, strings.TrimSpace(item.Value))
		}
	}
	return list, nil
}
