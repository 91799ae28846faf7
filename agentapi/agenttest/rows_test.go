package agenttest

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/server/osquery"
)

var platforms = []Platform{Linux, Darwin, Windows}

func TestGeneratedRowsHaveTheColumnsOfOsquery(t *testing.T) {
	server := newReference(t)
	for _, platform := range platforms {
		a, _ := server.agent(t, func(o *Options) { o.Platform = platform })
		v := &view{agent: a, machine: a.machine, now: start, boot: a.born}
		for name, generate := range generators[platform] {
			table, ok := osquery.Find(name)
			if !ok || !table.On(string(platform)) {
				t.Errorf("%s: osquery has no table %s", platform, name)
				continue
			}
			for _, r := range generate(v) {
				for column := range r {
					if !slices.ContainsFunc(table.Columns, func(c osquery.Column) bool { return c.Name == column }) {
						t.Errorf("%s: %s has no column %s", platform, name, column)
					}
				}
			}
		}
	}
}

func TestEveryPlatformAnswersWhatAnalystsAsk(t *testing.T) {
	server := newReference(t)
	ask := map[Platform][]string{
		Linux:   {"deb_packages", "mounts", "crontab", "systemd_units", "process_events", "socket_events", "startup_items"},
		Darwin:  {"apps", "mounts", "launchd", "es_process_events", "startup_items"},
		Windows: {"programs", "logical_drives", "scheduled_tasks", "services", "process_etw_events", "startup_items"},
	}
	for _, platform := range platforms {
		a, _ := server.agent(t, func(o *Options) { o.Platform = platform; o.Seed = 2 })
		everywhere := []string{"system_info", "os_version", "osquery_info", "platform_info", "users", "groups", "processes", "listening_ports",
			"interface_details", "interface_addresses", "uptime", "kernel_info", "etc_hosts", "osquery_flags", "time", "file", "hash", "osquery_events"}
		for _, table := range append(everywhere, ask[platform]...) {
			columns, rows, err := a.Query(t.Context(), "select * from "+table)
			if err != nil || len(rows) == 0 || len(columns) < 2 {
				t.Errorf("%s: %s: %d rows, %v", platform, table, len(rows), err)
			}
		}
		_, rows, err := a.Query(t.Context(), "select username from users u join processes p on p.uid = u.uid where u.uid > 400 limit 1")
		must(t, err)
		if len(rows) == 0 {
			t.Errorf("%s: nobody runs anything", platform)
		}
		_, rows, err = a.Query(t.Context(), "select * from yara_events")
		must(t, err)
		wantEqual(t, "rows of an empty table", len(rows), 0)
	}
}

func TestAQueryOnATableThatIsNotThereFailsWithSQLitesWords(t *testing.T) {
	a, _ := newReference(t).agent(t, nil)
	for sql, want := range map[string]string{
		"select * from does_not_exist":  "no such table: does_not_exist",
		"select * from scheduled_tasks": "no such table: scheduled_tasks",
		"selekt 1":                      `near "selekt": syntax error`,
		"select nope from users":        "no such column: nope",
	} {
		if _, _, err := a.Query(t.Context(), sql); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", sql, err, want)
		}
	}
}

func TestTheSameSeedIsTheSameMachine(t *testing.T) {
	server := newReference(t)
	ask := func(seed int64) [][]string {
		a, _ := server.agent(t, func(o *Options) { o.Seed = seed })
		_, rows, err := a.Query(t.Context(), "select s.*, p.* from system_info s, processes p")
		must(t, err)
		return rows
	}
	if diff := cmp.Diff(ask(7), ask(7)); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(ask(7), ask(8)) {
		t.Error("seeds 7 and 8 are the same machine")
	}
}

func TestACloneHasTheHardwareOfAnotherMachineOnly(t *testing.T) {
	server := newReference(t)
	first, _ := server.agent(t, nil)
	second, _ := server.agent(t, func(o *Options) { o.Seed = 2; o.Chaos.CloneOf = 1 })
	wantEqual(t, "uuid", second.machine.uuid, first.machine.uuid)
	wantEqual(t, "serial number", second.machine.serial, first.machine.serial)
	if second.HostIdentifier() == first.HostIdentifier() || second.Hostname() == first.Hostname() {
		t.Error("the clone has the other's instance or name")
	}
}

func TestProcessesComeAndGo(t *testing.T) {
	a, clock := newReference(t).agent(t, nil)
	ask := func() []string {
		_, rows, err := a.Query(t.Context(), "select pid || path from processes")
		must(t, err)
		var all []string
		for _, r := range rows {
			all = append(all, r[0])
		}
		return all
	}
	before := ask()
	must(t, clock.Sleep(t.Context(), 15*60e9))
	after := ask()
	if slices.Equal(before, after) || !slices.Contains(after, before[0]) {
		t.Error("either nothing changed or everything did")
	}
}

func TestInvalidUTF8ReachesTheAnswer(t *testing.T) {
	a, _ := newReference(t).agent(t, func(o *Options) { o.Chaos.InvalidUTF8 = true })
	_, rows, err := a.Query(t.Context(), "select cmdline from processes")
	must(t, err)
	if !slices.ContainsFunc(rows, func(r []string) bool { return strings.Contains(r[0], "\xff\xfe") }) {
		t.Error("no invalid bytes in any row")
	}
}

func TestFilesFollowThePathsThatAQueryNames(t *testing.T) {
	a, _ := newReference(t).agent(t, nil)
	for sql, want := range map[string]int{
		"select path from file where path = '/etc/hosts'":                              1,
		"select path from file where path in ('/etc/hosts', '/etc/passwd')":            2,
		"select path from file where path like '/srv/%%'":                              2,
		"select path from file where directory = '/usr/sbin'":                          4,
		"select path from file where path = '/missing'":                                0,
		"select p.pid from processes p join hash h on h.path = p.path where p.pid = 1": 1,
	} {
		_, rows, err := a.Query(t.Context(), sql)
		must(t, err)
		wantEqual(t, sql, len(rows), want)
	}
}

func TestStartedProgramsHaveParentsAndNames(t *testing.T) {
	for platform, ask := range map[Platform]string{
		Linux:   "select p.path, p.cmdline, u.username from process_events e left join users u on u.uid = e.uid left join processes p on p.pid = e.parent",
		Darwin:  "select p.path, p.cmdline, e.username from es_process_events e left join processes p on p.pid = e.parent",
		Windows: "select p.path, p.cmdline, f.original_filename from process_etw_events e left join processes p on p.pid = e.ppid left join file f on f.path = e.path",
	} {
		a, _ := newReference(t).agent(t, func(o *Options) { o.Platform = platform; o.Events = 5 })
		_, rows, err := a.Query(t.Context(), ask)
		must(t, err)
		wantEqual(t, string(platform)+": events", len(rows), 5)
		for _, r := range rows {
			if slices.Contains(r, "") {
				t.Errorf("%s: %q lacks something", platform, r)
			}
		}
	}
}
