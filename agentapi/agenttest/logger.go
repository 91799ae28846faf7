package agenttest

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// FlushLogs sends up to logger_tls_max_lines of the buffer, result lines first,
// one request for each kind and no second attempt. What the server took is
// deleted. The error is that of a request that failed.
func (a *Agent) FlushLogs(ctx context.Context) error {
	ctx, leave, err := a.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	results, statuses := a.batch()
	if len(results)+len(statuses) == 0 {
		return nil
	}
	failure := a.sendLines(ctx, "result", results)
	if ctx.Err() == nil {
		if err := a.sendLines(ctx, "status", statuses); failure == nil {
			failure = err
		}
	}
	a.mu.Lock()
	if failure != nil {
		a.mem.failures++
	} else {
		a.mem.failures = 0
	}
	a.count.purged.Add(int64(a.disk.Buffer.purge(a.flags.int("buffered_log_max"))))
	a.mu.Unlock()
	a.save()
	return failure
}

// batch is what one flush scans: results and statuses share the limit, and
// results come first in it.
func (a *Agent) batch() (results, statuses []entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.disk.Buffer.head(a.flags.int("logger_tls_max_lines")) {
		if e.result() {
			results = append(results, e)
		} else {
			statuses = append(statuses, e)
		}
	}
	return results, statuses
}

// sendLines posts one batch and deletes its lines on success: those that were too
// long to send, too.
func (a *Agent) sendLines(ctx context.Context, kind string, batch []entry) error {
	if len(batch) == 0 {
		return nil
	}
	limit := a.flags.int("logger_tls_max_linesize")
	var fit []entry
	for _, e := range batch {
		if len(e.Line) > limit {
			a.status(severityWarning, "tls_logger.cpp", 127, fmt.Sprintf("Linesize exceeds TLS logger maximum: %d", len(e.Line)))
			continue
		}
		fit = append(fit, e)
	}
	compress := a.flags.bool("logger_tls_compress")
	_, err := a.call(ctx, call{
		endpoint: EndpointLog, attempts: 1, gzipped: compress,
		body: func(key string) []byte { return logBody(kind, key, fit, compress) },
	})
	if err != nil {
		return err
	}
	if err := a.crash(StepLogPosted); err != nil {
		return err
	}
	a.accepted(kind, fit)
	a.count.dropped.Add(int64(len(batch) - len(fit)))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.disk.Buffer.remove(batch)
	return nil
}

// accepted tells the ledger before the lines are gone.
func (a *Agent) accepted(kind string, lines []entry) {
	a.count.accepted.Add(int64(len(lines)))
	if a.opt.Ledger == nil && a.opt.OnAccepted == nil {
		return
	}
	host := a.HostIdentifier()
	for _, e := range lines {
		line := Line{Host: host, Status: kind == "status", Raw: e.Line}
		if a.opt.Ledger != nil {
			a.opt.Ledger.accept(line)
		}
		if a.opt.OnAccepted != nil {
			a.opt.OnAccepted(line)
		}
	}
}

// logBody is section 3.1: the key comes last in plain bodies and first in
// compressed ones.
func logBody(kind, key string, lines []entry, compress bool) []byte {
	size := 2
	for _, e := range lines {
		size += len(e.Line) + 1
	}
	data := append(make([]byte, 0, size), '[')
	for i, e := range lines {
		if i > 0 {
			data = append(data, ',')
		}
		data = append(data, e.Line...)
	}
	data = append(data, ']')
	var body members
	if compress {
		body.str("node_key", key)
		body.str("log_type", kind)
		body.set("data", data)
	} else {
		body.set("data", data)
		body.str("log_type", kind)
		body.str("node_key", key)
	}
	return body.json()
}

// logWait is the time to the next flush: period x n² after n failures in a row,
// from 5.12 on.
func (a *Agent) logWait() time.Duration {
	period := max(a.flags.seconds("logger_tls_period"), time.Second)
	if a.opt.Intervals.Log > 0 {
		period = a.opt.Intervals.Log
	}
	a.mu.Lock()
	n := a.mem.failures
	a.mu.Unlock()
	if n == 0 || !a.profile.logBackoff {
		return period
	}
	return min(period*time.Duration(n*n), max(period, a.flags.seconds("logger_tls_backoff_max")))
}

// preload fills a fresh buffer as chaos wants it.
func (a *Agent) preload() {
	a.mu.Lock()
	done := a.disk.Preloaded
	a.disk.Preloaded = true
	a.mu.Unlock()
	if done {
		return
	}
	a.AddBacklog(a.opt.Chaos.Backlog)
	if size := a.opt.Chaos.GiantLine; size > 0 {
		a.AddResult("chaos_giant", map[string]string{"value": strings.Repeat("g", size)})
	}
}

// AddBacklog puts n result lines into the buffer, a hundred to the second and the
// last of them now, as an agent has them that was long without a server.
func (a *Agent) AddBacklog(n int) {
	value := "backlog"
	if a.opt.Chaos.InvalidUTF8 {
		value += "\xff\xfe\xc3("
	}
	now := a.now()
	for i := range n {
		at := now.Add(-time.Duration((n-1-i)/100) * time.Second)
		a.addResult("chaos_backlog", at, int64(i), []cell{
			{"n", fmt.Sprint(i), kindInteger}, {"text", value, kindText},
		})
	}
}

// AddResult puts one result line, an added row, into the buffer.
func (a *Agent) AddResult(name string, columns map[string]string) {
	var cells []cell
	for column, value := range columns {
		cells = append(cells, cell{column, value, kindText})
	}
	a.addResult(name, a.now(), 0, cells)
}

func (a *Agent) addResult(name string, at time.Time, counter int64, cells []cell) {
	form := a.lineForm()
	form.events = true
	lines := form.lines(report{name: name, at: at, change: change{added: []row{packRow(cells)}, counter: counter}})
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, line := range lines {
		a.disk.Buffer.add('r', at.Unix(), line)
	}
}

// AddLine puts a raw line into the buffer: a result, or a status line.
func (a *Agent) AddLine(status bool, line []byte) {
	kind := byte('r')
	if status {
		kind = 's'
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.disk.Buffer.add(kind, a.now().Unix(), line)
}
