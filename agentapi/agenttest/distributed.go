package agenttest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"github.com/valyala/fastjson"
)

const acceleratedWait = 5 * time.Second

// task is a live query waiting to run.
type task struct{ ID, SQL string }

// taskResult is what became of one.
type taskResult struct {
	id, message string
	status      int
	found       *found // nil without rows
	wall        time.Duration
	measured    bool
}

// PollDistributed is one cycle: read, run everything that is pending in sequence,
// write all answers in one request. The error is that of the request that failed;
// unsent answers stay for the next cycle.
func (a *Agent) PollDistributed(ctx context.Context) error {
	ctx, leave, err := a.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	a.stepMu.Lock()
	defer a.stepMu.Unlock()
	failure := a.readTasks(ctx)
	if err := a.crash(StepRead); err != nil {
		return err
	}
	ran, err := a.runTasks(ctx)
	if err != nil {
		return err
	}
	if ran {
		a.save()
		if err := a.crash(StepAnswered); err != nil {
			return err
		}
	}
	if err := a.writeAnswers(ctx); err != nil {
		return err
	}
	return failure
}

func (a *Agent) readTasks(ctx context.Context) error {
	object, err := a.call(ctx, call{
		endpoint: EndpointRead,
		attempts: a.flags.int("distributed_tls_max_attempts"),
		body:     nodeKeyBody,
	})
	if err != nil || object.Len() == 0 {
		return err
	}
	skipped, err := a.discover(ctx, object.Get("discovery"))
	if err != nil { // an error in a discovery query rejects the whole answer
		a.status(severityError, "distributed.cpp", 421, "Error running distributed discovery query: "+err.Error())
		return nil
	}
	if a.takeTasks(object.Get("queries"), skipped) {
		a.accelerate(object.Get("accelerate"))
	}
	a.save()
	return nil
}

func nodeKeyBody(key string) []byte {
	var body members
	body.str("node_key", key)
	return body.json()
}

// discover runs discovery queries now. Ids without a row are skipped silently.
func (a *Agent) discover(ctx context.Context, value *fastjson.Value) (skipped map[string]bool, err error) {
	skipped = map[string]bool{}
	visit(value, func(id string, item *fastjson.Value) {
		if err != nil {
			return
		}
		var rows *found
		if rows, err = a.query(ctx, look{sql: stringOf(item)}); err == nil && len(rows.rows) == 0 {
			skipped[id] = true
		}
	})
	return skipped, err
}

// takeTasks keeps the queries; the first that is empty or no string ends the
// reading of the document (section 4.2).
func (a *Agent) takeTasks(value *fastjson.Value, skipped map[string]bool) (whole bool) {
	whole = true
	a.mu.Lock()
	defer a.mu.Unlock()
	visit(value, func(id string, item *fastjson.Value) {
		sql := stringOf(item)
		if sql == "" || !whole {
			whole = false
			return
		}
		if skipped[id] {
			return
		}
		at := slices.IndexFunc(a.disk.Pending, func(t task) bool { return t.ID == id })
		if at >= 0 {
			a.disk.Pending[at].SQL = sql
			return
		}
		a.disk.Pending = append(a.disk.Pending, task{id, sql})
	})
	return whole
}

// accelerate obeys an integer number of seconds; a string is ignored.
func (a *Agent) accelerate(value *fastjson.Value) {
	if value == nil || value.Type() != fastjson.TypeNumber {
		return
	}
	seconds, err := value.Int64()
	if err != nil || seconds <= 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.disk.Accelerate = a.now().Unix() + seconds
}

// runTasks runs what is pending, each under its hash in the running set, so that
// a death on the way denylists it.
func (a *Agent) runTasks(ctx context.Context) (ran bool, err error) {
	for ctx.Err() == nil {
		a.mu.Lock()
		if len(a.disk.Pending) == 0 {
			a.mu.Unlock()
			return ran, nil
		}
		next := a.disk.Pending[0]
		a.disk.Pending = a.disk.Pending[1:]
		a.mu.Unlock()
		ran = true
		result, err := a.runTask(ctx, next)
		if err != nil {
			return ran, err
		}
		a.mu.Lock()
		a.mem.unsent = slices.DeleteFunc(a.mem.unsent, func(r taskResult) bool { return r.id == next.ID })
		a.mem.unsent = append(a.mem.unsent, result)
		a.mu.Unlock()
	}
	return ran, ctx.Err()
}

func (a *Agent) runTask(ctx context.Context, t task) (taskResult, error) {
	sum := sha256.Sum256([]byte(t.SQL))
	hash := hex.EncodeToString(sum[:])
	if !a.startTask(hash) {
		return taskResult{id: t.ID, status: 1, message: "distributed query is denylisted"}, nil
	}
	if err := a.crash(StepDistributed); err != nil {
		return taskResult{}, err
	}
	began := time.Now()
	rows, err := a.query(ctx, look{sql: t.SQL})
	if ctx.Err() != nil {
		return taskResult{}, ctx.Err()
	}
	a.mu.Lock()
	delete(a.disk.Running, hash)
	a.mu.Unlock()
	if err != nil {
		a.status(severityError, "distributed.cpp", 186, "Error executing distributed query: "+t.ID+": "+err.Error())
		return taskResult{id: t.ID, status: 1, message: err.Error()}, nil
	}
	return taskResult{id: t.ID, found: rows, wall: time.Since(began), measured: true}, nil
}

// startTask notes that the query runs, unless it was running when an earlier
// process died less than distributed_denylist_duration ago.
func (a *Agent) startTask(hash string) bool {
	duration := int64(a.flags.int("distributed_denylist_duration"))
	now := a.now().Unix()
	a.mu.Lock()
	defer a.mu.Unlock()
	if started, ok := a.disk.Running[hash]; ok && now-started < duration {
		return false
	}
	a.disk.Running[hash] = now
	return true
}

func (a *Agent) writeAnswers(ctx context.Context) error {
	a.mu.Lock()
	results := slices.Clone(a.mem.unsent)
	a.mu.Unlock()
	if len(results) == 0 {
		return nil
	}
	_, err := a.call(ctx, call{
		endpoint: EndpointWrite,
		attempts: a.flags.int("distributed_tls_max_attempts"),
		body:     func(key string) []byte { return writeBody(key, results) },
	})
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mem.unsent = a.mem.unsent[len(results):]
	if len(a.mem.unsent) == 0 {
		a.mem.unsent = nil
	}
	a.count.answers.Add(int64(len(results)))
	for _, r := range results {
		if r.status != 0 {
			a.count.answerErrors.Add(1)
		}
	}
	return nil
}

// writeBody is section 4.3: values are strings, columns in the order of the SELECT.
func writeBody(key string, results []taskResult) []byte {
	var queries, statuses, messages, stats, body members
	for _, r := range results {
		queries.set(r.id, r.found.json())
		statuses.num(r.id, int64(r.status))
		messages.str(r.id, r.message)
		stats.obj(r.id, r.stats())
	}
	body.obj("queries", queries)
	body.obj("statuses", statuses)
	body.obj("messages", messages)
	body.obj("stats", stats)
	body.str("node_key", key)
	return body.json()
}

func (r taskResult) stats() members {
	var m members
	if r.measured {
		m.num("wall_time_ms", r.wall.Milliseconds())
		m.num("user_time", r.wall.Milliseconds()/2)
		m.num("system_time", r.wall.Milliseconds()/4)
		m.set("memory", strconv.AppendInt(nil, int64(len(r.found.rows))*512, 10))
	}
	return m
}
