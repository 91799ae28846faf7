package agentapi

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"muster/server/results"
)

// maxSample is how much of a line that cannot be kept is kept for a human.
const maxSample = 4 << 10

const (
	maxName        = 1024     // bytes of a query's name, which is in an index
	maxRows        = 100_000  // of one line
	maxDecorations = 32 << 20 // bytes of decorations that one line may make us store
)

// calendarLayout is osquery's asctime with a space-padded day (osquery-tls 3.4).
const calendarLayout = "Mon Jan _2 15:04:05 2006 MST"

// lineReader turns raw log lines of one request into what results stores.
type lineReader struct {
	hostID int64
	now    time.Time
	seen   map[[16]byte]int // how often a line came in this request
}

func newLineReader(hostID int64, now time.Time) *lineReader {
	return &lineReader{hostID: hostID, now: now, seen: map[[16]byte]int{}}
}

// maxSeen bounds the memory for telling repeated lines of one request apart.
const maxSeen = 1 << 16

// read decodes one element of a log request's data. It never fails: what cannot
// be understood becomes a status line of ours that shows it.
func (l *lineReader) read(raw []byte, size int) results.Line {
	whole := size <= len(raw)
	raw = bytes.TrimSpace(raw)
	fields := lineFields{}
	switch clean, ok := wellFormed(raw); {
	case !whole:
		return l.unreadable(raw, fmt.Sprintf("a log line of %d bytes is larger than this server takes and was cut", size))
	case !ok:
		return l.unreadable(raw, fmt.Sprintf("a log line of %d bytes is no valid JSON", size))
	case !members(clean, fields.set):
		return l.unreadable(raw, fmt.Sprintf("a log line of %d bytes is no JSON object", size))
	}
	line := results.Line{Key: l.key(raw, number(fields.unixTime))}
	switch {
	case fields.columns != nil, fields.snapshot != nil, fields.diff != nil:
		entries, rows := l.entries(&fields)
		if rows > len(entries) {
			return l.unreadable(raw, fmt.Sprintf("a log line of %d rows is larger than this server takes", rows))
		}
		line.Entries = entries
	case fields.message != nil:
		line.Status = l.status(&fields)
	default:
		return l.unreadable(raw, "a log line is neither a result nor a status")
	}
	return line
}

// key is the identity of a line: what is sent again in a later request has the
// same one, equal lines inside one request have different ones.
func (l *lineReader) key(raw []byte, unixTime int64) [16]byte {
	first := results.LineKey(l.hostID, unixTime, raw, 0)
	n := l.seen[first]
	if len(l.seen) >= maxSeen {
		clear(l.seen)
	}
	l.seen[first] = n + 1
	if n == 0 {
		return first
	}
	return results.LineKey(l.hostID, unixTime, raw, n)
}

// unreadable keeps a line that we cannot decode where people look for trouble.
func (l *lineReader) unreadable(raw []byte, why string) results.Line {
	sample := bytes.ToValidUTF8(raw[:min(len(raw), maxSample)], []byte("\uFFFD"))
	sample = bytes.ReplaceAll(sample, []byte{0}, nil)
	sum := sha256.Sum256(raw)
	return results.Line{
		Key: l.key(sum[:], 0),
		Status: &results.Status{
			HostID: l.hostID, Severity: 2, Filename: "muster",
			Message: why + ": " + string(sample), UnixTime: l.now.Unix(),
		},
	}
}

// entries returns the rows of a line, at most maxRows of them, and how many it has.
func (l *lineReader) entries(f *lineFields) (entries []results.Entry, rows int) {
	base := results.Entry{
		HostID: l.hostID, Name: clip(text(f.name), maxName), Action: clip(text(f.action), maxName), Decorations: f.decorationJSON(),
		UnixTime: l.unixTime(f), Epoch: number(f.epoch), Counter: number(f.counter),
	}
	add := func(action string) func([]byte) {
		return func(columns []byte) {
			if len(columns) == 0 || columns[0] != '{' {
				return
			}
			if rows++; rows > maxRows {
				return
			}
			row := base
			row.Action, row.Columns = action, columns
			entries = append(entries, row)
		}
	}
	switch {
	case f.columns != nil:
		add(orAdded(base.Action))(f.columns)
	case f.snapshot != nil:
		elements(f.snapshot, add("snapshot"))
	default:
		var added, removed []byte
		members(f.diff, func(key, value []byte) {
			switch string(key) {
			case "added":
				added = value
			case "removed":
				removed = value
			}
		})
		elements(removed, add("removed"))
		elements(added, add("added"))
	}
	if len(base.Decorations)*len(entries) > maxDecorations {
		for i := range entries { // stored once a row: a few lines would fill the disk
			entries[i].Decorations = nil
		}
	}
	return entries, rows
}

func clip(s string, size int) string {
	if len(s) <= size {
		return s
	}
	return strings.ToValidUTF8(s[:size], "")
}

func orAdded(action string) string {
	if action == "" {
		return "added"
	}
	return action
}

func (l *lineReader) status(f *lineFields) *results.Status {
	return &results.Status{
		HostID: l.hostID, Severity: number(f.severity), Filename: text(f.filename), Line: number(f.line),
		Message: text(f.message), Version: text(f.version), Decorations: f.decorationJSON(), UnixTime: l.unixTime(f),
	}
}

// unixTime is the agent's time of the line, from calendarTime when unixTime is
// missing, else our own.
func (l *lineReader) unixTime(f *lineFields) int64 {
	if n := number(f.unixTime); n > 0 && n < 1<<40 {
		return n
	}
	if t, err := time.Parse(calendarLayout, text(f.calendarTime)); err == nil && t.Unix() > 0 {
		return t.Unix()
	}
	return l.now.Unix()
}

// lineFields are the members of a log line, as slices of it (osquery-tls 3.4 to 3.8).
type lineFields struct {
	name, action, columns, snapshot, diff      []byte
	unixTime, calendarTime, epoch, counter     []byte
	severity, filename, line, message, version []byte
	decorations                                []byte
	topLevel                                   [][2][]byte // decorations_top_level
}

func (f *lineFields) set(key, value []byte) {
	switch string(key) {
	case "name":
		f.name = value
	case "action":
		f.action = value
	case "columns":
		f.columns = value
	case "snapshot":
		f.snapshot = value
	case "diffResults":
		f.diff = value
	case "unixTime":
		f.unixTime = value
	case "calendarTime":
		f.calendarTime = value
	case "epoch":
		f.epoch = value
	case "counter":
		f.counter = value
	case "severity":
		f.severity = value
	case "filename":
		f.filename = value
	case "line":
		f.line = value
	case "message":
		f.message = value
	case "version":
		f.version = value
	case "decorations":
		f.decorations = value
	case "hostIdentifier", "numerics", "logNumericsAsNumbers":
		// Whatever a line claims, it is stored under the host that authenticated.
	default:
		f.topLevel = append(f.topLevel, [2][]byte{key, value})
	}
}

// decorationJSON returns the decorations as one object, wherever the agent put
// them; nil when there are none.
func (f *lineFields) decorationJSON() []byte {
	if len(f.decorations) > 2 && f.decorations[0] == '{' {
		return f.decorations
	}
	if len(f.topLevel) == 0 {
		return nil
	}
	object := []byte{'{'}
	for i, member := range f.topLevel {
		if i > 0 {
			object = append(object, ',')
		}
		object = append(append(append(object, '"'), member[0]...), '"', ':')
		object = append(object, member[1]...)
	}
	return append(object, '}')
}
