package results

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/FastFilter/xorfilter"
)

// A segment is stored as two pieces. The sieve is small and kept in memory: a
// filter that says which keys the segment may hold, the names of queries, and
// where in the postings each range of keys starts. The postings are read in
// parts, when the sieve lets something through. All numbers are little-endian or
// varints; the first byte of each piece is the version of its format.
//
//	sieve     version, names, first row, bits, 2^bits+1 offsets, filter
//	postings  version, then for each bucket of keys with the same first bits its
//	          keys in order: distance from the last, length, then for each row:
//	          distance from the last, name and action, host
const segmentVersion = 1

// bucketKeys is about how many keys one part of the postings has.
const bucketKeys = 64

var errSegment = errors.New("a segment of the index of observed values is damaged")

// sieve is the decoded first piece.
type sieve struct {
	names   []string
	first   int64 // the lowest row
	bits    int
	offsets []uint32
	filter  xorfilter.BinaryFuse[uint16] // without fingerprints: no key at all
	size    int                          // in memory, about
}

// mayHold says whether the segment may hold the key: always if it does, and
// seldom (one time in 65,536) if it does not.
func (v *sieve) mayHold(key uint64) bool {
	return len(v.filter.Fingerprints) > 0 && v.filter.Contains(key)
}

// part is where in the postings the bucket of a key lies.
func (v *sieve) part(key uint64) (from, to uint32) {
	bucket := bucketOf(key, v.bits)
	return v.offsets[bucket], v.offsets[bucket+1]
}

func bucketOf(key uint64, wide int) int { return int(key >> 1 >> (63 - wide)) }

// encode writes both pieces. It sorts the postings first.
func (b *builder) encode() (sieveBlob, postings []byte, err error) {
	b.sort()
	keys := make([]uint64, 0, len(b.postings))
	first := int64(0)
	for i, p := range b.postings {
		if i == 0 || p.key != b.postings[i-1].key {
			keys = append(keys, p.key)
		}
		if i == 0 || p.row < first {
			first = p.row
		}
	}
	wide := bits.Len(uint(len(keys) / bucketKeys))
	postings, offsets := b.encodePostings(wide, first)
	out := []byte{segmentVersion}
	out = binary.AppendUvarint(out, uint64(len(b.names)))
	for _, name := range b.names {
		out = append(binary.AppendUvarint(out, uint64(len(name))), name...)
	}
	out = append(binary.AppendUvarint(out, uint64(first)), byte(wide))
	for _, offset := range offsets {
		out = binary.LittleEndian.AppendUint32(out, offset)
	}
	out, err = appendFilter(out, keys)
	return out, postings, err
}

func (b *builder) encodePostings(wide int, first int64) (out []byte, offsets []uint32) {
	out = []byte{segmentVersion}
	offsets = make([]uint32, 1<<wide+1)
	bucket, last := -1, uint64(0)
	var rows []byte
	for i := 0; i < len(b.postings); {
		key := b.postings[i].key
		for at := bucketOf(key, wide); bucket < at; last = 0 {
			bucket++
			offsets[bucket] = uint32(len(out))
		}
		row := first
		for rows = rows[:0]; i < len(b.postings) && b.postings[i].key == key; i++ {
			p := b.postings[i]
			rows = binary.AppendUvarint(rows, uint64(p.row-row))
			rows = binary.AppendUvarint(rows, uint64(p.name))
			rows = binary.AppendUvarint(rows, uint64(p.host))
			row = p.row
		}
		out = binary.AppendUvarint(out, key-last)
		out = append(binary.AppendUvarint(out, uint64(len(rows))), rows...)
		last = key
	}
	for bucket++; bucket < len(offsets); bucket++ {
		offsets[bucket] = uint32(len(out))
	}
	return out, offsets
}

func appendFilter(out []byte, keys []uint64) ([]byte, error) {
	if len(keys) == 0 {
		return append(out, make([]byte, 20)...), nil
	}
	filter, err := xorfilter.NewBinaryFuse[uint16](keys)
	if err != nil {
		return nil, fmt.Errorf("a sieve of %d keys: %w", len(keys), err)
	}
	out = binary.LittleEndian.AppendUint64(out, filter.Seed)
	out = binary.LittleEndian.AppendUint32(out, filter.SegmentLength)
	out = binary.LittleEndian.AppendUint32(out, filter.SegmentCountLength)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(filter.Fingerprints)))
	for _, print := range filter.Fingerprints {
		out = binary.LittleEndian.AppendUint16(out, print)
	}
	return out, nil
}

// reader takes a blob apart; after the first thing that is not there it is bad.
type reader struct {
	data []byte
	bad  bool
}

func (r *reader) uvarint() uint64 {
	n, length := binary.Uvarint(r.data)
	if length <= 0 {
		r.bad, r.data = true, nil
		return 0
	}
	r.data = r.data[length:]
	return n
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.data)) {
		r.bad, r.data = true, nil
		return nil
	}
	taken := r.data[:n]
	r.data = r.data[n:]
	return taken
}

func (r *reader) uint32() uint32 {
	if four := r.bytes(4); four != nil {
		return binary.LittleEndian.Uint32(four)
	}
	return 0
}

// decodeSieve reads the first piece. The blob is not kept.
func decodeSieve(blob []byte) (*sieve, error) {
	r := &reader{data: blob}
	if version := r.bytes(1); r.bad || version[0] != segmentVersion {
		return nil, errSegment
	}
	v := &sieve{size: len(blob) + 256}
	for range min(r.uvarint(), uint64(len(r.data))) {
		v.names = append(v.names, string(r.bytes(r.uvarint())))
	}
	v.first = int64(r.uvarint())
	if wide := r.bytes(1); !r.bad {
		v.bits = int(wide[0])
	}
	if v.bits > 30 || len(r.data) < 4<<v.bits {
		return nil, errSegment
	}
	v.offsets = make([]uint32, 1<<v.bits+1)
	for i := range v.offsets {
		v.offsets[i] = r.uint32()
		if i > 0 && v.offsets[i] < v.offsets[i-1] {
			return nil, errSegment
		}
	}
	if v.filter = r.filter(); r.bad {
		return nil, errSegment
	}
	return v, nil
}

// filter reads the filter and checks that no key can lead out of it.
func (r *reader) filter() (f xorfilter.BinaryFuse[uint16]) {
	if seed := r.bytes(8); !r.bad {
		f.Seed = binary.LittleEndian.Uint64(seed)
	}
	f.SegmentLength, f.SegmentCountLength = r.uint32(), r.uint32()
	count := uint64(r.uint32())
	prints := r.bytes(2 * count)
	if r.bad || count == 0 {
		return f
	}
	length := uint64(f.SegmentLength)
	if bits.OnesCount64(length) != 1 || uint64(f.SegmentCountLength)%length != 0 || count != uint64(f.SegmentCountLength)+2*length {
		r.bad = true
		return f
	}
	f.SegmentLengthMask = f.SegmentLength - 1
	f.SegmentCount = f.SegmentCountLength / f.SegmentLength
	f.Fingerprints = make([]uint16, count)
	for i := range f.Fingerprints {
		f.Fingerprints[i] = binary.LittleEndian.Uint16(prints[2*i:])
	}
	return f
}

// eachPosting calls fn with what the bucket says of the wanted keys, which are sorted.
func eachPosting(bucket []byte, wanted []uint64, first int64, fn func(posting)) error {
	r := &reader{data: bucket}
	key := uint64(0)
	for len(r.data) > 0 && len(wanted) > 0 {
		key += r.uvarint()
		rows := r.bytes(r.uvarint())
		for len(wanted) > 0 && wanted[0] < key {
			wanted = wanted[1:]
		}
		if len(wanted) == 0 || wanted[0] != key {
			continue
		}
		list, p := &reader{data: rows}, posting{key: key, row: first}
		for len(list.data) > 0 && !list.bad {
			p.row += int64(list.uvarint())
			p.name = uint32(list.uvarint())
			p.host = int64(list.uvarint())
			if !list.bad {
				fn(p)
			}
		}
		r.bad = r.bad || list.bad
	}
	if r.bad {
		return errSegment
	}
	return nil
}
