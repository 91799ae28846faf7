package corpus

import (
	"fmt"
	"slices"
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

// Rate is about events of one kind. The time to read them from their JSON counts.
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

// rounds is how often each rate is taken: the indexed one and the other take turns,
// and the medians count.
const rounds = 5

// Measure takes somewhat more than the given time. It fails when the index and the
// trees differ.
func Measure(n int, during time.Duration) (Measurement, error) {
	began := time.Now()
	program, rules, err := Compiled(n)
	if err != nil {
		return Measurement{}, err
	}
	m := Measurement{Compile: time.Since(began), Stats: program.Stats()}
	during /= 4 * rounds
	if m.Benign, err = rate(program, rules, Benign(), during); err != nil {
		return m, err
	}
	m.Hostile, err = rate(program, rules, Hostile(), during)
	return m, err
}

func rate(program *matcher.Program, rules []matcher.Rule, events []string, during time.Duration) (Rate, error) {
	program.Drain(func(int, matcher.Counts) {})
	var row condition.Object
	event := matcher.Event{Tables: []string{Table}, Row: &row}
	var taken, found, takenByOne, foundByOne int
	var indexed, oneByOne [rounds]float64
	for i := range rounds {
		var err error
		if indexed[i], err = perSecond(events, &row, during, func() {
			taken++
			program.Match(event, func(int) { found++ })
		}); err != nil {
			return Rate{}, err
		}
		if oneByOne[i], err = perSecond(events, &row, during, func() {
			takenByOne++
			for _, rule := range rules {
				if rule.Tree.Match(&row) {
					foundByOne++
				}
			}
		}); err != nil {
			return Rate{}, err
		}
	}
	if found*takenByOne != foundByOne*taken {
		return Rate{}, fmt.Errorf("the index finds %d matches in %d events, one by one there are %d in %d", found, taken, foundByOne, takenByOne)
	}
	evaluated := uint64(0)
	program.Drain(func(_ int, c matcher.Counts) { evaluated += c.Evaluated })
	slices.Sort(indexed[:])
	slices.Sort(oneByOne[:])
	per := float64(taken)
	return Rate{indexed[rounds/2], oneByOne[rounds/2], float64(evaluated) / per, float64(found) / per}, nil
}

// perSecond reads and handles the events over and over, all of them each time.
func perSecond(events []string, row *condition.Object, during time.Duration, handle func()) (float64, error) {
	began, n := time.Now(), 0
	for n == 0 || time.Since(began) < during {
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
