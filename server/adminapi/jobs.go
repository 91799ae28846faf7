package adminapi

import (
	"context"
	"encoding/json"

	"muster/server/fault"
	"muster/server/jobs"
)

// jobRoutes show the work that goes on beside requests, for whoever wonders at
// night why something did not happen. They are ours.
func (a *api) jobRoutes() []route {
	in := a.signedIn
	return []route{
		{"GET", "/jobs", in, handle(a, a.listJobs), "View jobs that wait, run, or failed for good"},
		{"POST", "/jobs/replay", in, act(a, a.replayJobs), "Try jobs again that failed for good"},
		{"POST", "/jobs/discard", in, act(a, a.discardJobs), "Give up jobs that failed for good"},
	}
}

// jobView is a job. args are what it is about, by its kind.
type jobView struct {
	ID          int64           `json:"id"`
	Kind        string          `json:"kind"`
	State       string          `json:"state"` // waiting, running or dead
	Args        json.RawMessage `json:"args"`
	Attempts    int             `json:"attempts"`
	MaxAttempts int             `json:"max_attempts"`
	LastError   *string         `json:"last_error"`
	RunAt       *string         `json:"run_at"` // not before; of one that runs, when it counts as lost
	CreatedAt   *string         `json:"created_at"`
	UpdatedAt   *string         `json:"updated_at"`
}

type listJobs struct {
	Kind  string `arg:"kind"`
	State string `arg:"state,choices=waiting|running|dead"`
	Start int    `arg:"start,default=0,min=0"`
	Limit int    `arg:"limit,default=50,min=0,max=1000,page"`
}

func (a *api) listJobs(ctx context.Context, r listJobs) (answer[page[jobView]], error) {
	all, count, err := a.Jobs.List(ctx, jobs.Filter{Kind: r.Kind, State: jobs.State(r.State), Start: r.Start, Limit: r.Limit})
	views := make([]jobView, 0, len(all))
	for _, j := range all {
		views = append(views, jobView{
			ID: j.ID, Kind: j.Kind, State: string(j.State), Args: orObject(j.Args), Attempts: j.Attempt, MaxAttempts: j.MaxAttempts,
			LastError: orNull(j.LastError), RunAt: iso(j.RunAt), CreatedAt: iso(j.Created), UpdatedAt: iso(j.Updated),
		})
	}
	return answer[page[jobView]]{"Successfully fetched the jobs", page[jobView]{views, count, count}}, err
}

// deadJobs names one job, or all of a kind.
type deadJobs struct {
	ID   int64  `arg:"id,min=1"`
	Kind string `arg:"kind"`
}

// Check refuses to name nothing.
func (r *deadJobs) Check() error {
	if r.ID == 0 && r.Kind == "" {
		return fault.New(fault.Invalid, "id or kind must say which jobs")
	}
	return nil
}

type jobCount struct {
	Count int `json:"count"`
}

func (a *api) replayJobs(ctx context.Context, r deadJobs) (answer[jobCount], error) {
	n, err := a.Jobs.Replay(ctx, r.Kind, r.ID)
	return a.jobsDone(ctx, "job.replay", "The jobs are tried again", r, n, err)
}

func (a *api) discardJobs(ctx context.Context, r deadJobs) (answer[jobCount], error) {
	n, err := a.Jobs.Discard(ctx, r.Kind, r.ID)
	return a.jobsDone(ctx, "job.discard", "The jobs are given up", r, n, err)
}

func (a *api) jobsDone(ctx context.Context, action, message string, r deadJobs, n int, err error) (answer[jobCount], error) {
	if err == nil {
		a.record(ctx, action, r.Kind, map[string]any{"id": r.ID, "count": n})
	}
	return answer[jobCount]{message, jobCount{n}}, err
}
