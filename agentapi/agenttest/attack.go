package agenttest

import (
	"context"
	"fmt"
	"math/rand/v2"
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

// stage is what tables show during a scenario.
type stage struct {
	rows      map[string][]record // by table: these and no others
	processes []process           // run beside the host's own
}

// of returns what a table shows, if the scenario has a say in it. A nil stage has none.
func (s *stage) of(table string) ([]record, bool) {
	if s == nil {
		return nil, false
	}
	rows, ok := s.rows[table]
	return rows, ok
}

// stage makes the rows of a scenario, which takes a second for each program.
func (a *Agent) stage(s Scenario, now time.Time) *stage {
	v := &view{agent: a, machine: a.machine, now: now, boot: a.born.Add(-a.machine.bootedBefore)}
	dice := a.machine.random(fmt.Sprintf("scenario %s %d", s.Name, now.UnixNano()))
	show := &stage{rows: map[string][]record{}}
	pid := 40000 + dice.Int64N(20000)
	for i, actor := range s.actors {
		parent := int64(1)
		if actor.by > 0 {
			parent = show.processes[actor.by-1].pid
		}
		p := v.start(actor.program, pid+int64(i)*7, parent, now.Add(time.Duration(i-len(s.actors))*time.Second))
		show.processes = append(show.processes, p)
		if actor.before {
			continue
		}
		events := startEvents[s.Platform]
		row := events.row(v, v.happening(dice, p.started), p)
		for column, value := range actor.columns {
			row[column] = value
		}
		show.rows[events.table] = append(show.rows[events.table], row)
	}
	for _, t := range s.traces {
		var by process
		if t.by > 0 {
			by = show.processes[t.by-1]
		}
		show.rows[t.table] = append(show.rows[t.table], v.traceRow(dice, t, by))
	}
	return show
}

func (v *view) happening(dice *rand.Rand, at time.Time) *happening {
	return &happening{Rand: dice, at: at, eid: fmt.Sprintf("%010d", dice.Int64N(1e10))}
}

// traceRow fills in a row of a trace.
func (v *view) traceRow(dice *rand.Rand, t trace, by process) record {
	fill := strings.NewReplacer("{pid}", num(by.pid), "{path}", by.path, "{user}", v.people[0], "{host}", v.hostname)
	row := record{}
	for column, value := range t.columns {
		row[column] = fill.Replace(value)
	}
	table, _ := osquery.Find(t.table)
	if !table.Evented {
		return row
	}
	h := v.happening(dice, v.now.Add(-time.Second))
	filled := record{"time": num(h.at.Unix()), "datetime": h.at.UTC().Format(time.RFC3339), "eid": h.eid}
	for column, value := range filled {
		if slices.ContainsFunc(table.Columns, func(c osquery.Column) bool { return c.Name == column }) {
			row[column] = value
		}
	}
	return row
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
