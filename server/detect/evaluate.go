package detect

import (
	"encoding/json"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"muster/server/condition"
	"muster/server/database"
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

// Match is a rule that a row meets.
type Match struct {
	RuleID                int64
	Name, Severity        string
	TechniqueIDs, Tactics []string
	Alerters              []string
	ReconQueries          json.RawMessage      // an object
	Why                   []condition.Evidence // what made it match; none when that cannot be told
}

// maxPanics is how often a rule may fail before it is set aside, until it is changed
// or the server starts again.
const (
	maxPanics     = 10
	problemPanics = "The rule was set aside here because evaluating it failed again and again; the server's log says how"
)

// Evaluate returns the rules that the row meets and no exception spares, by id, each
// once. Complete is false when some rule could not be evaluated: it failed, or there
// was no time left; the matches are those that are certain. It reads memory only and
// never panics. Any goroutine may call it.
func (s *Store) Evaluate(e Event) (matches []Match, complete bool) {
	now := s.current.Load()
	if now == nil || now.program.empty() {
		return nil, true
	}
	began := time.Now()
	r := runs.Get().(*run)
	r.begin(s, now, e, began)
	matches = r.matches()
	complete = r.complete()
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
	hits     []int // variants of the program that matched
	deadline time.Time
	timeUp   bool
	failed   bool

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
	r.own["timestamp"] = strconv.FormatInt(e.UnixTime, 10)
	e.Row.Own, e.Row.Ended = r.own, r.out
}

func (r *run) end() {
	r.event.Row.Own, r.event.Row.Ended = nil, nil
	*r = run{own: r.own, hits: r.hits[:0], note: r.note, out: r.out}
}

// late is asked by what takes long. Once it said yes, what is matched says nothing.
func (r *run) late() bool {
	r.timeUp = r.timeUp || !time.Now().Before(r.deadline)
	return r.timeUp
}

// found notes a variant that matched in time.
func (r *run) found(variant int) {
	if !r.timeUp {
		r.hits = append(r.hits, variant)
	}
}

func (r *run) complete() bool { return !r.timeUp && !r.failed }

// matches finds the rules, and sees to it that one that fails costs no other.
func (r *run) matches() []Match {
	if r.guarded(nil, func() { r.snapshot.program.match(r.event, r.note) }) != nil {
		r.oneByOne()
	}
	if len(r.hits) == 0 {
		return nil
	}
	slices.Sort(r.hits)
	var matches []Match
	for i, variant := range r.hits {
		l := r.snapshot.program.of[variant]
		if i > 0 && r.snapshot.program.of[r.hits[i-1]] == l {
			continue // by another variant
		}
		if r.spared(l) {
			continue
		}
		m := Match{
			RuleID: l.ID, Name: l.Name, Severity: l.Severity, TechniqueIDs: l.TechniqueIDs, Tactics: l.Tactics,
			Alerters: l.Alerters, ReconQueries: l.ReconQueries,
		}
		_ = r.guarded(l, func() { m.Why = r.snapshot.program.variants[variant].tree.Explain(r.event.Row) })
		matches = append(matches, m)
	}
	return matches
}

// spared counts a match and reports whether an exception keeps it from alerting. An
// exception that cannot be evaluated spares nothing.
func (r *run) spared(l *loaded) bool {
	at := r.s.o.Now()
	l.counts.matched.Add(1)
	l.counts.lastMatch.Store(database.Micros(at))
	r.s.totals.matched.Add(1)
	var by *exception
	_ = r.guarded(l, func() { by = r.snapshot.exception(l.ID, r.event.Row, at) })
	if by == nil || r.timeUp {
		return false
	}
	by.hits.Add(1)
	by.lastHit.Store(database.Micros(at))
	l.counts.suppressed.Add(1)
	r.s.totals.suppressed.Add(1)
	return true
}

// oneByOne evaluates each variant by itself, after evaluating all at once failed.
func (r *run) oneByOne() {
	r.hits = r.hits[:0]
	p := r.snapshot.program
	for i := range p.variants {
		if v := &p.variants[i]; v.concerns(r.event) {
			_ = r.guarded(p.of[i], func() {
				if v.tree.Match(r.event.Row) {
					r.found(i)
				}
			})
		}
	}
}

// guarded runs a step of the rule, or of all when it is nil, and returns what it
// panicked with. A rule that panics too often is left out of the next program.
func (r *run) guarded(l *loaded, step func()) (cause any) {
	defer func() {
		if cause = recover(); cause == nil {
			return
		}
		r.failed = r.failed || l != nil
		r.s.fell(l, cause)
	}()
	step()
	return nil
}

// fell notes that evaluating failed.
func (s *Store) fell(l *loaded, cause any) {
	s.totals.failed.Add(1)
	if l == nil {
		s.log.Error("evaluating all rules at once failed; they are evaluated one by one", "cause", cause, "stack", string(debug.Stack()))
		return
	}
	l.counts.failed.Add(1)
	switch l.counts.panics.Add(1) {
	case 1:
		s.log.Error("evaluating a rule failed", "rule_id", l.ID, "rule", l.Name, "cause", cause, "stack", string(debug.Stack()))
	case maxPanics:
		s.log.Error("a rule is set aside until it is changed, because evaluating it keeps failing", "rule_id", l.ID, "rule", l.Name)
		s.aside.Add(1)
		s.bus.Publish(topic)
	}
}
