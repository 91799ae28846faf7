package agenttest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"muster/server/osquery"
)

// Scenario is an attack as a host shows it: programs that start one another, and
// what they leave in tables.
type Scenario struct {
	Name     string // unique within a platform: web-shell
	Platform Platform
	Story    string // what happens, in a sentence
	// Rules find it among those that ship: FOLDER/NAME of package rules.
	Rules []string

	actors []actor
	traces []trace
}

// actor is a program of a scenario.
type actor struct {
	program
	by      int    // the actor that started it, counted from 1; 0: the first process of the host
	before  bool   // runs already: the start is no event
	columns record // of the event that differ
}

// trace is a row that an actor leaves. In texts {pid}, {path} and {user} stand for
// those of the actor and the host's first person; times and ids are filled in.
type trace struct {
	by      int // the actor, counted from 1; 0: nobody
	table   string
	columns record
}

// startEvents are the tables that report programs that were started.
var startEvents = map[Platform]struct {
	table string
	row   func(*view, *happening, process) record
}{
	Linux:   {"process_events", (*view).processEvent},
	Darwin:  {"es_process_events", (*view).esProcessEvent},
	Windows: {"process_etw_events", (*view).etwEvent},
}

// Scenarios lists what hosts of a platform can be made to show, in the order of the names.
func Scenarios(platform Platform) []Scenario {
	var some []Scenario
	for _, s := range scenarios {
		if s.Platform == platform {
			some = append(some, s)
		}
	}
	slices.SortFunc(some, func(x, y Scenario) int { return strings.Compare(x.Name, y.Name) })
	return some
}

// tables are those that the scenario leaves rows in.
func (s Scenario) tables() []string {
	var tables []string
	for _, a := range s.actors {
		if table := startEvents[s.Platform].table; !a.before && !slices.Contains(tables, table) {
			tables = append(tables, table)
		}
	}
	for _, t := range s.traces {
		if !slices.Contains(tables, t.table) {
			tables = append(tables, t.table)
		}
	}
	return tables
}

// Attack makes the agent log the rows of a scenario of its platform at the next
// flush: what each scheduled query of its config that reads the tables would report
// of them, as rows that were added. It says how many lines there are. Live queries do
// not see the attack. The error says that there is no such scenario, or which of its
// tables no scheduled query reads; then nothing is logged.
//
// The rows follow from the agent's seed, the scenario and the time.
func (a *Agent) Attack(ctx context.Context, name string) (lines int, err error) {
	ctx, leave, err := a.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	all := Scenarios(a.machine.platform)
	at := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == name })
	if at < 0 {
		return 0, fmt.Errorf("there is no scenario %q for %s", name, a.machine.platform)
	}
	scenario, schedule := all[at], a.schedule(ctx)
	if table := unread(scenario, schedule); table != "" {
		return 0, fmt.Errorf("scenario %s: no scheduled query reads %s", name, table)
	}
	now := a.now()
	show := a.stage(scenario, now)
	for _, q := range schedule {
		if q.snapshot || !readsAny(q.sql, scenario.tables()) {
			continue
		}
		found, err := a.query(ctx, look{sql: q.sql, scheduled: q.resultName, at: now, stage: show})
		if err != nil {
			return lines, err
		}
		lines += a.logAdded(q, found, now)
	}
	a.count.attacks.Add(1)
	a.save()
	return lines, nil
}

// unread returns a table of the scenario that no query of the schedule reads.
func unread(s Scenario, schedule []planned) string {
	for _, table := range s.tables() {
		read := func(q planned) bool { return !q.snapshot && readsAny(q.sql, []string{table}) }
		if !slices.ContainsFunc(schedule, read) {
			return table
		}
	}
	return ""
}

func readsAny(sql string, tables []string) bool {
	return slices.ContainsFunc(osquery.Reads(sql), func(table string) bool { return slices.Contains(tables, table) })
}

// logAdded puts rows into the buffer as new ones of a query, in the form that the
// agent's options want, and says how many lines that made.
func (a *Agent) logAdded(q planned, found *found, now time.Time) int {
	rows := found.pack(func(s string) string { return escapeBytes(s, a.profile.keepsUTF8) })
	if len(rows) == 0 {
		return 0
	}
	a.mu.Lock()
	counter := int64(1)
	if kept := a.disk.Queries[q.resultName]; kept != nil {
		kept.Counter++
		counter = kept.Counter
	}
	a.mu.Unlock()
	lines := a.lineForm().lines(report{
		name: q.resultName, at: now, epoch: int64(a.flags.int("schedule_epoch")),
		change: change{added: rows, counter: counter}, decorations: a.decoration(),
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, line := range lines {
		a.disk.Buffer.add('r', now.Unix(), line)
	}
	return len(lines)
}

// attackLoop attacks now and then, as Options.Attacks says, with what the host's
// config would report. Which scenarios come, and when, follows from the seed.
func (a *Agent) attackLoop(ctx context.Context) {
	every := a.opt.Attacks
	if every <= 0 {
		return
	}
	for n := 0; ; n++ {
		dice := a.machine.random(fmt.Sprintf("attack %d", n))
		if a.clock.Sleep(ctx, every/2+time.Duration(dice.Int64N(int64(every)))) != nil {
			return
		}
		schedule := a.schedule(ctx)
		possible := slices.DeleteFunc(Scenarios(a.machine.platform), func(s Scenario) bool { return unread(s, schedule) != "" })
		if len(possible) == 0 {
			continue
		}
		chosen := possible[dice.IntN(len(possible))].Name
		if _, err := a.Attack(ctx, chosen); err != nil && ctx.Err() == nil {
			a.log.Error("attack failed", "scenario", chosen, "error", err)
		}
	}
}
