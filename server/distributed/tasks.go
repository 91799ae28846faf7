package distributed

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"muster/server/database"
	"muster/server/fault"
	"muster/server/hosts"
)

// State says how far a task is.
type State string

// The states of a task. Pending and Sent are open, the others are outcomes.
const (
	Pending    State = "pending"
	Sent       State = "sent"
	Answered   State = "answered" // with rows
	Empty      State = "empty"    // no rows
	Failed     State = "error"
	Denylisted State = "denylisted" // the agent refuses the query after it was killed over it
	Expired    State = "expired"
	Cancelled  State = "cancelled"
)

func (s State) open() bool { return s == Pending || s == Sent }

// Task is what became of a query on one target.
type Task struct {
	QueryID, HostID    int64
	Host               *hosts.Host // nil when the host was deleted
	State              State
	Sends              int // how often the host was handed it
	SentAt, FinishedAt time.Time
	Seq                int64 // place among the query's answers, from 1; 0 without one
	RowCount           int
	Rows               json.RawMessage // array of objects of strings, as the agent sent it
	RowsOmitted        bool            // there are rows, but no room for them on this page
	Error              string          // osquery's message
	Stats              json.RawMessage // object: wall_time_ms, user_time, system_time, memory; {} when unknown
}

// TaskFilter selects tasks of one query.
type TaskFilter struct {
	QueryID      int64
	States       []State // any of these; none is all
	WithoutRows  bool    // leave out what may be large, without a notice
	Start, Limit int     // Limit 0 is 100; at most 1000
}

type taskRow struct {
	QueryID, HostID    int64
	State              State
	Sends              int
	SentAt, FinishedAt int64
	Seq                int64
	RowCount           int
	Rows, Error, Stats string
	Size               int // of Rows in bytes, where it was asked
}

// taskPageBytes bounds the rows of a page of tasks; one task may have more.
const taskPageBytes = 16 << 20

const noRows = "[]"

// Tasks returns tasks by host id, and how many match. The rows of a page are at
// most 16 MiB together: tasks whose rows do not fit any more come with RowsOmitted.
// The first task that has rows always comes with them, so that each can be fetched
// on a page of its own. Faults: NotFound for an unknown query, Busy, Internal.
func (s *Store) Tasks(ctx context.Context, f TaskFilter) (tasks []Task, count int, err error) {
	if _, err := s.findRow(ctx, f.QueryID); err != nil {
		return nil, 0, err
	}
	where, args := " FROM live_tasks WHERE query_id = ?", []any{f.QueryID}
	if len(f.States) > 0 {
		where, args = where+" AND state IN ?", append(args, f.States)
	}
	db := s.db.Read(ctx)
	if err := db.Raw("SELECT count(*)"+where, args...).Scan(&count).Error; err != nil {
		return nil, 0, database.Fault(err)
	}
	var rows []taskRow
	list := "SELECT query_id, host_id, state, sends, sent_at, finished_at, seq, row_count, error, stats, octet_length(rows) AS size" +
		where + " ORDER BY host_id LIMIT ? OFFSET ?"
	if err := db.Raw(list, append(args, pageSize(f.Limit), max(f.Start, 0))...).Scan(&rows).Error; err != nil {
		return nil, 0, database.Fault(err)
	}
	if !f.WithoutRows {
		if err := s.fillRows(ctx, f.QueryID, rows); err != nil {
			return nil, 0, err
		}
	}
	for _, row := range rows {
		task, err := s.task(ctx, row)
		if err != nil {
			return nil, 0, err
		}
		task.RowsOmitted = !f.WithoutRows && row.Rows == ""
		tasks = append(tasks, task)
	}
	return tasks, count, nil
}

// fillRows reads the rows of as many tasks as fit. Tasks it leaves without any
// text are the others.
func (s *Store) fillRows(ctx context.Context, queryID int64, tasks []taskRow) error {
	var chosen []int64
	left := taskPageBytes
	for i := range tasks {
		switch t := &tasks[i]; {
		case t.State.open() || t.Size <= len(noRows): // open ones have no rows yet, and may grow until they are read
			t.Rows = noRows
		case t.Size <= left || len(chosen) == 0:
			chosen, left = append(chosen, t.HostID), left-t.Size
		}
	}
	if len(chosen) == 0 {
		return nil
	}
	var read []taskRow
	err := s.db.Read(ctx).Raw("SELECT host_id, rows FROM live_tasks WHERE query_id = ? AND host_id IN ?", queryID, chosen).Scan(&read).Error
	if err != nil {
		return database.Fault(err)
	}
	rows := make(map[int64]string, len(read))
	for _, r := range read {
		rows[r.HostID] = r.Rows
	}
	for i := range tasks {
		if text, found := rows[tasks[i].HostID]; found {
			tasks[i].Rows = text
		}
	}
	return nil
}

func (s *Store) task(ctx context.Context, r taskRow) (Task, error) {
	host, err := s.host(ctx, r.HostID)
	return Task{
		QueryID: r.QueryID, HostID: r.HostID, Host: host, State: r.State, Sends: r.Sends,
		SentAt: database.FromMicros(r.SentAt), FinishedAt: database.FromMicros(r.FinishedAt),
		Seq: r.Seq, RowCount: r.RowCount, Rows: json.RawMessage(r.Rows), Error: r.Error, Stats: json.RawMessage(r.Stats),
	}, err
}

// host is the host of a task, nil when it was deleted.
func (s *Store) host(ctx context.Context, id int64) (*hosts.Host, error) {
	host, err := s.hosts.FindByID(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return host, err
}

// questionMarks is "(?,?),(?,?)": groups of placeholders for a list of rows.
func questionMarks(group string, rows int) string {
	return strings.TrimSuffix(strings.Repeat(group+",", rows), ",")
}
