package condition

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"muster/server/fault"
)

// arity is how many values an operator takes.
type arity int

const (
	none arity = iota // whatever is there is not looked at
	one
	two
	many    // a list, or one value alone
	another // another field
)

// value is a value of a leaf: its text, as it was written.
type value struct {
	text   string
	number bool // JSON's number, not text that looks like one
}

// read returns the values that an operator takes from what stands under path.
func (p *parser) read(takes arity, given any, there bool, path string) ([]value, error) {
	if takes == none {
		return nil, nil
	}
	if !there {
		return nil, fault.New(fault.Invalid, "%s is missing", path)
	}
	list, isList := given.([]any)
	switch {
	case !isList && takes == two:
		return nil, fault.New(fault.Invalid, "%s must be a list of two values", path)
	case !isList:
		list = []any{given}
	case takes == one && len(list) != 1:
		return nil, fault.New(fault.Invalid, "%s must be one value", path)
	case takes == two && len(list) != 2:
		return nil, fault.New(fault.Invalid, "%s must be a list of two values", path)
	case len(list) == 0:
		return nil, fault.New(fault.Invalid, "%s must not be an empty list", path)
	}
	if p.values += len(list); p.values > p.bounds.Values {
		return nil, fault.New(fault.Unprocessable, "The conditions have more than %d values", p.bounds.Values)
	}
	values := make([]value, len(list))
	for i, item := range list {
		var err error
		if values[i], err = scalar(item, path); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func scalar(given any, path string) (value, error) {
	v := value{}
	switch g := given.(type) {
	case string:
		v.text = g
	case json.Number:
		v = value{text: g.String(), number: true}
	case float64:
		v = value{text: strconv.FormatFloat(g, 'f', -1, 64), number: true}
	case int:
		v = value{text: strconv.Itoa(g), number: true}
	case int64:
		v = value{text: strconv.FormatInt(g, 10), number: true}
	case bool:
		v.text = strconv.FormatBool(g)
	case nil:
		return v, fault.New(fault.Invalid, "%s must not be null", path)
	default:
		return v, fault.New(fault.Invalid, "%s must be text, a number, true or false", path)
	}
	if len(v.text) > maxText {
		return v, fault.New(fault.Unprocessable, "%s is longer than %d bytes", path, maxText)
	}
	if !storable(v.text) {
		return v, fault.New(fault.Unprocessable, "%s has characters that no column can have", path)
	}
	return v, nil
}

// storable reports whether both engines take the text.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }
