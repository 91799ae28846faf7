package results

import (
	"crypto/sha256"
	"encoding/binary"
	"unsafe"

	"github.com/valyala/fastjson"

	"muster/server/indicator"
)

// extractor reads observed values out of the columns of rows. It is for one
// goroutine at a time, and its buffers are used again from row to row.
type extractor struct {
	columns map[string]bool // what to look at
	parser  fastjson.Parser
	buf     []byte
}

func newExtractor(columns []string) *extractor {
	x := &extractor{columns: make(map[string]bool, len(columns))}
	for _, column := range columns {
		x.columns[column] = true
	}
	return x
}

// each calls fn with the normalised value of every column that is watched and
// observes something: a text, or a number as it was written. Columns that are no
// JSON object observe nothing. The texts are valid until the next call of each.
func (x *extractor) each(columns []byte, fn func(column, value string)) {
	parsed, err := x.parser.ParseBytes(columns)
	if err != nil {
		return
	}
	object, err := parsed.Object()
	if err != nil {
		return
	}
	object.Visit(func(name []byte, v *fastjson.Value) {
		if !x.columns[string(name)] {
			return
		}
		column := unsafe.String(unsafe.SliceData(name), len(name))
		if value := indicator.Normalize(column, x.text(v)); value != "" {
			fn(column, value)
		}
	})
}

func (x *extractor) text(v *fastjson.Value) string {
	switch v.Type() {
	case fastjson.TypeString:
		return asText(v.GetStringBytes())
	case fastjson.TypeNumber:
		x.buf = v.MarshalTo(x.buf[:0])
		return asText(x.buf)
	}
	return ""
}

// keyMaker makes the keys of the index.
type keyMaker struct{ buf []byte }

// key stands for a normalised value in a column: the first eight bytes of the
// SHA-256 of both, which agents cannot make collide at will and chance does not.
func (k *keyMaker) key(column, value string) uint64 {
	k.buf = append(append(append(k.buf[:0], column...), 0), value...)
	sum := sha256.Sum256(k.buf)
	return binary.BigEndian.Uint64(sum[:])
}
