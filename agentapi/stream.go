package agentapi

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// errMalformed means the bytes are complete and are not the JSON we expect:
// sending them again would not help.
var errMalformed = errors.New("malformed JSON")

// maxDepth bounds the nesting of any value that comes from an agent.
const maxDepth = 64

// stream walks JSON from a reader without holding more than one value of it.
// It finds where values begin and end; what is inside a value is for a real
// parser to judge. Errors are errMalformed or the reader's own.
type stream struct {
	r *bufio.Reader
}

// next skips white space and returns the next byte without consuming it.
func (s *stream) next() (byte, error) {
	for {
		c, err := s.r.ReadByte()
		if err != nil {
			return 0, truncated(err)
		}
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		}
		return c, s.r.UnreadByte()
	}
}

// truncated turns a clean end of the input into errMalformed: a value was due.
func truncated(err error) error {
	if errors.Is(err, io.EOF) {
		return errMalformed
	}
	return err
}

// expect consumes the next byte, which has to be c.
func (s *stream) expect(c byte) error {
	got, err := s.next()
	if err != nil {
		return err
	}
	if got != c {
		return errMalformed
	}
	_, err = s.r.Discard(1)
	return err
}

// object calls member for every key, which has to consume the value. Keys are
// returned without unescaping: those we look for have no escapes.
func (s *stream) object(member func(key string) error) error {
	if err := s.expect('{'); err != nil {
		return err
	}
	var key bytes.Buffer
	return s.list('}', func() error {
		if c, err := s.next(); err != nil || c != '"' {
			return orMalformed(err)
		}
		key.Reset()
		size, err := s.copyValue(&key, maxKey)
		if err != nil {
			return err
		}
		if size > maxKey {
			return errMalformed
		}
		if err := s.expect(':'); err != nil {
			return err
		}
		return member(string(key.Bytes()[1 : key.Len()-1]))
	})
}

// maxKey bounds a member's name in the objects that we walk.
const maxKey = 1024

// array calls element before every element, which has to consume it.
func (s *stream) array(element func() error) error {
	if err := s.expect('['); err != nil {
		return err
	}
	return s.list(']', element)
}

// list consumes items separated by commas up to the closing byte.
func (s *stream) list(end byte, item func() error) error {
	c, err := s.next()
	if err != nil {
		return err
	}
	if c == end {
		_, err = s.r.Discard(1)
		return err
	}
	for {
		if err := item(); err != nil {
			return err
		}
		c, err := s.next()
		if err != nil {
			return err
		}
		if _, err := s.r.Discard(1); err != nil {
			return err
		}
		switch c {
		case ',':
		case end:
			return nil
		default:
			return errMalformed
		}
	}
}

func orMalformed(err error) error {
	if err != nil {
		return err
	}
	return errMalformed
}

// skip consumes one value.
func (s *stream) skip() error {
	_, err := s.copyValue(io.Discard, 0)
	return err
}

// copyValue consumes one value and writes its first keep bytes to w. It returns
// the value's size: when that is larger than keep, the rest was dropped.
func (s *stream) copyValue(w io.Writer, keep int) (int, error) {
	if _, err := s.next(); err != nil {
		return 0, err
	}
	var scan valueScan
	size := 0
	for {
		if _, err := s.r.Peek(1); err != nil {
			if errors.Is(err, io.EOF) && scan.scalar && size > 0 {
				return size, nil
			}
			return size, truncated(err)
		}
		window, _ := s.r.Peek(s.r.Buffered())
		n, done, err := scan.take(window)
		if err != nil {
			return size, err
		}
		if room := keep - size; room > 0 {
			if _, err := w.Write(window[:min(n, room)]); err != nil {
				return size, err
			}
		}
		size += n
		if _, err := s.r.Discard(n); err != nil {
			return size, err
		}
		if done {
			if size == 0 {
				return 0, errMalformed
			}
			return size, nil
		}
	}
}

// valueScan finds the end of a JSON value that comes in pieces.
type valueScan struct {
	depth    int
	inString bool
	escaped  bool
	started  bool
	scalar   bool // a number, true, false or null: ends before a delimiter
}

// take returns how many bytes of window belong to the value and whether it ends there.
func (v *valueScan) take(window []byte) (n int, done bool, err error) {
	for n < len(window) {
		if v.inString {
			n += v.inside(window[n:])
			if !v.inString && v.depth == 0 {
				return n, true, nil
			}
			continue
		}
		c := window[n]
		switch {
		case c == '"' && !v.scalar:
			v.inString, v.started = true, true
			n++
		case (c == '{' || c == '[') && !v.scalar:
			v.started = true
			v.depth++
			if v.depth > maxDepth {
				return n, false, errMalformed
			}
			n++
		case c == '}' || c == ']':
			if v.depth == 0 {
				return n, true, nil // the end of what holds this scalar
			}
			v.depth--
			n++
			if v.depth == 0 {
				return n, true, nil
			}
		case v.depth > 0:
			n++
		case c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ':':
			return n, true, nil
		default:
			if c == '"' || c == '{' || c == '[' {
				return n, false, errMalformed
			}
			v.scalar, v.started = true, true
			n++
		}
	}
	return n, false, nil
}

// inside consumes bytes of a string, at most to its closing quote.
func (v *valueScan) inside(window []byte) int {
	n := 0
	if v.escaped {
		v.escaped = false
		n = 1
	}
	for n < len(window) {
		i := bytes.IndexByte(window[n:], '"')
		j := i
		if j < 0 {
			j = len(window) - n
		}
		if k := bytes.IndexByte(window[n:n+j], '\\'); k >= 0 {
			n += k + 2
			if n > len(window) {
				v.escaped = true
				return len(window)
			}
			continue
		}
		if i < 0 {
			return len(window)
		}
		v.inString = false
		return n + i + 1
	}
	return n
}
