// Package matcher evaluates many conditions on one event at once. Compile turns
// rules into a Program, which is an index over all of them: an event costs a pass
// over its values and the evaluation of the few rules that these values wake,
// however many rules there are.
//
//   - Rules that hold for the same tables and platforms form a group; an event
//     passes the groups that accept it.
//   - Tests that several rules ask are kept once and evaluated once for an event.
//   - A rule sleeps until one of its triggers is seen: tests of which one has to be
//     true when the rule is (see choose). A rule that has none is always evaluated.
//   - Equality, texts inside of values, bounds of numbers and networks are indexed
//     by field. All else is evaluated when a rule that is awake asks for it.
//
// The result is that of condition.Tree.Match, rule by rule; tests compare the two.
// The package knows neither what a rule is called nor what becomes of a match.
package matcher

import (
	"errors"
	"sync"
	"time"

	"muster/server/condition"
)

// Rule is a condition and where it applies.
type Rule struct {
	Tree      *condition.Tree
	Tables    []string // one of which the event is from; empty: any event
	Platforms []string // one of which the event is of; empty: any
}

// Event is a row and where it comes from. The row must not be used by another
// goroutine meanwhile. Once its Ended is true, as when the event has taken a
// second, rules that need something slow fail.
type Event struct {
	Tables   []string // empty: only rules for any event apply
	Platform string
	Row      *condition.Object
}

// Failure is a rule that was not evaluated to its end: whether it matches is not known.
type Failure struct {
	Rule int
	Err  error
}

// Why a rule was not evaluated, beside a panic.
var (
	ErrSlow  = errors.New("the rule takes too long on this event")
	ErrEnded = errors.New("the time for this event was over")
)

// What an event may take. Only what is slow is measured, so that a rule may take
// somewhat longer than its slice.
const (
	ruleSlice   = 100 * time.Millisecond
	eventBudget = time.Second
)

// Program is compiled rules. It is safe for concurrent use and never changes,
// save for its counters.
type Program struct {
	tests    []test
	fields   []condition.Field
	columns  map[string]int32 // fields that are columns, by their name
	groups   []group
	byTable  map[string][]int32 // groups
	anyTable []int32
	signals  []signal
	hits     int // of all automata
	steps    []step
	starts   []int32 // by rule: the first of its steps
	counters []counters
	stats    Stats
	states   sync.Pool
}

// group is rules for the same tables and platforms.
type group struct {
	tables, platforms []string
	rules             []int32
	always            []int32 // rules without a trigger
	indexes           []index
}

// test is what rules ask of a field.
type test struct {
	condition.Test
	field int32
	slow  bool
}

// signal is what an index reports.
type signal struct {
	test    int32
	decides bool    // the test is true
	wakes   []int32 // rules
}

// Match calls found for each rule that matches, in no order, and returns those
// that could not be evaluated; nil when all were. A rule that panics or takes too
// long costs no other one: it fails alone. Found runs on the caller's goroutine.
func (p *Program) Match(e Event, found func(rule int)) []Failure {
	st := p.states.Get().(*state)
	defer p.states.Put(st)
	return st.match(e, found)
}
