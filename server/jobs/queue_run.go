package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

const (
	// leaseGrace is how much longer a job's lease is than its run may take.
	leaseGrace = time.Minute
	// firstRetry and lastRetry bound the wait after a failure, which doubles.
	firstRetry = 10 * time.Second
	lastRetry  = 6 * time.Hour
	// maxError is how many bytes of an error are kept.
	maxError = 1000
)

// final is an error that another attempt cannot mend.
type final struct{ error }

// GiveUp marks an error of a run: the job is dead and not tried again by itself.
func GiveUp(err error) error { return final{err} }

// Unwrap returns the error that was marked.
func (f final) Unwrap() error { return f.error }

// later is an error that says when to try again.
type later struct {
	error
	wait time.Duration
}

// Later marks an error of a run that is no failure of the job: it is tried again
// after that time, and the attempt does not count.
func Later(wait time.Duration, err error) error { return later{err, wait} }

// Unwrap returns the error that was marked.
func (l later) Unwrap() error { return l.error }

// Run does jobs until ctx ends, and returns when those under way have ended.
// What did not end is done again, here or elsewhere.
func (q *Queue) Run(ctx context.Context) {
	wake, stop := q.bus.Subscribe(Topic)
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	free := make(chan struct{}, 1) // somebody has ended and there is room again
	slots := map[string]chan struct{}{}
	for kind, w := range q.workers {
		slots[kind] = make(chan struct{}, w.AtOnce)
	}
	for {
		wait := q.round(ctx, slots, func(j claimed) {
			running.Go(func() {
				q.do(ctx, j)
				<-slots[j.Kind]
				poke(free)
			})
		})
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-wake:
		case <-free:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func poke(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// claimed is a job that is ours until its lease ends.
type claimed struct{ Job }

// round starts what is due and there is room for, and returns how long to wait.
func (q *Queue) round(ctx context.Context, slots map[string]chan struct{}, start func(claimed)) time.Duration {
	due, err := q.due(ctx)
	if err != nil {
		if ctx.Err() == nil {
			q.log.Warn("jobs cannot be read: they wait", "error", err)
		}
		return q.o.Poll
	}
	now, wait := q.o.Now(), q.o.Poll
	for kind, at := range due {
		w, ours := q.workers[kind]
		if !ours {
			continue
		}
		if at.After(now) {
			wait = min(wait, at.Sub(now))
			continue
		}
		room := cap(slots[kind]) - len(slots[kind])
		if room == 0 {
			continue // the next that ends wakes us
		}
		jobs, err := q.claim(ctx, w, room)
		if err != nil && ctx.Err() == nil {
			q.log.Warn("jobs cannot be taken: they wait", "kind", kind, "error", err)
		}
		for _, j := range jobs {
			slots[kind] <- struct{}{}
			start(j)
		}
		if len(jobs) == room {
			wait = 0 // there may be more, of this kind when a slot is free and of others now
		}
	}
	if wait == 0 {
		return time.Millisecond
	}
	return wait
}

// due is when the next job of each kind that is done here is due.
func (q *Queue) due(ctx context.Context) (map[string]time.Time, error) {
	due := make(map[string]time.Time, len(q.workers))
	if len(q.workers) == 0 {
		return due, nil
	}
	var rows []struct {
		Kind string
		At   *int64
	}
	sql, kinds := q.dueSQL()
	err := q.db.Read(ctx).Raw(sql, kinds...).Scan(&rows).Error
	for _, r := range rows {
		if r.At != nil {
			due[r.Kind] = time.UnixMicro(*r.At)
		}
	}
	return due, database.Fault(err)
}

// dueSQL asks for each kind by itself, which takes one look at the index however many
// jobs there are.
func (q *Queue) dueSQL() (sql string, kinds []any) {
	for kind := range q.workers {
		kinds = append(kinds, kind)
	}
	return "SELECT column1 AS kind, (SELECT min(run_at) FROM jobs WHERE kind = column1 AND state <> 'dead') AS at FROM (VALUES " +
		listOf("(?)", len(kinds)) + ") AS v", kinds
}

// claim takes up to n jobs that are due: those that wait, and those whose holder
// let its lease run out, which means that it died. They are chosen once, before any is
// taken: PostgreSQL could otherwise choose again for each and take more than n.
func (q *Queue) claim(ctx context.Context, w Worker, n int) ([]claimed, error) {
	skip := ""
	if q.db.Engine() == database.Postgres {
		skip = " FOR UPDATE SKIP LOCKED"
	}
	now := q.o.Now()
	var rows []record
	err := q.db.Write(ctx).Raw(`WITH next AS MATERIALIZED (SELECT id FROM jobs WHERE kind = ? AND state <> 'dead' AND run_at <= ? ORDER BY run_at, id LIMIT ?`+skip+`)
		UPDATE jobs SET state = 'running', holder = ?, attempts = attempts + 1, run_at = ?, updated_at = ?
		WHERE id IN (SELECT id FROM next) RETURNING `+recordFields,
		w.Kind, database.Micros(now), n, q.holder, database.Micros(now.Add(w.Timeout+leaseGrace)), database.Micros(now)).Scan(&rows).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	jobs := make([]claimed, 0, len(rows))
	for _, r := range rows {
		jobs = append(jobs, claimed{r.job()})
	}
	return jobs, nil
}

// do runs one job and notes how it went.
func (q *Queue) do(ctx context.Context, j claimed) {
	w := q.workers[j.Kind]
	var err error
	if j.Attempt > j.MaxAttempts { // whoever ran it the last time died of it
		err = GiveUp(errors.New("the process ended each time while it ran"))
	} else {
		bounded, cancel := context.WithTimeout(ctx, w.Timeout)
		err = guarded(bounded, func(ctx context.Context) error { return w.Run(ctx, j.Job) })
		cancel()
	}
	ended, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if ctx.Err() != nil && err != nil {
		err = Later(0, err) // we end; the job did not fail
	}
	if err := q.note(ended, j, err); err != nil {
		q.log.Warn("what became of a job cannot be stored: it is done again", "kind", j.Kind, "job_id", j.ID, "error", err)
	}
}

// asClaimed is a job as it was claimed: not one whose lease ran out and that was claimed
// again, be it by this process.
const asClaimed = "id = ? AND holder = ? AND attempts = ? AND state = 'running'"

// note stores what became of a job.
func (q *Queue) note(ctx context.Context, j claimed, err error) error {
	if err == nil {
		return database.Fault(q.db.Write(ctx).Exec("DELETE FROM jobs WHERE "+asClaimed, j.ID, q.holder, j.Attempt).Error)
	}
	state, attempts, wait := Waiting, j.Attempt, retryAfter(j.Attempt)
	var asked later
	var hopeless final
	switch {
	case errors.As(err, &asked):
		attempts, wait = attempts-1, asked.wait
	case errors.As(err, &hopeless) || j.Attempt >= j.MaxAttempts:
		state, wait = Dead, 0
		if left, aloud := q.said.say("dead "+j.Kind+" "+err.Error(), q.o.Now()); aloud {
			q.log.Error("a job failed for good", "kind", j.Kind, "job_id", j.ID, "attempts", j.Attempt, "error", err, "alike_before", left)
		}
	default:
		if left, aloud := q.said.say("waiting "+j.Kind+" "+err.Error(), q.o.Now()); aloud {
			q.log.Warn("a job failed and is tried again", "kind", j.Kind, "job_id", j.ID, "attempt", j.Attempt, "retry_in", wait, "error", err, "alike_before", left)
		}
	}
	return q.db.Tx(ctx, func(tx *database.DB) error {
		if state == Waiting { // another with its key may wait by now, which will do for both
			gone := tx.Write(ctx).Exec("DELETE FROM jobs WHERE "+asClaimed+` AND unique_key <> '' AND EXISTS
				(SELECT 1 FROM jobs other WHERE other.kind = jobs.kind AND other.unique_key = jobs.unique_key AND other.state = 'waiting')`, j.ID, q.holder, j.Attempt)
			if gone.Error != nil || gone.RowsAffected > 0 {
				return gone.Error
			}
		}
		return tx.Write(ctx).Exec(`UPDATE jobs SET state = ?, attempts = ?, run_at = ?, holder = '', last_error = ?, updated_at = ?
			WHERE `+asClaimed,
			state, attempts, database.Micros(q.o.Now().Add(wait)), shown(err), database.Micros(q.o.Now()), j.ID, q.holder, j.Attempt).Error
	})
}

// shown is an error as it may be shown: the public sentence of a fault, and the
// text of another, which is the worker's to keep free of secrets.
func shown(err error) string {
	text := err.Error()
	var f *fault.Fault
	if errors.As(err, &f) {
		text = fault.Public(f)
	}
	return fmt.Sprintf("%.*s", maxError, text)
}

// retryAfter is the wait after so many attempts: it doubles, and a part of it is
// random so that what failed together does not come back together.
func retryAfter(attempt int) time.Duration {
	wait := lastRetry
	if attempt < 16 {
		wait = min(lastRetry, firstRetry<<(attempt-1))
	}
	return wait - time.Duration(rand.Int64N(int64(wait)/4)) //nolint:gosec // no secret
}
