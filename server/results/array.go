package results

import (
	"encoding/binary"

	"github.com/jackc/pgx/v5/pgtype"
)

// binaryFormat says that every parameter and result of a statement is binary.
var binaryFormat = []int16{1}

// arrayHeader is dimensions, a flag for nulls, the element's type, and the
// length and lower bound of the one dimension: five 32-bit numbers.
const arrayHeader = 20

// maxReused is the largest buffer that is kept for the next batch.
const maxReused = 16 << 20

// array is a one-dimensional PostgreSQL array in the binary form of array_send,
// without nulls. It saves boxing and copying every value of every row.
type array struct {
	element uint32
	count   int
	buf     []byte
}

// reuse returns empty arrays of the element types in the buffers of old.
func reuse(old []array, elements ...uint32) []array {
	if old == nil {
		old = make([]array, len(elements))
	}
	for i, element := range elements {
		buf := old[i].buf
		if cap(buf) < arrayHeader || cap(buf) > maxReused {
			buf = make([]byte, arrayHeader, 4096)
		}
		old[i] = array{element: element, buf: buf[:arrayHeader]}
	}
	return old
}

func (a *array) int(n int64) {
	a.count++
	a.buf = binary.BigEndian.AppendUint32(a.buf, 8)
	a.buf = binary.BigEndian.AppendUint64(a.buf, uint64(n))
}

func (a *array) text(value string) {
	a.count++
	a.buf = binary.BigEndian.AppendUint32(a.buf, uint32(len(value)))
	a.buf = append(a.buf, value...)
}

func (a *array) bytes(value []byte) { a.text(asText(value)) }

// param completes the header and returns the array as a parameter.
func (a *array) param() []byte {
	head := a.buf[:0]
	for _, field := range [...]uint32{1, 0, a.element, uint32(a.count), 1} {
		head = binary.BigEndian.AppendUint32(head, field)
	}
	return a.buf
}

func (a *array) arrayOID() uint32 {
	switch a.element {
	case pgtype.Int8OID:
		return pgtype.Int8ArrayOID
	case pgtype.ByteaOID:
		return pgtype.ByteaArrayOID
	}
	return pgtype.TextArrayOID
}
