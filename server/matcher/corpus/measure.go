package corpus

import (
	"fmt"
	"time"

	"muster/server/condition"
	"muster/server/matcher"
)

// Measurement is what one core does with a number of rules.
type Measurement struct {
	Compile time.Duration
	Stats   matcher.Stats
	Benign  Rate
	Hostile Rate
}

// Rate is about events of one kind. Each was read from its JSON as well.
type Rate struct {
	Indexed   float64 // events a second
	OneByOne  float64 // events a second when each rule's tree is matched
	Evaluated float64 // rules an event
	Matched   float64 // rules an event
}

// Compiled returns the first n rules, as one group and as trees.
func Compiled(n int) (*matcher.Program, []matcher.Rule, error) {
	var rules []matcher.Rule
	for _, conditions := range Rules(n) {
		tree, err := condition.Parse(conditions, condition.Options{Bounds: condition.Rules})
		if err != nil {
			return nil, nil, err
		}
		rules = append(rules, matcher.Rule{Tree: tree, Tables: []string{Table}})
	}
	return matcher.Compile(rules), rules, nil
}

// Table is the one that the rules are for.
const Table = "process_etw_events"

// Measure takes about four times the given time.
func Measure(n int, during time.Duration) (Measurement, error) {
	began := time.Now()
	program, rules, err := Compiled(n)
	if err != nil {
		return Measurement{}, err
	}
	m := Measurement{Compile: time.Since(began), Stats: program.Stats()}
	if m.Benign, err = rate(program, rules, Benign(), during); err != nil {
		return m, err
	}
	m.Hostile, err = rate(program, rules, Hostile(), during)
	return m, err
}

func rate(program *matcher.Program, rules []matcher.Rule, events []string, during time.Duration) (r Rate, err error) {
	program.Drain(func(int, matcher.Counts) {})
	var row condition.Object
	indexed, found := 0, 0
	r.Indexed, err = perSecond(events, &row, during, func() {
		indexed++
		program.Match(matcher.Event{Tables: []string{Table}, Row: &row}, func(int) { found++ })
	})
	if err != nil {
		return r, err
	}
	evaluated := uint64(0)
	program.Drain(func(_ int, c matcher.Counts) { evaluated += c.Evaluated })
	r.Evaluated, r.Matched = float64(evaluated)/float64(indexed), float64(found)/float64(indexed)
	count, matched := 0, 0
	r.OneByOne, err = perSecond(events, &row, during, func() {
		count++
		for _, rule := range rules {
			if rule.Tree.Match(&row) {
				matched++
			}
		}
	})
	if err == nil && indexed%len(events) == 0 && count%len(events) == 0 && found*count != matched*indexed {
		err = fmt.Errorf("the index finds %d matches in %d events, one by one there are %d in %d", found, indexed, matched, count)
	}
	return r, err
}

// perSecond reads and handles the events over and over, all of them each time.
func perSecond(events []string, row *condition.Object, during time.Duration, handle func()) (float64, error) {
	began, n := time.Now(), 0
	for time.Since(began) < during {
		for _, columns := range events {
			if err := row.Load(columns); err != nil {
				return 0, err
			}
			handle()
		}
		n += len(events)
	}
	return float64(n) / time.Since(began).Seconds(), nil
}
