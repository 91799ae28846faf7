package agentapi

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// wellFormed returns raw as JSON that every engine takes: valid UTF-8, no NUL,
// no raw control bytes, no lone surrogates. Nearly all lines are so already and
// come back unchanged; ok is false when raw is no JSON even after cleaning.
func wellFormed(raw []byte) (clean []byte, ok bool) {
	if !hasControl(raw) && utf8.Valid(raw) && !bytes.Contains(raw, []byte(`\u`)) && fastjson.ValidateBytes(raw) == nil {
		return raw, true
	}
	clean = cleanJSON(make([]byte, 0, len(raw)+16), bytes.ToValidUTF8(raw, []byte("\uFFFD")))
	return clean, fastjson.ValidateBytes(clean) == nil
}

func hasControl(raw []byte) bool {
	for _, c := range raw {
		if c < 0x20 {
			return true
		}
	}
	return false
}

// cleanJSON copies JSON, dropping NULs, escaping raw control bytes inside strings
// and replacing surrogates that have no partner.
func cleanJSON(dst, src []byte) []byte {
	inString := false
	for i := 0; i < len(src); i++ {
		c := src[i]
		switch {
		case !inString:
			inString = c == '"'
			if c != 0 {
				dst = append(dst, c)
			}
		case c == '"':
			inString = false
			dst = append(dst, c)
		case c == '\\' && i+1 < len(src):
			var used int
			dst, used = cleanEscape(dst, src[i:])
			i += used - 1
		case c == 0:
		case c < 0x20:
			dst = append(dst, `\u00`...)
			dst = append(dst, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// cleanEscape copies the escape at the start of src and returns how much of src
// that took.
func cleanEscape(dst, src []byte) ([]byte, int) {
	if bytes.IndexByte([]byte(`"\\/bfnrt`), src[1]) >= 0 {
		return append(dst, src[:2]...), 2
	}
	r, ok := unicodeEscape(src)
	switch {
	case !ok: // no escape at all: a backslash that somebody forgot to escape
		return append(dst, `\\`...), 1
	case r == 0:
		return dst, 6
	case utf16.IsSurrogate(r):
		if low, ok := unicodeEscape(src[6:]); ok && utf16.DecodeRune(r, low) != utf8.RuneError {
			return append(dst, src[:12]...), 12
		}
		return append(dst, `\ufffd`...), 6
	}
	return append(dst, src[:6]...), 6
}

func unicodeEscape(src []byte) (rune, bool) {
	if len(src) < 6 || src[0] != '\\' || src[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(src[2:6]), 16, 16)
	return rune(n), err == nil
}

// members calls each for every member of a JSON object that wellFormed passed.
// Keys and values are slices of object, keys without their quotes.
func members(object []byte, each func(key, value []byte)) bool {
	rest, ok := opened(object, '{')
	for ok && len(rest) > 0 && rest[0] == '"' {
		var key, value []byte
		if key, rest, ok = oneValue(rest); !ok {
			return false
		}
		rest = trimLeft(rest)
		if len(rest) == 0 || rest[0] != ':' {
			return false
		}
		if value, rest, ok = oneValue(trimLeft(rest[1:])); !ok {
			return false
		}
		each(key[1:len(key)-1], value)
		rest = afterComma(rest)
	}
	return ok
}

// elements calls each for every element of a JSON array that wellFormed passed.
func elements(array []byte, each func(value []byte)) {
	rest, ok := opened(array, '[')
	for ok && len(rest) > 0 && rest[0] != ']' {
		var value []byte
		if value, rest, ok = oneValue(rest); !ok {
			return
		}
		each(value)
		rest = afterComma(rest)
	}
}

func opened(value []byte, bracket byte) ([]byte, bool) {
	value = trimLeft(value)
	if len(value) == 0 || value[0] != bracket {
		return nil, false
	}
	return trimLeft(value[1:]), true
}

func oneValue(src []byte) (value, rest []byte, ok bool) {
	var scan valueScan
	n, done, err := scan.take(src)
	if err != nil || n == 0 || (!done && !scan.scalar) {
		return nil, nil, false
	}
	return src[:n], src[n:], true
}

func afterComma(rest []byte) []byte {
	rest = trimLeft(rest)
	if len(rest) > 0 && rest[0] == ',' {
		rest = trimLeft(rest[1:])
	}
	return rest
}

func trimLeft(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\n' || b[0] == '\r') {
		b = b[1:]
	}
	return b
}

// text returns the value of a JSON string, or the source of a number or boolean;
// "" for null, objects and arrays. Agents are free with quotes around numbers.
func text(value []byte) string {
	if len(value) == 0 || value[0] == '{' || value[0] == '[' || string(value) == "null" {
		return ""
	}
	if value[0] != '"' {
		return string(value)
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1])
	}
	parsed, err := fastjson.ParseBytes(value)
	if err != nil {
		return ""
	}
	s, _ := parsed.StringBytes()
	return strings.ReplaceAll(string(bytes.ToValidUTF8(s, []byte("\uFFFD"))), "\x00", "")
}

// number reads an integer that may be quoted or have a fraction; 0 when it is none.
func number(value []byte) int64 {
	s := text(value)
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != f || f > 1<<62 || f < -(1<<62) {
		return 0
	}
	return int64(f)
}
