package outputs

import (
	"context"
	"encoding/json"
	"time"

	"muster/server/database"
	"muster/server/fault"
	"muster/server/jobs"
)

// Undelivered is a job that has not told its alerter.
type Undelivered struct {
	JobID int64
	NotifyArgs
	State       jobs.State
	Attempts    int
	LastError   string
	RunAt       time.Time // of the next attempt, if there is one
	Created     time.Time
	LastAttempt time.Time
}

// Undelivered lists jobs of a state, the newest first, and how many there are.
// Faults: those of the database.
func (a *Alerters) Undelivered(ctx context.Context, state jobs.State, start, limit int) ([]Undelivered, int, error) {
	found, count, err := a.Queue.List(ctx, jobs.Filter{Kind: NotifyKind, State: state, Start: start, Limit: limit})
	list := make([]Undelivered, 0, len(found))
	for _, job := range found {
		u := Undelivered{JobID: job.ID, State: job.State, Attempts: job.Attempt, LastError: job.LastError, RunAt: job.RunAt, Created: job.Created, LastAttempt: job.Updated}
		_ = json.Unmarshal(job.Args, &u.NotifyArgs) // who made the job made it so
		list = append(list, u)
	}
	return list, count, database.Fault(err)
}

// Replay tries dead jobs again: one, or all if id is 0. It returns how many.
// Faults: NotFound.
func (a *Alerters) Replay(ctx context.Context, id int64) (int, error) {
	return a.Queue.Replay(ctx, NotifyKind, id)
}

// Discard deletes a dead job. Faults: NotFound.
func (a *Alerters) Discard(ctx context.Context, id int64) error {
	if id <= 0 {
		return fault.New(fault.NotFound, "There is no failed job %d", id)
	}
	_, err := a.Queue.Discard(ctx, NotifyKind, id)
	return err
}
