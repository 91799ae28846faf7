package agenttest

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
	"unique"
)

// row is a result row as kept between runs: columns in the order of their names,
// each with its type. Equal rows are equal handles, and agents share them.
type row = unique.Handle[string]

// The types a value can have.
const (
	kindText    = 's'
	kindInteger = 'i'
	kindDouble  = 'd'
)

// cell is one column of a row.
type cell struct {
	name, value string
	kind        byte
}

// packRow makes a row. Of columns with the same name the last stays.
func packRow(cells []cell) row {
	slices.SortStableFunc(cells, func(x, y cell) int { return cmp.Compare(x.name, y.name) })
	var b []byte
	for i, c := range cells {
		if i+1 < len(cells) && cells[i+1].name == c.name {
			continue
		}
		b = binary.AppendUvarint(b, uint64(len(c.name)))
		b = append(append(b, c.name...), c.kind)
		b = binary.AppendUvarint(b, uint64(len(c.value)))
		b = append(b, c.value...)
	}
	return unique.Make(string(b))
}

// unpackRow calls each for the columns of r.
func unpackRow(r row, each func(cell)) {
	rest := r.Value()
	take := func() string {
		n, used := binary.Uvarint([]byte(rest[:min(len(rest), binary.MaxVarintLen64)]))
		text := rest[used : used+int(n)]
		rest = rest[used+int(n):]
		return text
	}
	for rest != "" {
		c := cell{name: take()}
		c.kind, rest = rest[0], rest[1:]
		c.value = take()
		each(c)
	}
}

// appendRow writes r as a JSON object. With numerics, numbers are numbers and
// what is missing is "" all the same (section 3.4).
func appendRow(b []byte, r row, numerics bool) []byte {
	b = append(b, '{')
	first := true
	unpackRow(r, func(c cell) {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendString(b, c.name), ':')
		b = appendCell(b, c, numerics)
	})
	return append(b, '}')
}

func appendCell(b []byte, c cell, numerics bool) []byte {
	if numerics && c.value != "" {
		switch c.kind {
		case kindInteger:
			if n, err := strconv.ParseInt(c.value, 10, 64); err == nil {
				return strconv.AppendInt(b, n, 10)
			}
		case kindDouble:
			if f, err := strconv.ParseFloat(c.value, 64); err == nil {
				return append(b, formatDouble(f)...)
			}
		}
	}
	return appendString(b, c.value)
}

func appendRows(b []byte, rows []row, numerics bool) []byte {
	b = append(b, '[')
	for i, r := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendRow(b, r, numerics)
	}
	return append(b, ']')
}

// escapeBytes turns control bytes and bytes that are no UTF-8 into text such as
// \x0A, as osquery does in differential rows; agents that do not keep UTF-8 do so
// with every byte above 0x7F (section 3.9).
func escapeBytes(s string, keepsUTF8 bool) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r >= 0x80 }) {
		return s
	}
	var b []byte
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		plain := r >= 0x20 && r < 0x80 || keepsUTF8 && r >= 0x80 && (r != utf8.RuneError || size > 1)
		if plain {
			b = append(b, s[i:i+size]...)
		} else {
			for _, c := range []byte(s[i : i+size]) {
				b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
			}
		}
		i += size
	}
	return string(b)
}
