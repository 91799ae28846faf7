package lineage

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// told reads rows written as TABLE {...}.
func told(t *testing.T, rows ...string) []Event {
	t.Helper()
	var events []Event
	for _, row := range rows {
		table, columns, _ := strings.Cut(row, " ")
		e, ok := Read(table, json.RawMessage(columns), 1)
		if !ok {
			t.Fatalf("%s tells of no process", row)
		}
		events = append(events, e)
	}
	return events
}

// drawn is a tree as lines: an id, its path, what it did, and children below it.
func drawn(n *Node, depth int) string {
	line := strings.Repeat("  ", depth) + n.ID + " " + n.Path
	if n.Focus {
		line += " <-"
	}
	for _, e := range n.Did {
		line += " " + e.Action
	}
	if n.MoreChildren > 0 || n.MoreEvents > 0 {
		line += fmt.Sprintf(" (+%d, +%d)", n.MoreChildren, n.MoreEvents)
	}
	for _, child := range n.Below {
		line += "\n" + drawn(child, depth+1)
	}
	return line
}

var wide = Bounds{Ancestors: 10, Depth: 10, Children: 10, Nodes: 100, Events: 10, Rows: 100}

func TestTrees(t *testing.T) {
	for sentence, c := range map[string]struct {
		rows  []string
		focus string
		want  string
	}{
		"linux, by pid and time": {[]string{
			`process_events {"pid":"30","parent":"20","time":"105","path":"/usr/bin/id","cmdline":"id"}`,
			`process_events {"pid":"20","parent":"10","time":"100","path":"/bin/sh"}`,
			`process_events {"pid":"10","parent":"1","time":"50","path":"/usr/sbin/nginx","parent_path":"/sbin/init"}`,
			`process_events {"pid":"21","parent":"10","time":"101","path":"/bin/ls"}`,
			`socket_events {"pid":"20","time":"103","action":"connect","remote_address":"192.0.2.1"}`,
			`process_file_events {"pid":"20","ppid":"10","time":"104","operation":"write","executable":"/bin/sh"}`,
			`process_events {"pid":"20","parent":"10","time":"106","syscall":"kill","path":"/bin/sh"}`,
		}, "20:100", `
1:0 /sbin/init
  10:50 /usr/sbin/nginx
    20:100 /bin/sh <- connect write kill
      30:105 /usr/bin/id
    21:101 /bin/ls`},
		"a pid that is used again": {[]string{
			`process_events {"pid":"20","parent":"1","time":"100","path":"/bin/old"}`,
			`process_events {"pid":"20","parent":"1","time":"200","path":"/bin/new"}`,
			`process_events {"pid":"30","parent":"20","time":"150","path":"/bin/a"}`,
			`process_events {"pid":"31","parent":"20","time":"250","path":"/bin/b"}`,
			`process_events {"pid":"32","parent":"20","time":"99","path":"/bin/c","parent_path":"/bin/older"}`,
		}, "20:200", `
1:0 
  20:100 /bin/old (+1, +0)
  20:200 /bin/new <-
    31:250 /bin/b`},
		"a parent that began before the rows": {[]string{
			`process_events {"pid":"32","parent":"20","time":"99","path":"/bin/c","parent_path":"/bin/older","parent_cmdline":"older -x"}`,
			`socket_events {"pid":"20","time":"98","action":"bind","path":"/bin/older"}`,
		}, "20:0", `
20:0 /bin/older <- bind
  32:99 /bin/c`},
		"a process that becomes another program in the same second": {[]string{
			`process_events {"pid":"20","parent":"10","time":"100","path":"/bin/sh","cmdline":"sh -c 'exec ls'"}`,
			`process_events {"pid":"20","parent":"10","time":"100","path":"/bin/ls","cmdline":"ls"}`,
		}, "20:100", `
10:0 
  20:100 /bin/ls <-`},
		"forks that stay copies, and forks that become programs": {[]string{
			`process_events {"pid":"10","parent":"1","time":"90","path":"/bin/server","syscall":"execve"}`,
			`process_events {"pid":"20","parent":"10","time":"100","syscall":"fork","path":"/bin/server"}`,
			`process_events {"pid":"21","parent":"10","time":"100","syscall":"clone","path":"/bin/server"}`,
			`process_events {"pid":"21","parent":"10","time":"101","syscall":"execve","path":"/bin/ls"}`,
			`process_events {"pid":"30","parent":"20","time":"102","syscall":"execve","path":"/bin/cat"}`,
		}, "10:90", `
1:0 
  10:90 /bin/server <-
    20:100 /bin/server
      30:102 /bin/cat
    21:101 /bin/ls`},
		"macOS, with exec, fork and exit": {[]string{
			`es_process_events {"event_type":"exec","pid":10,"parent":1,"time":50,"path":"/bin/zsh"}`,
			`es_process_events {"event_type":"fork","pid":"10","parent":"1","child_pid":"20","time":"60","path":"/bin/zsh"}`,
			`es_process_events {"event_type":"exec","pid":"20","parent":"10","time":"60","path":"/usr/bin/curl"}`,
			`es_process_events {"event_type":"exit","pid":"20","parent":"10","time":"70","exit_code":"0","path":"/usr/bin/curl"}`,
			`es_process_file_events {"pid":"20","parent":"10","time":"65","event_type":"create","path":"/tmp/x"}`,
			`es_process_events {"event_type":"exec","pid":"30","parent":"20","time":"80","path":"/bin/late"}`,
		}, "20:60", `
1:0 
  10:50 /bin/zsh
    20:60 /usr/bin/curl <- create PROC_TERMINATE`},
		"windows, from the event trace": {[]string{
			`process_etw_events {"type":"ProcessStart","pid":"400","ppid":"300","datetime":"2026-03-01 12:00:00.123","path":"C:\\a.exe","parent_path":"C:\\p.exe"}`,
			`process_etw_events {"type":"ProcessStart","pid":"500","ppid":"400","time":"1772366405","path":"C:\\b.exe"}`,
			`process_etw_events {"type":"ProcessStop","pid":"500","ppid":"400","datetime":"2026-03-01T12:00:09Z","path":"C:\\b.exe"}`,
			`dns_lookup_events {"pid":"500","datetime":"2026-03-01T12:00:06.5Z","name":"evil.example"}`,
		}, "500:1772366405", `
300:0 C:\p.exe
  400:1772366400 C:\a.exe
    500:1772366405 C:\b.exe <- DNS_LOOKUP PROC_TERMINATE`},
		"windows, with identifiers": {[]string{
			`win_process_events {"action":"PROC_CREATE","process_guid":"B","parent_process_guid":"A","pid":"2","time":"10","path":"C:\\b.exe","parent_path":"C:\\a.exe"}`,
			`win_process_events {"action":"PROC_CREATE","process_guid":"C","parent_process_guid":"B","pid":"3","time":"11","path":"C:\\c.exe","parent_path":"C:\\b.exe"}`,
			`win_file_events {"action":"FILE_WRITE","process_guid":"B","pid":"2","time":"12","process_name":"C:\\b.exe"}`,
			`win_process_events {"action":"PROC_TERMINATE","process_guid":"D","parent_process_guid":"A","pid":"4","time":"13","path":"C:\\d.exe"}`,
		}, "B", `
A C:\a.exe
  D C:\d.exe (+0, +1)
  B C:\b.exe <- FILE_WRITE
    C C:\c.exe`},
		"rows that go in circles": {[]string{
			`win_process_events {"action":"PROC_CREATE","process_guid":"A","parent_process_guid":"B","time":"10"}`,
			`win_process_events {"action":"PROC_CREATE","process_guid":"B","parent_process_guid":"A","time":"10"}`,
			`win_process_events {"action":"PROC_CREATE","process_guid":"C","parent_process_guid":"C","time":"10"}`,
			`process_events {"pid":"7","parent":"7","time":"10"}`,
		}, "A", `
B 
  A  <- (+1, +0)`},
	} {
		t.Run(sentence, func(t *testing.T) {
			f := Build(told(t, c.rows...))
			p := f.Find(c.focus)
			if p == nil {
				t.Fatalf("there is no %s", c.focus)
			}
			if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), drawn(f.Tree(p, wide), 0)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatAProcessIs(t *testing.T) {
	events := told(t,
		`es_process_events {"event_type":"exec","pid":"20","parent":"10","time":"60","path":"/usr/bin/curl","cmdline":"curl x","username":"alice"}`,
		`es_process_events {"event_type":"exit","pid":"20","parent":"10","time":"70"}`,
		`socket_events {"pid":"20","time":"65","action":"connect"}`,
		`socket_events {"pid":"20","time":"75","action":"connect"}`)
	f := Build(events)
	p := f.Find("20:60")
	if p.Begun != 60 || p.Ended != 70 || p.Path != "/usr/bin/curl" || p.Cmdline != "curl x" || p.User != "alice" || p.Parent.ID != "10:0" {
		t.Errorf("%+v", p)
	}
	for i, want := range []string{"20:60", "20:60", "20:60", "20:0"} { // the last is of another, as this one had ended
		if got := f.Of(events[i]); got == nil || got.ID != want {
			t.Errorf("row %d is of %+v, not %s", i, got, want)
		}
	}
	if e := p.Starts[0]; e.Process != "20:60" || e.Parent != "10:0" || e.Action != Created {
		t.Errorf("%+v", e)
	}
}

func TestRowsThatTellOfNoProcess(t *testing.T) {
	for _, row := range []string{
		`file_events {"target_path":"/x","pid":"5"}`, `process_events {"path":"/x"}`, `process_events {"pid":"-1"}`, `process_events []`, `process_events {`,
		`process_events "pid"`, `win_process_events {"pid":"5"}`, `es_process_events {"event_type":"fork","pid":"5"}`, `processes {"pid":"5"}`,
	} {
		table, columns, _ := strings.Cut(row, " ")
		if e, ok := Read(table, json.RawMessage(columns), 1); ok {
			t.Errorf("%s: %+v", row, e)
		}
	}
}

func TestTime(t *testing.T) {
	for columns, want := range map[string]int64{
		`{"time":"1772366400"}`: 1772366400, `{"time":1772366400,"datetime":"2020-01-01T00:00:00Z"}`: 1772366400,
		`{"datetime":"2026-03-01T12:00:00.1234567Z"}`: 1772366400, `{"datetime":"2026-03-01 12:00:00"}`: 1772366400,
		`{"datetime":"Sun Mar  1 12:00:00 2026 UTC"}`: 1772366400, `{"datetime":"1772366400"}`: 1772366400,
		`{"time":"","datetime":"soon"}`: 7, `{"time":"-5"}`: 7, `[]`: 7, `{`: 7, `{"time":"99999999999999999999"}`: 7,
	} {
		if got := Time(json.RawMessage(columns), 7); got != want {
			t.Errorf("%s: %d, not %d", columns, got, want)
		}
	}
}

func TestIDs(t *testing.T) {
	if pid, start, ok := ParseID(ID(42, 1772366400)); !ok || pid != 42 || start != 1772366400 {
		t.Errorf("%d %d %t", pid, start, ok)
	}
	for _, wrong := range []string{"", "42", "42:", ":5", "a:5", "42:5:6", "+42:5", "58E0F736-D62C-11EA-8283-02F7A50E7DFE"} {
		if _, _, ok := ParseID(wrong); ok {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestATreeHasBounds(t *testing.T) {
	var rows []string
	for i := 2; i <= 200; i++ { // a chain of 40 with five children each
		rows = append(rows, fmt.Sprintf(`process_events {"pid":"%d","parent":"%d","time":"%d","path":"/p"}`, i, i/5*5, i))
	}
	for range 9 {
		rows = append(rows, `socket_events {"pid":"101","time":"150","action":"connect"}`)
	}
	f := Build(told(t, rows...))
	top := f.Tree(f.Find("101:101"), Bounds{Ancestors: 3, Depth: 2, Children: 3, Nodes: 4, Events: 5, Rows: 2})
	if got := drawn(top, 0); strings.Count(got, "\n")+1 > 3+1+3+4 || !strings.Contains(got, "101:101 /p <- connect connect (+0, +7)") {
		t.Error(got)
	}
}

// TestManyRowsTakeLittleTime: a machine that runs one program ten thousand times is
// not hostile yet.
func TestManyRowsTakeLittleTime(t *testing.T) {
	var events []Event
	for i := range int64(100_000) {
		events = append(events, Event{Kind: Kind(i % 4), PID: i % 7, PPID: i % 5, Time: i / 100})
	}
	began := time.Now()
	f := Build(events)
	if p := f.byPID[3][0]; f.Tree(p, wide) == nil {
		t.Error("no tree")
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

func FuzzLineage(f *testing.F) {
	f.Add("process_events", `{"pid":"5","parent":"4","time":"9"}`, `{"pid":"4","parent":"5","time":"9","syscall":"fork"}`)
	f.Add("es_process_events", `{"pid":5,"parent":"4","event_type":"exit"}`, `{"pid":"5","child_pid":"5","event_type":"fork"}`)
	f.Add("win_process_events", `{"process_guid":"A","parent_process_guid":"B","action":"PROC_CREATE"}`, `{"process_guid":"B","parent_process_guid":"A"}`)
	f.Fuzz(func(t *testing.T, table, one, two string) {
		var events []Event
		for i, columns := range []string{one, two, one} {
			if e, ok := Read(table, json.RawMessage(columns), int64(i)); ok {
				events = append(events, e)
			}
		}
		forest := Build(events)
		for _, e := range events {
			p := forest.Of(e)
			if p == nil {
				t.Fatalf("%+v is of no process", e)
			}
			nodes := 0
			var count func(n *Node)
			count = func(n *Node) {
				nodes++
				for _, child := range n.Below {
					count(child)
				}
			}
			count(forest.Tree(p, wide))
			if nodes > 20 {
				t.Fatalf("%d nodes of three rows", nodes)
			}
		}
	})
}
