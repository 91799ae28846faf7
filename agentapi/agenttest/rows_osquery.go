package agenttest

import (
	"maps"
	"slices"
	"strings"

	"muster/server/osquery"
)

func osqueryFlags(v *view) []record {
	var rows []record
	for _, name := range flagNames() {
		def := flagDefs[name]
		shellOnly := "0"
		if def.cli {
			shellOnly = "1"
		}
		rows = append(rows, record{"name": name, "type": def.kind, "description": strings.ReplaceAll(name, "_", " "),
			"default_value": def.value, "value": v.agent.flags.get(name), "shell_only": shellOnly})
	}
	return rows
}

// plan is the schedule as last computed; asking for a new one could need the
// database that this query holds.
func (v *view) plan() []planned {
	v.agent.mu.Lock()
	defer v.agent.mu.Unlock()
	if v.agent.mem.plan == nil {
		return nil
	}
	return v.agent.mem.plan.queries
}

func osquerySchedule(v *view) []record {
	queries := v.plan()
	a := v.agent
	a.mu.Lock()
	defer a.mu.Unlock()
	var rows []record
	for _, q := range queries {
		run := a.mem.runs[q.resultName]
		if run == nil {
			run = &execution{}
		}
		denied := "0"
		if a.disk.Denylist[q.resultName] > v.now.Unix() {
			denied = "1"
		}
		rows = append(rows, record{
			"name": q.resultName, "query": q.sql, "interval": num(q.interval), "executions": num(run.executions),
			"last_executed": num(run.lastExecuted), "denylisted": denied, "output_size": num(run.outputSize), "wall_time": num(run.wall / 1000),
			"wall_time_ms": num(run.wall), "last_wall_time_ms": num(run.lastWall), "user_time": num(run.wall / 2), "last_user_time": num(run.lastWall / 2),
			"system_time": num(run.wall / 4), "last_system_time": num(run.lastWall / 4), "average_memory": "65536", "last_memory": "65536",
		})
	}
	return rows
}

func osqueryPacks(v *view) []record {
	d := v.agent.currentConfig()
	if d == nil {
		return nil
	}
	active := map[string]bool{}
	v.agent.mu.Lock()
	for name, found := range v.agent.mem.discovered {
		active[name] = found.active
	}
	v.agent.mu.Unlock()
	var rows []record
	for _, p := range d.packs {
		fits := v.agent.fits(p.platform, p.version, p.shard) && (len(p.discovery) == 0 || active[p.name])
		rows = append(rows, record{"name": p.name, "platform": p.platform, "version": p.version, "shard": num(p.shard),
			"discovery_cache_hits": "0", "discovery_executions": num(len(p.discovery)), "active": map[bool]string{true: "1", false: "0"}[fits]})
	}
	return rows
}

func osqueryEvents(v *view) []record {
	active := "1"
	if v.agent.flags.bool("disable_events") {
		active = "0"
	}
	var rows []record
	tables := generators[v.platform]
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		if table, ok := osquery.Find(name); ok && table.Evented {
			rows = append(rows, record{"name": name, "publisher": "auditeventpublisher", "type": "subscriber", "subscriptions": "1",
				"events": num(v.agent.opt.Events), "refreshes": "1", "active": active})
		}
	}
	return rows
}
