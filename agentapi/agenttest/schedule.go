package agenttest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

const (
	scheduleDenylist = 86400            // seconds
	forgetAfter      = 7 * 86400        // seconds without a run
	longestNap       = 10 * time.Minute // of the schedule loop
	mostLag          = 60               // seconds the schedule may run behind
)

// execution is what osquery_schedule tells of a query.
type execution struct {
	executions, lastExecuted, outputSize, wall, lastWall int64
}

// RunSchedule runs the queries whose splayed interval divides now's unix time, as
// one tick of the scheduler, and says how many.
func (a *Agent) RunSchedule(ctx context.Context, now time.Time) (int, error) {
	return a.runWhere(ctx, now, func(q planned) bool { return now.Unix()%q.splayed == 0 })
}

// RunQueries runs scheduled queries by result name at once; all without a name.
func (a *Agent) RunQueries(ctx context.Context, names ...string) (int, error) {
	return a.runWhere(ctx, a.now(), func(q planned) bool {
		return len(names) == 0 || slices.Contains(names, q.resultName)
	})
}

func (a *Agent) runWhere(ctx context.Context, now time.Time, wanted func(planned) bool) (int, error) {
	ctx, leave, err := a.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	ran := 0
	for _, q := range a.schedule(ctx) {
		if !wanted(q) {
			continue
		}
		if err := a.runScheduled(ctx, q, now); err != nil {
			return ran, err
		}
		ran++
	}
	if ran > 0 {
		a.save()
	}
	return ran, nil
}

// runScheduled is one run of one query. The error is that the agent crashed or
// stopped; that the query failed is a status line.
func (a *Agent) runScheduled(ctx context.Context, q planned, now time.Time) error {
	if a.denied(q, now) {
		return nil
	}
	a.setExecuting(q.resultName)
	if err := a.crash(StepScheduled); err != nil {
		return err
	}
	if d := a.currentConfig(); d != nil {
		a.redecorate(d, now)
	}
	a.status(severityInfo, "scheduler.cpp", 130, "Executing scheduled query "+q.resultName+": "+q.sql)
	began := time.Now()
	found, err := a.query(ctx, look{sql: q.sql, scheduled: q.resultName, at: now})
	a.setExecuting("")
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		a.status(severityError, "scheduler.cpp", 158, "Error executing scheduled query "+q.resultName+": "+err.Error())
		return nil
	}
	lines := a.lineForm().lines(a.reportOf(q, found, now))
	a.keep(q.resultName, lines, now, time.Since(began))
	return nil
}

// reportOf takes the rows of a run into the agent's memory of that query.
func (a *Agent) reportOf(q planned, found *found, now time.Time) report {
	r := report{
		name: q.resultName, at: now, snapshot: q.snapshot,
		epoch: int64(a.flags.int("schedule_epoch")), decorations: a.decoration(),
	}
	if q.snapshot {
		r.rows = found.pack(nil)
		return r
	}
	rows := found.pack(func(s string) string { return escapeBytes(s, a.profile.keepsUTF8) })
	a.mu.Lock()
	defer a.mu.Unlock()
	kept, known := a.disk.Queries[q.resultName]
	if known && now.Unix()-kept.LastRun > forgetAfter {
		known = false
	}
	if !known {
		kept = &remembered{}
		a.disk.Queries[q.resultName] = kept
	}
	kept.LastRun = now.Unix()
	r.change = kept.update(known, q.sql, r.epoch, rows, found.evented)
	if !q.removed {
		r.change.removed = nil
	}
	return r
}

// keep puts lines into the buffer and notes the run.
func (a *Agent) keep(name string, lines [][]byte, now time.Time, took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	run := a.mem.runs[name]
	if run == nil {
		run = &execution{}
		a.mem.runs[name] = run
	}
	run.executions++
	run.lastExecuted, run.lastWall = now.Unix(), took.Milliseconds()
	run.wall += run.lastWall
	for _, line := range lines {
		run.outputSize += int64(len(line))
		a.disk.Buffer.add('r', now.Unix(), line)
	}
}

func (a *Agent) setExecuting(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.disk.Executing = name
}

// denied tells whether q is on the denylist. Queries with denylist:false and
// those over event tables only are exempt (section 2.8).
func (a *Agent) denied(q planned, now time.Time) bool {
	if !q.denylist || strings.Contains(q.sql, "_events") {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.disk.Denylist[q.resultName] > now.Unix()
}

// afterCrash puts the query that ran when the last process died on the denylist.
func (a *Agent) afterCrash() {
	a.mu.Lock()
	name := a.disk.Executing
	a.disk.Executing = ""
	if name != "" {
		a.disk.Denylist[name] = a.now().Unix() + scheduleDenylist
	}
	a.mu.Unlock()
	if name != "" {
		a.status(severityWarning, "config.cpp", 402, "Scheduled query may have failed: "+name)
	}
}

// scheduleLoop runs queries at the seconds that they are due. The count of
// seconds goes on while queries run, so that none is skipped; after a long sleep
// of the host it starts anew.
func (a *Agent) scheduleLoop(ctx context.Context) {
	a.runAtStart(ctx)
	at := a.now().Unix()
	for ctx.Err() == nil {
		nap, cancel := context.WithCancel(ctx)
		a.mu.Lock()
		a.mem.rearm = cancel
		a.mu.Unlock()
		due, found := a.nextDue(ctx, at)
		wait := longestNap
		if found {
			wait = min(wait, time.Unix(due, 0).Sub(a.now()))
		}
		err := a.clock.Sleep(nap, wait)
		cancel()
		now := a.now().Unix()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil || !found || now < due: // look again
			at = max(at, now-1)
		default:
			_, _ = a.RunSchedule(ctx, time.Unix(due, 0))
			at = due
			if a.now().Unix()-at > mostLag {
				at = a.now().Unix()
			}
		}
	}
}

// nextDue is the first second after at in which a query is due.
func (a *Agent) nextDue(ctx context.Context, at int64) (due int64, found bool) {
	for _, q := range a.schedule(ctx) {
		next := (at/q.splayed + 1) * q.splayed
		if !found || next < due {
			due, found = next, true
		}
	}
	return due, found
}

// runAtStart runs queries with a startup_priority, the lowest first.
func (a *Agent) runAtStart(ctx context.Context) {
	if !a.profile.startup {
		return
	}
	first := slices.Clone(a.schedule(ctx))
	first = slices.DeleteFunc(first, func(q planned) bool { return !q.hasPriority })
	slices.SortStableFunc(first, func(x, y planned) int { return cmp.Compare(x.priority, y.priority) })
	for _, q := range first {
		_, _ = a.RunQueries(ctx, q.resultName)
	}
}
