package results

import (
	"cmp"
	"slices"

	"muster/server/indicator"
)

// posting says that a row holds what a key stands for.
type posting struct {
	key       uint64
	row, host int64
	name      uint32 // the number of the query's name, twice, plus one for a removed row
}

// builder gathers what a stretch of the log holds.
type builder struct {
	x        *extractor
	most     int // rows that make it full
	keys     keyMaker
	rows     int
	oldest   int64 // arrival of its rows
	postings []posting
	names    []string
	numbers  map[string]uint32 // of names
}

func newBuilder(most int) *builder {
	return &builder{most: most, x: newExtractor(indicator.Columns()), numbers: map[string]uint32{}}
}

// add takes a row.
func (b *builder) add(r stored) {
	if b.rows++; b.rows == 1 || r.arrived < b.oldest {
		b.oldest = r.arrived
	}
	name := uint32(0)
	named := false
	b.x.each(r.columns, func(column, value string) {
		if !named {
			name, named = b.name(r), true
		}
		b.postings = append(b.postings, posting{key: b.keys.key(column, value), row: r.id, host: r.hostID, name: name})
	})
}

func (b *builder) name(r stored) uint32 {
	number, known := b.numbers[string(r.name)]
	if !known {
		number = uint32(len(b.names))
		b.names = append(b.names, string(r.name))
		b.numbers[b.names[number]] = number
	}
	number *= 2
	if string(r.action) == "removed" {
		number++
	}
	return number
}

// full says that the segment should be closed: it has the usual number of rows,
// or rows so wide that its postings would grow out of hand.
func (b *builder) full() bool { return b.rows >= b.most || len(b.postings) >= segmentPostings }

// mark and back undo what was added since: rows and postings.
func (b *builder) mark() [2]int { return [2]int{b.rows, len(b.postings)} }

func (b *builder) back(to [2]int) { b.rows, b.postings = to[0], b.postings[:to[1]] }

// sort orders the postings by key and row, each pair once.
func (b *builder) sort() {
	slices.SortFunc(b.postings, func(x, y posting) int { return cmp.Or(cmp.Compare(x.key, y.key), cmp.Compare(x.row, y.row)) })
	b.postings = slices.CompactFunc(b.postings, func(x, y posting) bool { return x.key == y.key && x.row == y.row })
}
