package agenttest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"muster/server/osquery"
)

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
		maps.Copy(row, actor.columns)
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
