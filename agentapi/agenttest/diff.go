package agenttest

import (
	"encoding/json"
	"slices"
	"strings"
	"unique"
)

// remembered is what a scheduled query left behind: the rows of its last run and
// where its counting stands.
type remembered struct {
	SQL     string
	Epoch   int64
	Counter int64
	LastRun int64 // unix time

	rows []row
}

// savedQuery is how a query is kept in the state file.
type savedQuery struct {
	SQL                     string
	Epoch, Counter, LastRun int64
	Rows                    [][]byte
}

// MarshalJSON writes the rows as bytes, since they need not be UTF-8.
func (q *remembered) MarshalJSON() ([]byte, error) {
	saved := savedQuery{SQL: q.SQL, Epoch: q.Epoch, Counter: q.Counter, LastRun: q.LastRun}
	for _, r := range q.rows {
		saved.Rows = append(saved.Rows, []byte(r.Value()))
	}
	return json.Marshal(saved)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (q *remembered) UnmarshalJSON(text []byte) error {
	var saved savedQuery
	if err := json.Unmarshal(text, &saved); err != nil {
		return err
	}
	*q = remembered{SQL: saved.SQL, Epoch: saved.Epoch, Counter: saved.Counter, LastRun: saved.LastRun}
	for _, packed := range saved.Rows {
		q.rows = append(q.rows, unique.Make(string(packed)))
	}
	return nil
}

// change is what one run of a query has to tell.
type change struct {
	removed, added []row
	counter        int64
	first          bool // every row, counter 0
}

// update takes the rows of a run. Event tables are never compared: their rows are
// new, and their counter starts at 1 (section 3.7).
func (q *remembered) update(known bool, sql string, epoch int64, rows []row, evented bool) change {
	fresh := !known || q.Epoch != epoch
	q.SQL, q.Epoch = sql, epoch
	if evented {
		if fresh {
			q.Counter = 0
		}
		if len(rows) == 0 {
			return change{counter: q.Counter}
		}
		q.Counter++
		return change{added: rows, counter: q.Counter}
	}
	if fresh {
		q.Counter, q.rows = 0, rows
		return change{added: rows, first: true}
	}
	removed, added := compareRows(q.rows, rows)
	if len(removed)+len(added) == 0 {
		return change{counter: q.Counter}
	}
	q.Counter++
	q.rows = rows
	return change{removed: removed, added: added, counter: q.Counter}
}

// compareRows is a difference of multisets: added in the order of the run,
// removed in the order of the rows' texts.
func compareRows(before, after []row) (removed, added []row) {
	count := make(map[row]int, len(before))
	for _, r := range before {
		count[r]++
	}
	for _, r := range after {
		if count[r] > 0 {
			count[r]--
		} else {
			added = append(added, r)
		}
	}
	for r, n := range count {
		for range n {
			removed = append(removed, r)
		}
	}
	slices.SortFunc(removed, func(x, y row) int { return strings.Compare(x.Value(), y.Value()) })
	return removed, added
}
