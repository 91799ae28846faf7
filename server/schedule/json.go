package schedule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decode reads one strict JSON document: objects as map[string]any, arrays as
// []any, numbers as json.Number. Unlike encoding/json it refuses a key given
// twice, text that is not UTF-8, and containers nested deeper than depth.
func decode(data []byte, depth int) (any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("it is not valid UTF-8")
	}
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			upTo := data[:min(int(syntax.Offset), len(data))]
			return nil, fmt.Errorf("line %d: %s", 1+bytes.Count(upTo, []byte("\n")), strings.TrimPrefix(err.Error(), "json: "))
		}
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return decodeValue(decoder, depth)
}

func decodeValue(decoder *json.Decoder, depth int) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	opening, nested := token.(json.Delim)
	if !nested {
		return token, nil
	}
	if depth == 0 {
		return nil, errors.New("it is nested too deeply")
	}
	if opening == '{' {
		return decodeObject(decoder, depth-1)
	}
	return decodeArray(decoder, depth-1)
}

func decodeObject(decoder *json.Decoder, depth int) (any, error) {
	object := map[string]any{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		key, _ := token.(string)
		if _, twice := object[key]; twice {
			return nil, fmt.Errorf("the key %q is given twice", key)
		}
		if object[key], err = decodeValue(decoder, depth); err != nil {
			return nil, err
		}
	}
	_, err := decoder.Token()
	return object, err
}

func decodeArray(decoder *json.Decoder, depth int) (any, error) {
	array := []any{}
	for decoder.More() {
		value, err := decodeValue(decoder, depth)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	_, err := decoder.Token()
	return array, err
}

// rawJSON is JSON that is encoded already.
type rawJSON []byte

// appendJSON writes v compactly, keys sorted, with the escapes that osquery's own
// writer would use (osquery-tls 2.7): what an agent parses and writes again is then
// byte for byte what it got, and its hash can be predicted.
func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return appendText(b, v)
	case json.Number:
		return append(b, v...)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case rawJSON:
		return append(b, v...)
	case []string:
		return appendArray(b, v)
	case []any:
		return appendArray(b, v)
	case map[string]any:
		return appendObject(b, v)
	case map[string]rawJSON:
		return appendObject(b, v)
	case map[string][]string:
		return appendObject(b, v)
	}
	return append(b, "null"...)
}

func appendArray[T any](b []byte, values []T) []byte {
	b = append(b, '[')
	for i, value := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, value)
	}
	return append(b, ']')
}

func appendObject[T any](b []byte, object map[string]T) []byte {
	b = append(b, '{')
	for i, key := range slices.Sorted(maps.Keys(object)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, key), ':')
		b = appendJSON(b, object[key])
	}
	return append(b, '}')
}

func appendText(b []byte, text string) []byte {
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	b = append(b, '"')
	done := 0 // bytes of text that are written
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c == '"' || c == '\\' {
			b = appendEscape(append(b, text[done:i]...), c)
			done = i + 1
		}
	}
	return append(append(b, text[done:]...), '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	return fmt.Appendf(b, `\u%04X`, c)
}
