package distributed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Report is what a host says of one query (osquery-tls.md 4.3).
type Report struct {
	ID      string          // wire id
	Status  int             // 0: it ran
	Message string          // osquery's, when it did not
	Rows    json.RawMessage // array of objects; nothing, null or "" is an empty one
	Stats   json.RawMessage // object, or nothing
}

// denylisted is osquery's message for a query that it refuses.
const denylisted = "distributed query is denylisted"

// maxMessage bounds what is kept of an error.
const maxMessage = 16 << 10

// answer is a report as it will be stored.
type answer struct {
	queryID, hostID    int64
	state              State
	rows, error, stats string
	rowCount           int
}

// Answer stores what a host reports and returns after the commit; watchers are
// told. The outcome of a task is stored once: reports of unknown, cancelled,
// repeated or other hosts' queries are accepted and dropped, since an agent would
// repeat them for ever. An answer to an expired query is kept all the same if the
// host had been handed it: it replaces the outcome expired, and who watches the
// query afterwards sees it.
//
// Faults: Busy, before any database work when too much waits, and Internal: the
// agent keeps its results and reports again.
func (s *Store) Answer(ctx context.Context, hostID int64, reports []Report) error {
	for chunk := range slices.Chunk(reports, batchItems) {
		op := &operation{host: hostID}
		for _, report := range chunk {
			if queryID, ours := QueryID(report.ID); ours {
				a := read(report)
				a.queryID, a.hostID = queryID, hostID
				op.answers = append(op.answers, a)
				op.size += len(a.rows)
			}
		}
		if len(op.answers) == 0 {
			continue
		}
		if err := s.commit(ctx, op); err != nil {
			return err
		}
	}
	return nil
}

// read turns a report into what is stored. What a database could not store is
// made storable or becomes an error: refusing it would make the agent repeat it.
func read(r Report) answer {
	a := answer{rows: "[]", stats: "{}"}
	if stats := bytes.TrimSpace(r.Stats); len(stats) > 0 && stats[0] == '{' && json.Valid(stats) {
		a.stats = clean(stats)
	}
	if r.Status != 0 {
		a.state, a.error = Failed, clip(clean(r.Message))
		switch {
		case strings.Contains(a.error, denylisted):
			a.state = Denylisted
		case a.error == "":
			a.error = fmt.Sprintf("the agent gives no reason (status %d)", r.Status)
		}
		return a
	}
	rows := bytes.TrimSpace(bytes.ReplaceAll(r.Rows, []byte{0}, nil))
	switch {
	case len(rows) == 0 || string(rows) == "null" || string(rows) == `""`:
		a.state = Empty
	case rows[0] != '[' || !json.Valid(rows):
		a.state, a.error = Failed, "the agent's answer is no array of rows"
	default:
		if a.rowCount = elements(rows); a.rowCount == 0 {
			a.state = Empty
			break
		}
		a.state, a.rows = Answered, clean(rows)
	}
	return a
}

// clean drops what PostgreSQL's text cannot hold: NUL and bytes that are no UTF-8.
func clean[T string | []byte | json.RawMessage](text T) string {
	return strings.ToValidUTF8(strings.ReplaceAll(string(text), "\x00", ""), "\ufffd")
}

func clip(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	return strings.ToValidUTF8(text[:maxMessage], "")
}

// elements counts the elements of a valid JSON array.
func elements(array []byte) int {
	depth, count, inside := 0, 0, false
	for i := 0; i < len(array); i++ {
		switch array[i] {
		case '"':
			for i++; array[i] != '"'; i++ {
				if array[i] == '\\' {
					i++
				}
			}
			inside = true
		case '[', '{':
			inside = inside || depth > 0
			depth++
		case ']', '}':
			depth--
		case ',':
			if depth == 1 {
				count++
			}
		case ' ', '\t', '\n', '\r':
		default:
			inside = true
		}
	}
	if inside {
		count++
	}
	return count
}
