package condition

import (
	"unsafe"

	"github.com/valyala/fastjson"

	"muster/server/fault"
)

// Object is a Row over columns as they are stored, with the same values that SQL
// sees: a number as it was written, true and false, and a null that is missing.
// It may be loaded again and again, which spares allocations, but not be used by
// two goroutines at once.
type Object struct {
	Own map[string]string // name of an own field -> its value
	// Ended, unless it is nil, is asked now and then while a large value is matched
	// with a large regular expression, which can take minutes. Once it is true the
	// answer comes soon, and says nothing.
	Ended  func() bool
	parser fastjson.Parser
	root   *fastjson.Object
}

// Load makes columns, the text of a JSON object, the row. Values that Value
// returned before are no longer good. After a failure the row has no columns.
// Faults: Unprocessable for what is no object.
func (o *Object) Load(columns string) error {
	o.root = nil
	parsed, err := o.parser.Parse(columns)
	if err != nil {
		return fault.Wrap(err, fault.Unprocessable, "The columns are no JSON")
	}
	if o.root, err = parsed.Object(); err != nil {
		return fault.Wrap(err, fault.Unprocessable, "The columns are no JSON object")
	}
	return nil
}

// Value returns the field's text, which is good until the next Load.
func (o *Object) Value(f Field) (string, bool) {
	if f.Own {
		value, present := o.Own[f.Name]
		return value, present
	}
	if o.root == nil {
		return "", false
	}
	value := o.root.Get(f.Name)
	if value == nil {
		return "", false
	}
	switch value.Type() {
	case fastjson.TypeNull:
		return "", false
	case fastjson.TypeString:
		return asText(value.GetStringBytes()), true
	}
	return string(value.MarshalTo(nil)), true
}

// asText is text without a copy: the parser keeps the bytes until the next Load.
func asText(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) }
