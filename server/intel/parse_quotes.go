package intel

import (
	"bytes"
	"iter"
)

// maxCSVLines is how many lines a quoted field may go over. A quote that is open for
// longer was never meant to open a field.
const maxCSVLines = 20

// csvParts cuts a file before and behind each line whose quote is not closed within
// maxCSVLines, so that it costs that line and not those behind it. It yields the number
// of lines before each part.
func csvParts(content []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		begin, before, line := 0, 0, 0 // of the part, and lines up to here
		for at := 0; at < len(content); {
			size, closed := csvRecord(content[at:])
			if !closed {
				if at > begin && !yield(before, content[begin:at]) || !yield(line, content[at:at+size]) {
					return
				}
				begin, before = at+size, line+1
			}
			line += bytes.Count(content[at:at+size], []byte{'\n'})
			at += size
		}
		if begin < len(content) {
			yield(before, content[begin:])
		}
	}
}

// csvRecord measures the record that content begins with, as the reader sees it; of one
// with a quote that is not closed it measures the first line.
func csvRecord(content []byte) (size int, closed bool) {
	line := len(content)
	if end := bytes.IndexByte(content, '\n'); end >= 0 {
		line = end + 1
	}
	if content[0] == '#' {
		return line, true
	}
	for at := 0; ; {
		for at < len(content) && (content[at] == ' ' || content[at] == '\t') {
			at++
		}
		if at < len(content) && content[at] == '"' {
			quoted := csvQuoted(content[at:])
			if quoted < 0 {
				return line, false
			}
			at += quoted
		}
		end := bytes.IndexAny(content[at:], ",\n")
		if end < 0 {
			return len(content), true
		}
		at += end + 1
		if content[at-1] == '\n' {
			return at, true
		}
	}
}

// csvQuoted measures a quoted field; negative when nothing closes it.
func csvQuoted(content []byte) int {
	lines := 0
	for i := 1; i < len(content); i++ {
		switch {
		case content[i] == '\n':
			if lines++; lines >= maxCSVLines {
				return -1
			}
		case content[i] != '"':
		case i+1 == len(content) || content[i+1] == ',' || content[i+1] == '\n' || content[i+1] == '\r':
			return i + 1
		case content[i+1] == '"':
			i++
		}
	}
	return -1
}
