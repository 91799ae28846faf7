package intel

import (
	"bytes"
	"encoding/json"
	"iter"
)

// Feeds in JSON are gone through as text, and only what is an indicator is decoded, one
// at a time: 64 MiB may hold thirty million numbers where objects should be, and decoded
// into a list of what is wanted these take ten gigabytes. The text has to be valid JSON.

// elements are the elements of an array, as they stand in the text; none of anything else.
func elements(text []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		s := scan{text: text}
		if !s.take('[') {
			return
		}
		for !s.take(']') && s.at < len(s.text) {
			if !yield(s.value()) {
				return
			}
			s.take(',')
		}
	}
}

// member is the value of a name in an object, the last if it has several; nil when it has
// none, or the text is no object.
func member(text []byte, name string) (value []byte) {
	s := scan{text: text}
	if !s.take('{') {
		return nil
	}
	for !s.take('}') && s.at < len(s.text) {
		key := s.value()
		s.take(':')
		if v := s.value(); string(bytes.Trim(key, `"`)) == name {
			value = v
		}
		s.take(',')
	}
	return value
}

// hasMember says whether an object has a member of the name.
func hasMember(text []byte, name string) bool { return member(text, name) != nil }

// decoded decodes what stands in a text, and says whether it is of that shape.
func decoded(text []byte, into any) bool {
	return len(text) > 0 && text[0] == '{' && json.Unmarshal(text, into) == nil
}

// scan is a place in valid JSON.
type scan struct {
	text []byte
	at   int
}

func (s *scan) blanks() {
	for s.at < len(s.text) && isBlank(s.text[s.at]) {
		s.at++
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// take goes on after a mark, if it is next.
func (s *scan) take(mark byte) bool {
	s.blanks()
	if s.at < len(s.text) && s.text[s.at] == mark {
		s.at++
		return true
	}
	return false
}

// value goes on after the value that is next, and returns it.
func (s *scan) value() []byte {
	s.blanks()
	from, depth := s.at, 0
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == '"':
			s.quoted()
			if depth == 0 {
				return s.text[from:s.at]
			}
			continue
		case c == '[' || c == '{':
			depth++
		case depth == 0 && (c == ',' || c == ']' || c == '}' || c == ':' || isBlank(c)): // after a number or a word
			return s.text[from:s.at]
		case c == ']' || c == '}':
			if depth--; depth == 0 {
				s.at++
				return s.text[from:s.at]
			}
		}
		s.at++
	}
	return s.text[from:]
}

// quoted goes on after a text in quotes.
func (s *scan) quoted() {
	for s.at++; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case '\\':
			s.at++
		case '"':
			s.at++
			return
		}
	}
}
