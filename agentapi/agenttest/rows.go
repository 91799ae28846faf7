package agenttest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// record is a row of a table as the table's code yields it. What is missing is NULL.
type record = map[string]string

// generator makes the rows of one table on one host.
type generator func(*view) []record

// view is a host at the moment of one query.
type view struct {
	*machine
	agent *Agent
	look  look
	now   time.Time
	boot  time.Time
	procs []process // made when first asked for
}

// anywhere are the tables that every platform fills alike; the others are in the
// files of the platforms.
var anywhere map[string]generator

// generators are all of them, by platform. Built once, at start-up of the package.
var generators map[Platform]map[string]generator

func init() {
	anywhere = map[string]generator{
		"arp_cache": arpCache, "carves": carvesRows, "cpu_info": cpuInfo, "etc_hosts": etcHosts,
		"file": fileRows, "groups": groupRows, "hash": hashRows, "interface_addresses": interfaceAddresses,
		"interface_details": interfaceDetails, "kernel_info": kernelInfo, "listening_ports": listeningPorts,
		"logged_in_users": loggedIn, "os_version": osVersion, "osquery_events": osqueryEvents,
		"osquery_flags": osqueryFlags, "osquery_info": osqueryInfo, "osquery_packs": osqueryPacks,
		"osquery_schedule": osquerySchedule, "platform_info": platformInfo, "process_open_sockets": openSockets, "processes": processRows,
		"routes": routes, "system_info": systemInfo, "time": timeRow, "uptime": uptime,
		"user_groups": userGroups, "users": userRows,
	}
	generators = map[Platform]map[string]generator{Linux: linuxTables, Darwin: darwinTables, Windows: windowsTables}
	for _, tables := range generators {
		maps.Copy(tables, anywhere)
	}
}

// rows makes the rows of a table; most tables have none.
func (v *view) rows(table string) []record {
	if staged, ok := v.look.stage.of(table); ok {
		return staged
	}
	generate := generators[v.platform][table]
	if generate == nil {
		return nil
	}
	rows := generate(v)
	if v.agent.opt.Chaos.InvalidUTF8 {
		spoil(table, rows)
	}
	return rows
}

// spoil puts bytes that are no UTF-8 where users can put anything.
func spoil(table string, rows []record) {
	column := map[string]string{"processes": "cmdline", "users": "description", "process_events": "cmdline",
		"es_process_events": "cmdline", "process_etw_events": "cmdline"}[table]
	if column != "" && len(rows) > 0 {
		rows[0][column] += " \xff\xfe\xc3("
	}
}

// firstRow is the first row of a table as enrolment sends it: every column, in
// the order of the names, all texts. nil without a row.
func (a *Agent) firstRow(table string) members {
	v := &view{agent: a, machine: a.machine, now: a.now(), boot: a.born.Add(-a.machine.bootedBefore)}
	rows := v.rows(table)
	if len(rows) == 0 {
		return nil
	}
	var m members
	for _, column := range slices.Sorted(maps.Keys(rows[0])) {
		m.str(column, rows[0][column])
	}
	return m
}

func num[T ~int | ~int64 | ~uint64 | ~uint32](n T) string { return strconv.FormatInt(int64(n), 10) }

// list makes rows of equal columns from tuples.
func list(columns []string, tuples ...[]string) []record {
	rows := make([]record, 0, len(tuples))
	for _, tuple := range tuples {
		r := make(record, len(columns))
		for i, column := range columns {
			r[column] = tuple[i]
		}
		rows = append(rows, r)
	}
	return rows
}

// random is a source for one purpose that stays the same for a while: what hosts
// show changes slowly.
func (v *view) randomFor(purpose string, while time.Duration) *rand.Rand {
	return v.random(fmt.Sprintf("%s %d", purpose, v.now.Unix()/int64(while/time.Second)))
}
