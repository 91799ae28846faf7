// Package results is the durable log of what hosts reported: rows of scheduled
// queries and the agents' own status messages.
//
// It writes the tables results, status_logs, result_lines and observed, and the
// setting retention. It does not know what a row means, whether it raised an
// alert, or how it came over the wire.
//
// Rows are appended by group commit (see Store.Append): an agent is told that
// its lines are taken only after they are durable, and the lines that wait while
// one commit runs share the next. A line that was sent before is dropped by its
// key, which is remembered for the day of its arrival and the two after it.
//
// On PostgreSQL the first three are partitioned by the day of arrival in UTC.
//
// The table observed is an index of indicator values, made in the background in
// segments of some ten thousand rows (see Store.Observe); hunts go through it.
package results

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// Key identifies one line of one host: see LineKey.
type Key = [16]byte

// Entry is one row that a scheduled query reported.
type Entry struct {
	HostID int64
	Name   string // of the query, as scheduled
	Action string // added, removed or snapshot
	// Columns is a JSON object, Decorations a JSON object or empty; both as text.
	Columns, Decorations []byte
	UnixTime             int64 // seconds on the agent's clock, when the query finished
	Epoch, Counter       int64
	// Finding is what the caller found in the row, for Options.Found; nil: nothing. It
	// is not stored.
	Finding any
}

// Status is one status message of an agent.
type Status struct {
	HostID                     int64
	Severity                   int64 // 0 info, 1 warning, 2 error, 3 fatal
	Filename, Message, Version string
	Line                       int64
	Decorations                []byte // a JSON object as text, or empty
	UnixTime                   int64  // seconds on the agent's clock
}

// Line is one log line of an agent: the rows it holds, or a status message. A
// line without either (a snapshot without rows) is remembered by its key alone.
type Line struct {
	Key     Key
	Entries []Entry
	Status  *Status
}

// LineKey identifies a line by its bytes as they were sent, the host that sent
// them, and which of several identical lines of one request it is (occurrence,
// from 0). unixTime is the line's own time in seconds; it leads the key, so that
// keys of one moment lie together in the index.
func LineKey(hostID, unixTime int64, raw []byte, occurrence int) Key {
	var key Key
	var head [16]byte
	binary.BigEndian.PutUint64(head[:8], uint64(hostID))
	binary.BigEndian.PutUint64(head[8:], uint64(occurrence))
	hash := sha256.New()
	hash.Write(head[:])
	hash.Write(raw)
	var sum [sha256.Size]byte
	hash.Sum(sum[:0])
	binary.BigEndian.PutUint32(key[:4], uint32(min(max(unixTime, 0), math.MaxUint32)))
	copy(key[4:], sum[:])
	return key
}

// Rough costs in memory of the parts of a line besides their text.
const (
	lineOverhead  = 64
	entryOverhead = 160
)

// weight is about how many bytes the lines hold on to.
func weight(lines []Line) int {
	n := len(lines) * lineOverhead
	for i := range lines {
		for k := range lines[i].Entries {
			e := &lines[i].Entries[k]
			n += entryOverhead + len(e.Name) + len(e.Action) + len(e.Columns) + len(e.Decorations)
		}
		if s := lines[i].Status; s != nil {
			n += entryOverhead + len(s.Filename) + len(s.Message) + len(s.Version) + len(s.Decorations)
		}
	}
	return n
}

// storable returns the lines with texts that both engines take: valid UTF-8
// without NUL. Doors see to that already, so lines are copied only when one of
// them failed to.
func storable(lines []Line) []Line {
	if !slices.ContainsFunc(lines, func(l Line) bool { return !l.sound() }) {
		return lines
	}
	mended := make([]Line, len(lines))
	for i, line := range lines {
		mended[i] = line.mend()
	}
	return mended
}

func (l Line) sound() bool {
	for i := range l.Entries {
		e := &l.Entries[i]
		if !sound(asText(e.Columns)) || !sound(e.Name) || !sound(asText(e.Decorations)) || !sound(e.Action) {
			return false
		}
	}
	s := l.Status
	return s == nil || sound(s.Message) && sound(s.Filename) && sound(s.Version) && sound(asText(s.Decorations))
}

// mend returns a copy whose texts are sound.
func (l Line) mend() Line {
	entries := make([]Entry, len(l.Entries))
	for i, e := range l.Entries {
		e.Name, e.Action = mend(e.Name), mend(e.Action)
		e.Columns, e.Decorations = []byte(mend(asText(e.Columns))), []byte(mend(asText(e.Decorations)))
		entries[i] = e
	}
	l.Entries = entries
	if l.Status != nil {
		s := *l.Status
		s.Filename, s.Message, s.Version = mend(s.Filename), mend(s.Message), mend(s.Version)
		s.Decorations = []byte(mend(asText(s.Decorations)))
		l.Status = &s
	}
	return l
}

func sound(text string) bool {
	return utf8.ValidString(text) && strings.IndexByte(text, 0) < 0
}

func mend(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
}

// asText is text without a copy. The bytes must not change while it is in use.
func asText(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) }
