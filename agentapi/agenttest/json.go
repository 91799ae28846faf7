package agenttest

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"
)

// errNotJSON is what an agent makes of a body that it cannot parse.
var errNotJSON = errors.New("cannot parse JSON")

// errNotObject stands for a root that is no object. Real agents behave in an
// undefined way there (section 2.3); this one fails and counts it.
var errNotObject = errors.New("the root of the answer is not an object")

// parseObject reads an answer as osquery does: nothing is an empty object, and
// everything else must be strict JSON.
func parseObject(body []byte) (*fastjson.Object, error) {
	if len(body) == 0 {
		body = []byte("{}")
	}
	if err := fastjson.ValidateBytes(body); err != nil {
		return nil, errNotJSON
	}
	value, err := fastjson.ParseBytes(body)
	if err != nil {
		return nil, errNotJSON
	}
	object, err := value.Object()
	if err != nil {
		return nil, errNotObject
	}
	return object, nil
}

const hexDigits = "0123456789ABCDEF"

// appendString writes s as a JSON string with rapidjson's escapes: invalid
// UTF-8 and everything above 0x7F go out as they are.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[start:i]...)
		start = i + 1
		b = appendEscape(b, c)
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, '\\', 'b')
	case '\f':
		return append(b, '\\', 'f')
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	default:
		return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	}
}

// formatDouble writes a double so that it reads back as one.
func formatDouble(f float64) string {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return "0.0"
	}
	text := strconv.FormatFloat(f, 'g', 15, 64)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return text
}

// appendCompact re-serialises value without white space, members in the order
// they came: the bytes that an agent hashes (section 2.7).
func appendCompact(b []byte, value *fastjson.Value) []byte {
	switch value.Type() {
	case fastjson.TypeObject:
		return appendCompactObject(b, value.GetObject())
	case fastjson.TypeArray:
		b = append(b, '[')
		for i, item := range value.GetArray() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendCompact(b, item)
		}
		return append(b, ']')
	case fastjson.TypeString:
		return appendString(b, string(value.GetStringBytes()))
	case fastjson.TypeNumber:
		return append(b, canonicalNumber(value.String())...)
	default:
		return value.MarshalTo(b)
	}
}

func appendCompactObject(b []byte, object *fastjson.Object) []byte {
	b = append(b, '{')
	first := true
	object.Visit(func(key []byte, item *fastjson.Value) {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendString(b, string(key)), ':')
		b = appendCompact(b, item)
	})
	return append(b, '}')
}

// canonicalNumber keeps integers and gives doubles their shortest form.
func canonicalNumber(text string) string {
	if !strings.ContainsAny(text, ".eE") {
		return text
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	short := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(short, ".e") {
		short += ".0"
	}
	return short
}

// depth is the nesting of value: 1 for an object of scalars.
func depth(value *fastjson.Value) int {
	deepest := 0
	switch value.Type() {
	case fastjson.TypeObject:
		value.GetObject().Visit(func(_ []byte, item *fastjson.Value) { deepest = max(deepest, depth(item)) })
	case fastjson.TypeArray:
		for _, item := range value.GetArray() {
			deepest = max(deepest, depth(item))
		}
	default:
		return 0
	}
	return deepest + 1
}

// member is one name and its JSON text.
type member struct {
	name string
	text []byte
}

// members is a JSON object under construction, in wire order.
type members []member

// set adds a member, or replaces the text of one that is there.
func (m *members) set(name string, text []byte) {
	for i := range *m {
		if (*m)[i].name == name {
			(*m)[i].text = text
			return
		}
	}
	*m = append(*m, member{name, text})
}

func (m *members) str(name, value string)      { m.set(name, appendString(nil, value)) }
func (m *members) num(name string, n int64)    { m.set(name, strconv.AppendInt(nil, n, 10)) }
func (m *members) flag(name string, yes bool)  { m.set(name, strconv.AppendBool(nil, yes)) }
func (m *members) obj(name string, of members) { m.set(name, of.json()) }

func (m members) json() []byte {
	size := 2
	for _, item := range m {
		size += len(item.name) + len(item.text) + 4
	}
	b := append(make([]byte, 0, size), '{')
	for i, item := range m {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, item.name), ':')
		b = append(b, item.text...)
	}
	return append(b, '}')
}
