package sigma

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// column is what stands for a field of Sigma in a row. In a mapping it is the name of
// the column, or a map with column or template or constant, and more.
type column struct {
	Column   string `yaml:"column"`
	Path     string `yaml:"path"`     // a member inside the column, which is JSON
	Template string `yaml:"template"` // text with columns in braces
	// Constant is what the field would say of every row of the table.
	Constant *string `yaml:"constant"`
	// Values are Sigma's words for what the column says otherwise.
	Values map[string]string `yaml:"values"`
	// Prefixes are beginnings of Sigma's values that the column writes otherwise.
	Prefixes map[string]string `yaml:"prefixes"`
	// DWORD: numbers that Sysmon writes as "DWORD (0x0000002a)" are decimal here.
	DWORD bool `yaml:"dword"`
	// Escaped: the whole column is JSON text, in which a backslash stands before
	// backslashes and quotes.
	Escaped bool `yaml:"escaped"`
}

var columnKeys = []string{"column", "path", "template", "constant", "values", "prefixes", "dword", "escaped"}

// UnmarshalYAML reads a name or a map.
func (c *column) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		c.Column = n.Value
	} else {
		type plain column // without this method
		if err := n.Decode((*plain)(c)); err != nil {
			return err
		}
		for i := 0; i < len(n.Content); i += 2 {
			if key := n.Content[i]; !slices.Contains(columnKeys, key.Value) {
				return fmt.Errorf("line %d: field %s not found", key.Line, clip(key.Value))
			}
		}
	}
	kinds := 0
	for _, given := range []bool{c.Column != "", c.Template != "", c.Constant != nil} {
		if given {
			kinds++
		}
	}
	if kinds != 1 || c.Path != "" && c.Column == "" {
		return fmt.Errorf("line %d: a field must be the name of a column, or have one of column, template and constant", n.Line)
	}
	return nil
}

// String is the column for people.
func (c column) String() string {
	switch {
	case c.Template != "":
		return c.Template
	case c.Constant != nil:
		return strconv.Quote(*c.Constant)
	case c.Path != "":
		return c.Column + "." + c.Path
	}
	return c.Column
}

// leaf is a rule of conditions on the column, without an operator. field is Sigma's name.
func (c column) leaf(field string) map[string]any {
	switch {
	case c.Template != "":
		return map[string]any{"field": field, "template": c.Template}
	case c.Constant != nil:
		return map[string]any{"field": constantField}
	case c.Path != "":
		return map[string]any{"field": c.Column, "path": c.Path}
	}
	return map[string]any{"field": c.Column}
}

// reference is the column as the value of an operator that compares fields.
func (c column) reference(field string) any {
	if c.Template == "" && c.Path == "" {
		return c.Column
	}
	return c.leaf(field)
}

var dword = regexp.MustCompile(`(?i)^[DQ]WORD \(0x([0-9a-f]{1,8})(?:-0x([0-9a-f]{8}))?\)$`)

var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// written returns how the column writes what the pattern is about.
func (c column) written(p pattern) []pattern {
	p = c.rewrite(p)
	if !c.Escaped {
		return []pattern{p}
	}
	escaped := append(pattern(nil), p...)
	for i := range escaped {
		escaped[i].text = escape.Replace(escaped[i].text)
	}
	if slices.Equal(p, escaped) {
		return []pattern{p}
	}
	return []pattern{p, escaped}
}

// rewrite turns a pattern of Sigma's values into one of the column's.
func (c column) rewrite(p pattern) pattern {
	text, plain := p.plain()
	if plain {
		for from, to := range c.Values {
			if strings.EqualFold(from, text) {
				return pattern{{text: to}}
			}
		}
		if found := dword.FindStringSubmatch(text); c.DWORD && found != nil {
			if n, err := strconv.ParseUint(found[1]+found[2], 16, 64); err == nil {
				return pattern{{text: strconv.FormatUint(n, 10)}}
			}
		}
	}
	for i, part := range p {
		if part.kind == literal {
			return c.begin(p, i)
		}
	}
	return p
}

// begin rewrites the first text of a pattern, which is its piece at.
func (c column) begin(p pattern, at int) pattern {
	text, longest := p[at].text, ""
	for from := range c.Prefixes {
		if len(from) > len(longest) && len(text) >= len(from) && strings.EqualFold(text[:len(from)], from) {
			longest = from
		}
	}
	if longest == "" {
		return p
	}
	out := append(pattern(nil), p...)
	out[at].text = c.Prefixes[longest] + text[len(longest):]
	return out
}
