package matcher

import (
	"time"

	"muster/server/condition"
)

// clock bounds the time that an event and its rules take. It is asked only before
// and during what is slow: other events do not pay for it, and rules that need
// nothing slow are evaluated even when the event's time is over.
type clock struct {
	ask       func() bool // over, made once
	ended     func() bool // of the row itself
	eventEnds time.Time
	ruleEnds  time.Time
	spent     bool  // nothing slow is begun any more
	reason    error // why the present rule is given up
}

func (c *clock) start(row *condition.Object) {
	c.ended, row.Ended = row.Ended, c.ask
	c.eventEnds, c.spent = time.Time{}, false
}

// next begins the slice of a rule.
func (c *clock) next() { c.ruleEnds, c.reason = time.Time{}, nil }

// over reports whether the rule must stop.
func (c *clock) over() bool {
	now := time.Now()
	if c.eventEnds.IsZero() {
		c.eventEnds = now.Add(eventBudget)
	}
	if c.ruleEnds.IsZero() {
		c.ruleEnds = now.Add(ruleSlice)
	}
	switch {
	case c.spent || now.After(c.eventEnds) || c.ended != nil && c.ended():
		c.spent, c.reason = true, ErrEnded
	case now.After(c.ruleEnds):
		c.reason = ErrSlow
	}
	return c.reason != nil
}

// What is long enough for a look at the clock first: for a search with a pattern,
// and for anything else.
const (
	longForPatterns = 256
	longForAll      = 8 << 10
)

// lazy evaluates a test, once for an event. The answer means nothing when the
// rule was given up meanwhile.
func (st *state) lazy(number int32) bool {
	t := &st.p.tests[number]
	field := st.p.fields[t.field]
	var is bool
	if field.Any {
		if st.over() {
			return false
		}
		is = t.Holds(st.row)
	} else {
		text, present := st.value(t.field)
		if len(text) >= longForAll || t.slow && len(text) >= longForPatterns {
			if st.over() {
				return false
			}
		}
		is = t.HoldsOf(st.row, text, present)
	}
	if st.reason != nil {
		return false
	}
	st.marks[number] = st.epoch << 1
	if is {
		st.marks[number] |= 1
	}
	return is
}
