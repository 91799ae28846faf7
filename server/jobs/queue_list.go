package jobs

import (
	"context"
	"encoding/json"

	"muster/server/database"
	"muster/server/fault"
)

// record is a row of the table jobs.
type record struct {
	ID                           int64
	Kind, Args, State, LastError string
	Attempts, MaxAttempts        int
	RunAt, CreatedAt, UpdatedAt  int64
}

const recordFields = "id, kind, args, state, attempts, max_attempts, run_at, last_error, created_at, updated_at"

func (r record) job() Job {
	return Job{
		ID: r.ID, Kind: r.Kind, Args: json.RawMessage(r.Args), State: State(r.State), Attempt: r.Attempts, MaxAttempts: r.MaxAttempts,
		RunAt: database.FromMicros(r.RunAt), LastError: r.LastError, Created: database.FromMicros(r.CreatedAt), Updated: database.FromMicros(r.UpdatedAt),
	}
}

// Filter says which jobs to list.
type Filter struct {
	Kind         string // empty: all
	State        State  // empty: all
	Start, Limit int
}

const (
	anyKind  = "(kind = ? OR ? = '')"
	anyState = "(state = ? OR ? = '')"
)

// List returns jobs, the newest first, and how many there are. Faults: those of
// the database.
func (q *Queue) List(ctx context.Context, f Filter) ([]Job, int, error) {
	var count int64
	var rows []record
	err := q.db.View(ctx, func(view *database.DB) error {
		where, args := " FROM jobs WHERE "+anyKind+" AND "+anyState, []any{f.Kind, f.Kind, f.State, f.State}
		if err := view.Read(ctx).Raw("SELECT count(*)"+where, args...).Scan(&count).Error; err != nil {
			return err
		}
		return view.Read(ctx).Raw("SELECT "+recordFields+where+" ORDER BY id DESC LIMIT ? OFFSET ?", append(args, f.Limit, f.Start)...).Scan(&rows).Error
	})
	jobs := make([]Job, 0, len(rows))
	for _, r := range rows {
		jobs = append(jobs, r.job())
	}
	return jobs, int(count), err
}

// Replay makes dead jobs wait again, as if they were new, and returns how many:
// the one of an id, or all of a kind when id is 0. Of several with one key the
// newest waits, unless another does already. Faults: NotFound when there is
// none of that id, those of the database.
func (q *Queue) Replay(ctx context.Context, kind string, id int64) (int, error) {
	now := database.Micros(q.o.Now())
	done := q.db.Write(ctx).Exec(`UPDATE jobs SET state = 'waiting', attempts = 0, run_at = ?, updated_at = ?
		WHERE state = 'dead' AND (id = ? OR ? = 0) AND `+anyKind+` AND NOT (unique_key <> '' AND EXISTS
		(SELECT 1 FROM jobs other WHERE other.kind = jobs.kind AND other.unique_key = jobs.unique_key AND (other.state = 'waiting' OR other.state = 'dead' AND other.id > jobs.id)))`,
		now, now, id, id, kind, kind)
	if done.Error == nil && done.RowsAffected > 0 {
		q.Hint()
	}
	return counted(int(done.RowsAffected), id, database.Fault(done.Error))
}

// Discard deletes dead jobs, named as for Replay, and returns how many.
func (q *Queue) Discard(ctx context.Context, kind string, id int64) (int, error) {
	done := q.db.Write(ctx).Exec("DELETE FROM jobs WHERE state = 'dead' AND (id = ? OR ? = 0) AND "+anyKind, id, id, kind, kind)
	return counted(int(done.RowsAffected), id, database.Fault(done.Error))
}

func counted(n int, id int64, err error) (int, error) {
	if err == nil && n == 0 && id != 0 {
		err = fault.New(fault.NotFound, "There is no failed job %d", id)
	}
	return n, err
}

// Counts is how many jobs of each kind are in each state.
func (q *Queue) Counts(ctx context.Context) (map[string]map[State]int, error) {
	var rows []struct {
		Kind  string
		State State
		Count int
	}
	err := q.db.Read(ctx).Raw("SELECT kind, state, count(*) AS count FROM jobs GROUP BY kind, state").Scan(&rows).Error
	counts := map[string]map[State]int{}
	for _, r := range rows {
		if counts[r.Kind] == nil {
			counts[r.Kind] = map[State]int{}
		}
		counts[r.Kind][r.State] = r.Count
	}
	return counts, database.Fault(err)
}
