package sigma

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// scalar is a value as the rule has it.
type scalar struct {
	text string
	tag  string // of YAML: !!str, !!int, !!float, !!bool, !!null
}

func readScalar(label string, n *yaml.Node) (scalar, error) {
	if n.Kind != yaml.ScalarNode {
		return scalar{}, wrong(n.Line, "%s must be a value or a list of values", clip(label))
	}
	s := scalar{n.Value, n.ShortTag()}
	switch s.tag {
	case "!!str", "!!float", "!!null":
	case "!!timestamp":
		s.tag = "!!str"
	case "!!bool":
		s.text = strings.ToLower(s.text)
	case "!!int":
		var signed int64
		var unsigned uint64
		if n.Decode(&signed) == nil {
			s.text = strconv.FormatInt(signed, 10)
		} else if n.Decode(&unsigned) == nil {
			s.text = strconv.FormatUint(unsigned, 10)
		}
	default:
		return scalar{}, wrong(n.Line, "%s: a value of the type %s", clip(label), clip(s.tag))
	}
	if len(s.text) > maxText {
		return scalar{}, wrong(n.Line, "%s: a value longer than %d bytes", clip(label), maxText)
	}
	return s, nil
}

// value reads one value of an item.
func (p *parser) value(it *item, label string, m modifiers, n *yaml.Node) (value, error) {
	s, err := readScalar(label, n)
	if err != nil {
		return nil, err
	}
	label = clip(label)
	if s.tag == "!!null" {
		if it.field == "" || m.kind != "" || m.place != "" || len(m.encodings) > 0 || m.expand {
			return nil, wrong(n.Line, "%s must not be null", label)
		}
		return value{{kind: empty}}, nil
	}
	switch m.kind {
	case "re":
		return regex(label, m.flags, s, n.Line)
	case "lt", "lte", "gt", "gte":
		return number(label, m.kind, s, n.Line)
	case "exists":
		if s.tag != "!!bool" {
			return nil, wrong(n.Line, "%s must be true or false", label)
		}
		return value{{kind: map[bool]termKind{true: present, false: absent}[s.text == "true"]}}, nil
	case "fieldref":
		if s.tag != "!!str" || s.text == "" {
			return nil, wrong(n.Line, "%s must be the name of a field", label)
		}
		return value{{kind: refers, text: s.text, word: m.place}}, nil
	case "cidr":
		return p.networks(label, m, s, n.Line)
	}
	return p.patterns(label, m, s, n.Line)
}

func regex(label, flags string, s scalar, line int) (value, error) {
	if s.tag != "!!str" {
		return nil, wrong(line, "%s must be a regular expression", label)
	}
	if flags != "" {
		s.text = "(?" + flags + ")" + s.text
	}
	if _, err := regexp.Compile(s.text); err != nil {
		return nil, wrong(line, "%s is no regular expression of RE2: %s", label, clip(strings.TrimPrefix(err.Error(), "error parsing regexp: ")))
	}
	return value{{kind: fits, text: s.text}}, nil
}

var decimal = regexp.MustCompile(`^-?\d+(\.\d+)?$`)

func number(label, kind string, s scalar, line int) (value, error) {
	if s.tag != "!!int" && s.tag != "!!float" || !decimal.MatchString(s.text) {
		return nil, wrong(line, "%s must be a number such as 42 or -0.5", label)
	}
	word := map[string]string{"lt": "less", "lte": "less_or_equal", "gt": "greater", "gte": "greater_or_equal"}[kind]
	return value{{kind: compares, text: s.text, word: word}}, nil
}

// networks reads a value of cidr: an address or a network.
func (p *parser) networks(label string, m modifiers, s scalar, line int) (value, error) {
	filled, err := p.expand(m, s, line)
	if err != nil {
		return nil, err
	}
	var v value
	for _, pattern := range filled {
		network, _ := pattern.plain()
		_, noPrefix := netip.ParsePrefix(network)
		address, noAddress := netip.ParseAddr(network)
		if (noPrefix != nil && noAddress != nil) || address.Zone() != "" {
			return nil, wrong(line, "%s must be a network such as 10.0.0.0/8 or 2001:db8::/32, not %s", label, clip(s.text))
		}
		v = append(v, term{kind: within, text: network})
	}
	return v, nil
}

// patterns reads a text, with what its modifiers make of it.
func (p *parser) patterns(label string, m modifiers, s scalar, line int) (value, error) {
	if s.tag != "!!str" && (len(m.encodings) > 0 || m.expand) {
		return nil, wrong(line, "%s must be text", label)
	}
	all, err := p.expand(m, s, line)
	if err != nil {
		return nil, err
	}
	for _, modifier := range m.encodings {
		var next []pattern
		for _, from := range all {
			made, err := from.encoded(label, modifier, line)
			if err != nil {
				return nil, err
			}
			if next = append(next, made...); len(next) > maxValues {
				return nil, wrong(line, "%s becomes more than %d values", label, maxValues)
			}
		}
		all = next
	}
	var v value
	for _, like := range all {
		for _, part := range like {
			if !utf8.ValidString(part.text) || strings.IndexByte(part.text, 0) >= 0 {
				return nil, wrong(line, "%s has bytes that no column can have: base64 or base64offset must follow", label)
			}
		}
		v = append(v, term{kind: matches, like: like.at(m.place)})
	}
	return v, nil
}

// encoded returns what the pattern becomes through a modifier.
func (p pattern) encoded(label, modifier string, line int) ([]pattern, error) {
	if modifier == "windash" {
		return p.windash(line)
	}
	text, plain := p.plain()
	if !plain {
		return nil, wrong(line, "%s has wildcards, which %s cannot encode", label, modifier)
	}
	made := encode(modifier, text)
	if text == "" || len(made) == 0 {
		return nil, wrong(line, "%s is too short for %s", label, modifier)
	}
	var all []pattern
	for _, text := range made {
		all = append(all, pattern{{text: text}})
	}
	return all, nil
}

// expand reads a text's wildcards and puts the operator's values in the place of
// placeholders.
func (p *parser) expand(m modifiers, s scalar, line int) ([]pattern, error) {
	like := parsePattern(s.text, m.expand)
	if !m.expand {
		return []pattern{like}, nil
	}
	count := 1
	for _, part := range like {
		if part.kind != placeholder {
			continue
		}
		values := p.mapping.placeholders[part.text]
		if len(values) == 0 {
			return nil, unusable(line, "the placeholder %%%s%% has no values in the mapping", clip(part.text))
		}
		if count *= len(values); count > maxValues {
			return nil, wrong(line, "the placeholders stand for more than %d values", maxValues)
		}
	}
	return like.fill(func(name string) []pattern { return p.mapping.placeholders[name] }), nil
}
