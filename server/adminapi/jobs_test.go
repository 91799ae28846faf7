package adminapi

import (
	"context"
	"errors"
	"testing"
	"time"

	"muster/server/jobs"
)

func TestJobs(t *testing.T) {
	each(t, func(w *world) {
		ctx := t.Context()
		w.queue.Handle(jobs.Worker{Kind: "carve.scan", Run: func(context.Context, jobs.Job) error { return jobs.GiveUp(errors.New("the scanner is gone")) }})
		w.ok(w.queue.Add(ctx, jobs.NewJob{Kind: "carve.scan", Args: map[string]int{"carve_id": 7}}, jobs.NewJob{Kind: "later", RunAt: w.clock.Now().Add(time.Hour)}))
		w.background(w.queue.Run)
		w.deadJobs(1)
		w.expect("jobs", "GET", "/jobs", nil)
		w.expect("jobs_dead", "GET", "/jobs?state=dead&kind=carve.scan", nil)
		w.expect("jobs_state", "GET", "/jobs?state=lost", nil)
		w.expect("jobs_replay", "POST", "/jobs/replay", map[string]any{"kind": "carve.scan"})
		w.deadJobs(1)
		w.expect("jobs_replay_unknown", "POST", "/jobs/replay", map[string]any{"id": 99})
		w.expect("jobs_replay_nothing", "POST", "/jobs/replay", nil)
		w.expect("jobs_discard", "POST", "/jobs/discard", map[string]any{"id": 1})
		w.expect("jobs_none", "GET", "/jobs?state=dead", nil)
	})
}

// deadJobs waits until so many jobs failed for good.
func (w *world) deadJobs(n int) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		_, count, err := w.queue.List(w.t.Context(), jobs.Filter{State: jobs.Dead, Limit: 1})
		w.ok(err)
		if count == n {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%d jobs are dead", count)
		}
	}
}
