package schedule

import "bytes"

const lenientWarning = "comments behind values, or commas before a closing bracket, were left out: osquery itself would refuse the file"

// decodeFile reads JSON as people write it: as osquery's own reader of files takes
// it or, with a warning, a little beyond that.
func decodeFile(data []byte) (any, []string, error) {
	strict := stripComments(data)
	value, err := decode(strict, maxDepth)
	if err == nil {
		return value, nil, nil
	}
	loose := loosen(strict)
	if bytes.Equal(loose, strict) {
		return nil, nil, err
	}
	value, looseErr := decode(loose, maxDepth)
	if looseErr != nil {
		return nil, nil, looseErr
	}
	return value, []string{lenientWarning}, nil
}

// stripComments is osquery's pass over a file before it parses JSON. Every line
// keeps its number, for messages.
func stripComments(data []byte) []byte {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	out := make([]byte, 0, len(data)+1)
	var line []byte
	joined := 0
	for len(data) > 0 {
		part, rest, newline := bytes.Cut(data, []byte("\n"))
		data = rest
		if newline && bytes.HasSuffix(part, []byte(`\`)) {
			line = append(line, part[:len(part)-1]...)
			joined++
			if len(rest) > 0 {
				continue
			}
			part = nil
		}
		line = bytes.TrimSpace(append(line, part...))
		if !bytes.HasPrefix(line, []byte("#")) && !bytes.HasPrefix(line, []byte("//")) {
			out = append(out, line...)
		}
		out = append(out, bytes.Repeat([]byte("\n"), joined+1)...)
		line, joined = line[:0], 0
	}
	return out
}

// loosen blanks, outside of strings, comments that follow a value and the comma
// before a closing bracket. Every line keeps its number.
func loosen(data []byte) []byte {
	out := bytes.Clone(data)
	comma := -1 // of a comma after which only white space came
	for i := 0; i < len(out); {
		end := i + 1
		switch c := out[i]; {
		case c == '"':
			end = stringEnd(out, i)
			comma = -1
		case c == '/' && i+1 < len(out) && (out[i+1] == '/' || out[i+1] == '*'):
			end = commentEnd(out, i)
			blank(out[i:end])
		case c == ',':
			comma = i
		case (c == '}' || c == ']') && comma >= 0:
			out[comma] = ' '
			comma = -1
		case c != ' ' && c != '\t' && c != '\n' && c != '\r':
			comma = -1
		}
		i = end
	}
	return out
}

// stringEnd is the place behind the string that starts at i.
func stringEnd(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}

// commentEnd is the place behind the comment that starts at i.
func commentEnd(data []byte, i int) int {
	closing := []byte("\n")
	if data[i+1] == '*' {
		closing = []byte("*/")
	}
	at := bytes.Index(data[i+2:], closing)
	switch {
	case at < 0:
		return len(data)
	case closing[0] == '\n':
		return i + 2 + at
	}
	return i + 2 + at + len(closing)
}

func blank(data []byte) {
	for i, c := range data {
		if c != '\n' {
			data[i] = ' '
		}
	}
}
