package results

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"muster/server/database"
)

// dedupDays is how many days before that of arrival a line's key is looked for.
const dedupDays = 2

// batch is what one transaction stores.
type batch struct {
	at    int64   // arrival of every line of the batch, microseconds
	day   int64   // the day of arrival, in days since 1970 UTC
	lines []*Line // in order of arrival
	owner []int   // the request of each line
	fresh []bool  // set by the engine: the line was not known
	// unique holds one line of each key, the first to arrive, in the order of the
	// keys: two transactions that claim the same keys cannot block each other.
	unique     []int
	perRequest []int // new lines of each request, after tally
	found      []FoundRow
	hearing    hearing // what becomes of them
}

// fill makes b a batch of the requests' lines.
func (b *batch) fill(requests []*request, now time.Time) {
	b.at, b.day = database.Micros(now), dayOf(now)
	b.perRequest = slices.Grow(b.perRequest[:0], len(requests))[:len(requests)]
	clear(b.perRequest)
	for i, r := range requests {
		for k := range r.lines {
			b.unique = append(b.unique, len(b.lines))
			b.lines = append(b.lines, &r.lines[k])
			b.owner = append(b.owner, i)
			b.fresh = append(b.fresh, false)
		}
	}
	slices.SortFunc(b.unique, func(x, y int) int {
		return cmp.Or(bytes.Compare(b.lines[x].Key[:], b.lines[y].Key[:]), cmp.Compare(x, y))
	})
	b.unique = slices.CompactFunc(b.unique, func(x, y int) bool { return b.lines[x].Key == b.lines[y].Key })
}

// reset lets go of the lines and of buffers that grew beyond the usual.
func (b *batch) reset() {
	const usual = 1 << 16
	if cap(b.lines) > usual {
		*b = batch{}
		return
	}
	clear(b.lines)
	clear(b.found)
	b.found = b.found[:0]
	b.lines, b.owner, b.fresh, b.unique = b.lines[:0], b.owner[:0], b.fresh[:0], b.unique[:0]
}

// find returns the line that stands for key in unique; -1 if there is none.
func (b *batch) find(key []byte) int {
	at, found := slices.BinarySearchFunc(b.unique, key, func(line int, key []byte) int {
		return bytes.Compare(b.lines[line].Key[:], key)
	})
	if !found {
		return -1
	}
	return b.unique[at]
}

// tally counts the new lines, their rows, and the new lines of each request.
func (b *batch) tally() (lines, rows int) {
	for i, line := range b.lines {
		if !b.fresh[i] {
			continue
		}
		lines++
		rows += len(line.Entries)
		if line.Status != nil {
			rows++
		}
		b.perRequest[b.owner[i]]++
	}
	return lines, rows
}

// daySeconds is the length of a day; UTC has no other kind as computers count it.
const daySeconds = 24 * 60 * 60

// dayOf is the day of t in days since 1970 UTC.
func dayOf(t time.Time) int64 { return t.Unix() / daySeconds }

// dayStart is the first moment of a day, in microseconds since 1970.
func dayStart(day int64) int64 { return day * daySeconds * int64(time.Second/time.Microsecond) }
