package agenttest

import "time"

// asctime is calendarTime, always UTC.
const asctime = "Mon Jan _2 15:04:05 2006 UTC"

// report is one run of a scheduled query, ready to be written as log lines.
type report struct {
	name        string
	at          time.Time
	epoch       int64
	change      change
	snapshot    bool
	rows        []row // of a snapshot
	decorations []field
}

// lineForm is how the agent's options want result lines.
type lineForm struct {
	host                   string
	events, snapshotEvents bool // one line a row
	numerics, topLevel     bool
}

func (a *Agent) lineForm() lineForm {
	return lineForm{
		host:           a.HostIdentifier(),
		events:         a.flags.bool("logger_event_type"),
		snapshotEvents: a.flags.bool("logger_snapshot_event_type"),
		numerics:       a.flags.bool("logger_numerics"),
		topLevel:       a.flags.bool("decorations_top_level"),
	}
}

// lines writes r in one of the four forms (sections 3.4 to 3.6).
func (f lineForm) lines(r report) [][]byte {
	switch {
	case r.snapshot && f.snapshotEvents:
		return f.eachRow(nil, r, r.rows, "snapshot")
	case r.snapshot:
		var line members
		line.set("snapshot", appendRows(nil, r.rows, f.numerics))
		line.str("action", "snapshot")
		f.common(&line, r)
		return [][]byte{line.json()}
	case f.events:
		lines := f.eachRow(nil, r, r.change.removed, "removed")
		return f.eachRow(lines, r, r.change.added, "added")
	case len(r.change.removed)+len(r.change.added) > 0 || r.change.first:
		var diff, line members
		diff.set("removed", appendRows(nil, r.change.removed, f.numerics))
		diff.set("added", appendRows(nil, r.change.added, f.numerics))
		line.obj("diffResults", diff)
		f.common(&line, r)
		return [][]byte{line.json()}
	}
	return nil
}

func (f lineForm) eachRow(lines [][]byte, r report, rows []row, action string) [][]byte {
	if len(rows) == 0 {
		return lines
	}
	var head members
	f.common(&head, r)
	for _, item := range rows {
		line := append(members(nil), head...)
		line.set("columns", appendRow(nil, item, f.numerics))
		line.str("action", action)
		lines = append(lines, line.json())
	}
	return lines
}

// common adds the members that every form has. Decorations at the top level
// overwrite members of the same name.
func (f lineForm) common(line *members, r report) {
	line.str("name", r.name)
	line.str("hostIdentifier", f.host)
	line.str("calendarTime", r.at.UTC().Format(asctime))
	line.num("unixTime", r.at.Unix())
	line.num("epoch", r.epoch)
	line.num("counter", r.change.counter)
	line.flag("numerics", f.numerics)
	decorate(line, r.decorations, f.topLevel)
}

func decorate(line *members, decorations []field, topLevel bool) {
	if len(decorations) == 0 {
		return
	}
	var inner members
	for _, d := range decorations {
		if topLevel {
			line.str(d.name, d.value)
		} else {
			inner.str(d.name, d.value)
		}
	}
	if !topLevel {
		line.obj("decorations", inner)
	}
}
