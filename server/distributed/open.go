package distributed

import (
	"slices"
	"sync"
	"time"
)

// openQuery is a query with tasks that have no outcome.
type openQuery struct {
	ID        int64
	SQL       string
	ExpiresAt int64 // microseconds
	hosts     []int64
}

// openTask is a task without an outcome.
type openTask struct {
	HostID int64
	SentAt int64 // microseconds; 0: not sent yet
}

// handed is a query in the list of one host.
type handed struct {
	query  *openQuery
	sentAt int64
}

// openSet says which host has open tasks. It may hold too much, never too little
// for longer than a refresh: whoever acts on it asks the database first.
type openSet struct {
	mu      sync.RWMutex
	queries map[int64]*openQuery
	byHost  map[int64][]handed
}

func newOpenSet() *openSet {
	return &openSet{queries: map[int64]*openQuery{}, byHost: map[int64][]handed{}}
}

// add puts a query and its open tasks in, unless it is there already.
func (o *openSet) add(query openQuery, tasks []openTask) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queries[query.ID] != nil {
		return
	}
	query.hosts = make([]int64, len(tasks))
	o.queries[query.ID] = &query
	for i, task := range tasks {
		query.hosts[i] = task.HostID
		o.byHost[task.HostID] = append(o.byHost[task.HostID], handed{query: &query, sentAt: task.SentAt})
	}
}

// drop takes a query out.
func (o *openSet) drop(queryID int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	query := o.queries[queryID]
	if query == nil {
		return
	}
	delete(o.queries, queryID)
	for _, host := range query.hosts {
		o.removeLocked(host, queryID)
	}
}

// remove takes one host's task out.
func (o *openSet) remove(host, queryID int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.removeLocked(host, queryID)
}

func (o *openSet) removeLocked(host, queryID int64) {
	rest := slices.DeleteFunc(o.byHost[host], func(h handed) bool { return h.query.ID == queryID })
	if len(rest) == 0 {
		delete(o.byHost, host)
	} else {
		o.byHost[host] = rest
	}
}

// sent notes when a host was handed a task.
func (o *openSet) sent(host, queryID, sentAt int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, h := range o.byHost[host] {
		if h.query.ID == queryID {
			o.byHost[host][i].sentAt = max(h.sentAt, sentAt)
		}
	}
}

// due returns the queries to hand to a host now, the first learnt first, and whether
// one is awaited: handed over so lately that an answer may still come.
func (o *openSet) due(host, now int64, resend time.Duration, limit int) (queries []openQuery, awaited bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	for _, h := range o.byHost[host] {
		switch {
		case h.query.ExpiresAt <= now:
		case h.sentAt > now-resend.Microseconds():
			awaited = true
		case len(queries) < limit:
			queries = append(queries, openQuery{ID: h.query.ID, SQL: h.query.SQL})
		}
	}
	return queries, awaited
}

// ids returns the queries that are in.
func (o *openSet) ids() []int64 {
	o.mu.RLock()
	defer o.mu.RUnlock()
	ids := make([]int64, 0, len(o.queries))
	for id := range o.queries {
		ids = append(ids, id)
	}
	return ids
}

func (o *openSet) has(queryID int64) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.queries[queryID] != nil
}

// nextExpiry is when the first query expires; 0 without one.
func (o *openSet) nextExpiry() (next int64) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	for _, query := range o.queries {
		if next == 0 || query.ExpiresAt < next {
			next = query.ExpiresAt
		}
	}
	return next
}
