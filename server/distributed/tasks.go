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
	Error              string          // osquery's message
	Stats              json.RawMessage // object: wall_time_ms, user_time, system_time, memory; {} when unknown
}

// TaskFilter selects tasks of one query.
type TaskFilter struct {
	QueryID      int64
	States       []State // any of these; none is all
	WithoutRows  bool    // leave out what may be large
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
	Size               int // of Rows, where it was asked
}

// Tasks returns tasks by host id, and how many match. Faults: NotFound for an
// unknown query, Busy, Internal.
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
	columns := "query_id, host_id, state, sends, sent_at, finished_at, seq, row_count, error, stats"
	if !f.WithoutRows {
		columns += ", rows"
	}
	var rows []taskRow
	list := "SELECT " + columns + where + " ORDER BY host_id LIMIT ? OFFSET ?"
	if err := db.Raw(list, append(args, pageSize(f.Limit), max(f.Start, 0))...).Scan(&rows).Error; err != nil {
		return nil, 0, database.Fault(err)
	}
	for _, row := range rows {
		task, err := s.task(ctx, row)
		if err != nil {
			return nil, 0, err
		}
		tasks = append(tasks, task)
	}
	return tasks, count, nil
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
