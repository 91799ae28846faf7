package detect

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"muster/server/condition"
	"muster/server/database"
	"muster/server/matcher"
)

// Event is a row to evaluate.
type Event struct {
	HostID         int64
	HostIdentifier string
	Platform       string // as the host says, such as ubuntu
	Query, Action  string
	UnixTime       int64    // seconds, on the agent's clock
	Tables         []string // of osquery, that the query reads
	// Row holds the columns. Evaluate sets its own fields; nobody else may use it
	// meanwhile.
	Row *condition.Object
	// Within is how long it may take; 0: Options.Budget.
	Within time.Duration
}

// Match is a rule that a row meets. Its lists are shared: do not modify them.
type Match struct {
	RuleID                int64
	Name, Severity        string
	TechniqueIDs, Tactics []string
	Alerters              []string
	ReconQueries          json.RawMessage      // an object
	Why                   []condition.Evidence // what made it match; none when that cannot be told
}

// Evaluate returns the rules that the row meets and no exception spares, by id, each
// once. Complete is false when some rule could not be evaluated: it failed, or there
// was no time left; the matches are certain all the same. It reads memory only and
// never panics. Any goroutine may call it.
func (s *Store) Evaluate(e Event) (matches []Match, complete bool) {
	now := s.current.Load()
	if now == nil || now.program.empty() {
		return nil, true
	}
	defer func() {
		if cause := recover(); cause != nil { // a mistake of ours, and not of one rule
			e.Row.Own, e.Row.Ended = nil, nil
			s.totals.incomplete.Add(1)
			s.log.Error("evaluating a row failed", "query", e.Query, "cause", cause, "stack", string(debug.Stack()))
			matches, complete = nil, false
		}
	}()
	began := time.Now()
	r := runs.Get().(*run) //nolint:forcetypeassert // the pool makes nothing else
	r.begin(s, now, e, began)
	matches, complete = r.matches()
	r.end()
	runs.Put(r)
	s.totals.rows.Add(1)
	s.totals.nanoseconds.Add(int64(time.Since(began)))
	if !complete {
		s.totals.incomplete.Add(1)
	}
	return matches, complete
}

var runs = sync.Pool{New: func() any {
	r := &run{own: map[string]string{}}
	r.note, r.out = r.found, r.late
	return r
}}

// run is the evaluation of one row. It is used again and again: a row that meets no
// rule costs no memory.
type run struct {
	s        *Store
	snapshot *snapshot
	event    Event
	own      map[string]string
	clock    []byte // the text of the time
	hits     []int  // variants of the program that matched
	deadline time.Time
	timeUp   bool

	note func(variant int) // found
	out  func() bool       // late
}

func (r *run) begin(s *Store, now *snapshot, e Event, began time.Time) {
	if e.Within <= 0 {
		e.Within = s.o.Budget
	}
	e.Platform = family(e.Platform)
	r.s, r.snapshot, r.event, r.deadline = s, now, e, began.Add(e.Within)
	r.own["query_name"], r.own["action"], r.own["host_identifier"] = e.Query, e.Action, e.HostIdentifier
	r.clock = strconv.AppendInt(r.clock[:0], e.UnixTime, 10)
	r.own["timestamp"] = unsafe.String(unsafe.SliceData(r.clock), len(r.clock)) // until end
	e.Row.Own, e.Row.Ended = r.own, r.out
}

func (r *run) end() {
	r.event.Row.Own, r.event.Row.Ended = nil, nil
	*r = run{own: r.own, clock: r.clock, hits: r.hits[:0], note: r.note, out: r.out}
}

func (r *run) found(variant int) { r.hits = append(r.hits, variant) }

// late is asked by what takes long. Once it said yes, what is matched says nothing.
func (r *run) late() bool {
	r.timeUp = r.timeUp || !time.Now().Before(r.deadline)
	return r.timeUp
}

// matches finds the rules, and reports whether each was evaluated.
func (r *run) matches() (matches []Match, complete bool) {
	p := r.snapshot.program
	failures := p.matcher.Match(matcher.Event{Tables: r.event.Tables, Platform: r.event.Platform, Row: r.event.Row}, r.note)
	for _, f := range failures {
		r.s.fell(p.of[f.Rule], f.Err)
	}
	if len(r.hits) > 0 { // exceptions and explanations have as much again
		r.deadline = time.Now().Add(r.event.Within)
	}
	slices.Sort(r.hits)
	for i, variant := range r.hits {
		l := p.of[variant]
		if i > 0 && p.of[r.hits[i-1]] == l {
			continue // by another variant
		}
		if r.spared(l) {
			continue
		}
		m := Match{
			RuleID: l.ID, Name: l.Name, Severity: l.Severity, TechniqueIDs: l.TechniqueIDs, Tactics: l.Tactics,
			Alerters: l.Alerters, ReconQueries: l.ReconQueries,
		}
		if len(matches) == 0 || !r.late() {
			m.Why = r.why(l, p.variants[variant].tree)
		}
		matches = append(matches, m)
	}
	return matches, len(failures) == 0
}

// why is what made a rule match. Large values take long to be shown, and many rules may
// match: once the time is up only the first of them is explained.
func (r *run) why(l *loaded, tree *condition.Tree) (why []condition.Evidence) {
	r.timeUp = false
	r.guarded(l, func() { why = tree.Explain(r.event.Row) })
	if r.timeUp {
		return nil
	}
	return why
}

// spared counts a match and reports whether an exception keeps it from alerting. An
// exception that cannot be evaluated spares nothing.
func (r *run) spared(l *loaded) bool {
	at := r.s.o.Now()
	l.counts.matched.Add(1)
	l.counts.lastMatch.Store(database.Micros(at))
	r.s.totals.matched.Add(1)
	var by *exception
	r.timeUp = false
	r.guarded(l, func() { by = r.snapshot.exception(l.ID, r.event.Row, at) })
	if by == nil || r.timeUp {
		return false
	}
	by.hits.Add(1)
	by.lastHit.Store(database.Micros(at))
	l.counts.suppressed.Add(1)
	r.s.totals.suppressed.Add(1)
	return true
}

// guarded runs a step for a rule that matched. A step that panics costs what it was
// to find out, and not the match.
func (r *run) guarded(l *loaded, step func()) {
	defer func() {
		if cause := recover(); cause != nil {
			l.counts.failed.Add(1)
			r.s.fell(l, fmt.Errorf("panic: %v", cause))
		}
	}()
	step()
}

// fell notes that something could not be evaluated for a rule; the log has the first
// time since the rule was loaded.
func (s *Store) fell(l *loaded, cause error) {
	s.totals.failed.Add(1)
	if !l.counts.fell.Swap(true) {
		s.log.Error("a rule could not be evaluated on a row", "rule_id", l.ID, "rule", l.Name, "error", cause)
	}
}
