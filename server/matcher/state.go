package matcher

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"muster/server/condition"
)

// state is what the evaluation of one event needs. It is used for one event after
// the other: whatever bears another epoch than the present one was never written.
type state struct {
	p          *Program
	row        *condition.Object
	epoch      uint32
	marks      []uint32 // by test: the epoch, and in the last bit whether it is true
	fired      []uint32 // by signal: the epoch
	reported   []uint32 // by state of the automata that has hits: the epoch
	woken      []uint32 // by rule: the epoch
	entered    []uint32 // by group: the epoch
	values     []value  // by field
	candidates []int32
	folded     []byte
	failures   []Failure
	lot        uint32 // chooses the evaluations whose time is taken
	clock
}

// value is that of a field.
type value struct {
	text    string
	epoch   uint32
	present bool
}

// maxEpoch is the last that leaves room for a bit.
const maxEpoch = 1<<31 - 1

func newState(p *Program) *state {
	st := &state{
		p: p, marks: make([]uint32, len(p.tests)), fired: make([]uint32, len(p.signals)), reported: make([]uint32, p.hits),
		woken: make([]uint32, len(p.starts)), entered: make([]uint32, len(p.groups)), values: make([]value, len(p.fields)),
		lot: rand.Uint32(),
	}
	st.ask = st.over
	return st
}

func (st *state) match(e Event, found func(rule int)) []Failure {
	st.enter(e.Row)
	defer st.leave()
	for _, g := range st.p.anyTable {
		st.group(g, e.Platform, found)
	}
	for _, table := range e.Tables {
		for _, g := range st.p.byTable[table] {
			st.group(g, e.Platform, found)
		}
	}
	return st.failures
}

// enter reads the columns that rules ask for.
func (st *state) enter(row *condition.Object) {
	if st.epoch++; st.epoch == maxEpoch {
		st.epoch = 1
		clear(st.marks)
		clear(st.fired)
		clear(st.reported)
		clear(st.woken)
		clear(st.entered)
		clear(st.values)
	}
	st.row, st.failures = row, nil
	st.clock.start(row)
	for i := range row.Columns() {
		name, text, present := row.Column(i)
		if f, asked := st.p.columns[name]; asked && st.values[f].epoch != st.epoch { // the first of a name counts
			st.values[f] = value{text, st.epoch, present}
		}
	}
}

func (st *state) leave() {
	st.row.Ended = st.ended
	st.row, st.ended, st.failures = nil, nil, nil
}

// value is that of a field; one that is made from columns is made here, once.
func (st *state) value(f int32) (string, bool) {
	v := &st.values[f]
	if v.epoch != st.epoch {
		*v = value{epoch: st.epoch}
		if field := st.p.fields[f]; field.Own || field.Computed() {
			v.text, v.present = st.row.Value(field)
		}
	}
	return v.text, v.present
}

// group evaluates the rules of a group that the event's values wake.
func (st *state) group(number int32, platform string, found func(rule int)) {
	g := &st.p.groups[number]
	if st.entered[number] == st.epoch || len(g.platforms) > 0 && !slices.Contains(g.platforms, platform) {
		return
	}
	st.entered[number] = st.epoch
	st.candidates = st.candidates[:0]
	if err := st.scan(g); err != nil {
		for _, rule := range g.rules {
			st.fail(rule, err)
		}
		return
	}
	for _, rule := range st.candidates {
		st.try(rule, found)
	}
	for _, rule := range g.always {
		st.try(rule, found)
	}
}

// scan passes the values through the indexes.
func (st *state) scan(g *group) (err error) {
	defer recovered(&err)
	for i := range g.indexes {
		x := &g.indexes[i]
		if !x.any {
			if text, present := st.value(x.field); present {
				x.scan(text, st)
			}
			continue
		}
		for i := range st.row.Columns() {
			if _, text, present := st.row.Column(i); present {
				x.scan(text, st)
			}
		}
	}
	return nil
}

// fire takes a signal, once for an event.
func (st *state) fire(number int32) {
	if st.fired[number] == st.epoch {
		return
	}
	st.fired[number] = st.epoch
	s := &st.p.signals[number]
	if s.decides {
		st.marks[s.test] = st.epoch<<1 | 1
	}
	for _, rule := range s.wakes {
		if st.woken[rule] != st.epoch {
			st.woken[rule] = st.epoch
			st.candidates = append(st.candidates, rule)
		}
	}
}

// try evaluates a rule, says what came of it and counts it.
func (st *state) try(rule int32, found func(rule int)) {
	counted := &st.p.counters[rule]
	st.lot = st.lot*1664525 + 1013904223
	var began time.Time
	if st.lot>>16%sampled == 0 {
		began = time.Now()
	}
	matched, err := st.evaluate(rule)
	if !began.IsZero() {
		counted.nanos.Add(uint64(time.Since(began)) * sampled)
	}
	counted.evaluated.Add(1)
	switch {
	case err != nil:
		st.fail(rule, err)
	case matched:
		counted.matched.Add(1)
		found(int(rule))
	}
}

func (st *state) fail(rule int32, err error) {
	st.p.counters[rule].failed.Add(1)
	st.failures = append(st.failures, Failure{int(rule), err})
}

// evaluate walks through a rule's steps.
func (st *state) evaluate(rule int32) (matched bool, err error) {
	defer recovered(&err)
	st.clock.next()
	at := st.p.starts[rule]
	for at >= 0 {
		s := &st.p.steps[at]
		mark := st.marks[s.test]
		is := mark == st.epoch<<1|1
		if !is && !s.decided && mark != st.epoch<<1 {
			if is = st.lazy(s.test); st.reason != nil {
				return false, st.reason
			}
		}
		if is {
			at = s.yes
		} else {
			at = s.no
		}
	}
	return at == matches, nil
}

// recovered makes an error of a panic, so that it stays with the rule.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("panic: %v", v)
	}
}
