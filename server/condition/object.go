package condition

import (
	"strings"
	"unsafe"

	"github.com/valyala/fastjson"

	"muster/server/fault"
)

// Object is a row: columns as they are stored, with the same values that SQL
// sees: a number as it was written, true and false, and a null that is missing.
// It may be loaded again and again, which spares allocations, but not be used by
// two goroutines at once.
type Object struct {
	Own map[string]string // name of an own field -> its value
	// Ended, unless it is nil, is asked now and then while a large value is matched
	// with a large regular expression or pattern, which can take minutes. Once it is
	// true the answer comes soon, and says nothing.
	Ended   func() bool
	parser  fastjson.Parser
	spare   fastjson.Parser
	columns []column
	inner   []inner // of which the first parsed are of this row
	parsed  int
	scratch []byte // texts that were made for this row
}

type column struct {
	name  string
	value *fastjson.Value
	text  string // of what is no text
}

// inner is a column's text, parsed.
type inner struct {
	column int
	parser *fastjson.Parser
	root   *fastjson.Value // nil: it is no JSON
}

// Load makes columns, the text of a JSON object, the row. Values that Value
// returned before are no longer good. After a failure the row has no columns.
// Faults: Unprocessable for what is no object.
func (o *Object) Load(columns string) error {
	o.columns, o.parsed, o.scratch = o.columns[:0], 0, o.scratch[:0]
	parsed, err := o.parser.Parse(columns)
	if err != nil {
		return fault.Wrap(err, fault.Unprocessable, "The columns are no JSON")
	}
	root, err := parsed.Object()
	if err != nil {
		return fault.Wrap(err, fault.Unprocessable, "The columns are no JSON object")
	}
	root.Visit(func(name []byte, value *fastjson.Value) {
		o.columns = append(o.columns, column{name: asText(name), value: value})
	})
	return nil
}

// Columns returns how many columns the row has, those that are null included.
func (o *Object) Columns() int { return len(o.columns) }

// Column returns a column's name and its text, which is not present when it is
// null. They are good until the next Load. When a name stands twice, Value is
// that of the first.
func (o *Object) Column(i int) (name, text string, present bool) {
	c := &o.columns[i]
	switch c.value.Type() {
	case fastjson.TypeNull:
		return c.name, "", false
	case fastjson.TypeString:
		return c.name, asText(c.value.GetStringBytes()), true
	}
	if c.text == "" {
		c.text = o.written(c.value)
	}
	return c.name, c.text, true
}

// Value returns the field's text, which is good until the next Load.
func (o *Object) Value(f Field) (string, bool) {
	switch {
	case f.template != nil:
		return f.template.fill(o)
	case f.Own:
		value, present := o.Own[f.Name]
		return value, present
	}
	i := o.find(f.Name)
	switch {
	case i < 0:
		return "", false
	case f.Path != "":
		return o.member(i, f.Path)
	}
	_, text, present := o.Column(i)
	return text, present
}

func (o *Object) find(name string) int {
	for i := range o.columns {
		if o.columns[i].name == name {
			return i
		}
	}
	return -1
}

// member follows the path into the column.
func (o *Object) member(column int, path string) (string, bool) {
	value := follow(o.inside(column), path)
	if value == nil {
		return "", false
	}
	switch value.Type() {
	case fastjson.TypeNull:
		return "", false
	case fastjson.TypeString:
		return asText(value.GetStringBytes()), true
	case fastjson.TypeObject, fastjson.TypeArray:
		value = follow(o.again(column), path)
	}
	return o.written(value), true
}

// follow returns the member at the path; nil when there is none.
func follow(value *fastjson.Value, path string) *fastjson.Value {
	for more := true; more; {
		if value == nil || value.Type() != fastjson.TypeObject {
			return nil
		}
		var name string
		name, path, more = strings.Cut(path, ".")
		value = value.GetObject().Get(name)
	}
	return value
}

// again parses the column once more. The parser notes in its values which texts were
// read and writes those with other escapes: what a member is as text must not depend
// on what was asked before.
func (o *Object) again(column int) *fastjson.Value {
	_, text, _ := o.Column(column)
	value, err := o.spare.Parse(text)
	if err != nil {
		return nil
	}
	return value
}

// inside returns the JSON in the column, parsed once for the row.
func (o *Object) inside(column int) *fastjson.Value {
	value := o.columns[column].value
	if value.Type() != fastjson.TypeString {
		o.Column(column) // its text, before members are read: see again
		return value
	}
	for _, in := range o.inner[:o.parsed] {
		if in.column == column {
			return in.root
		}
	}
	if o.parsed == len(o.inner) {
		o.inner = append(o.inner, inner{parser: &fastjson.Parser{}})
	}
	in := &o.inner[o.parsed]
	o.parsed++
	in.column, in.root = column, nil
	// What cannot be an object is not parsed: making the error takes longer.
	if text := value.GetStringBytes(); strings.HasPrefix(strings.TrimLeft(asText(text), " \t\r\n"), "{") {
		in.root, _ = in.parser.ParseBytes(text)
	}
	return in.root
}

// written is JSON that is no text, as text.
func (o *Object) written(value *fastjson.Value) string {
	start := o.room()
	o.scratch = value.MarshalTo(o.scratch)
	return asText(o.scratch[start:])
}

// maxScratch is how many bytes of texts are kept for a row in one piece.
const maxScratch = 64 << 10

// room returns where in scratch the next text begins. Texts that were made before
// stay as they are: a full piece is left to them.
func (o *Object) room() int {
	if len(o.scratch) > maxScratch {
		o.scratch = nil
	}
	return len(o.scratch)
}

// asText is text without a copy: the bytes are not written again until the next Load.
func asText(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) }
