package adminapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"muster/server/alerts"
)

// investigated is alerted with rows of the Windows host around the first alert, whose
// process P-3 was started by P-2, and of its state.
func (w *world) investigated() {
	w.t.Helper()
	w.lines += 100 // queries run after what they tell of
	row := func(table, action, process, parent string, at int, more string) {
		w.logged(2, table, "added", fmt.Sprintf(`{"action":%q,"process_guid":%q,"parent_process_guid":%q,"pid":"%d","time":"%d",%s}`,
			action, process, parent, 1000+len(process), 1772366400+at, more))
	}
	w.logged(2, "users", "snapshot", `{"username":"SYSTEM"}`)
	w.logged(2, "patches", "snapshot", `{"hotfix_id":"KB1"}`)
	row("win_process_events", "PROC_CREATE", "P-2", "P-1", -9000, `"path":"C:\\Windows\\System32\\svchost.exe","parent_path":"C:\\Windows\\System32\\services.exe"`)
	row("win_process_events", "PROC_CREATE", "P-9", "P-2", 10, `"path":"C:\\Windows\\System32\\taskhostw.exe"`)
	w.logged(2, "win_process_events", "added", processRow)
	row("win_process_events", "PROC_CREATE", "P-4", "P-3", 45, `"path":"C:\\Windows\\System32\\cmd.exe"`)
	row("win_file_events", "FILE_WRITE", "P-3", "P-2", 46, `"process_name":"C:\\Windows\\System32\\wbem\\WmiPrvSE.exe","target_path":"C:\\x"`)
	row("win_file_events", "FILE_WRITE", "P-2", "P-1", 120, `"process_name":"C:\\Windows\\System32\\svchost.exe","target_path":"C:\\y"`)
	w.logged(2, "win_dns_events", "added", dnsRow)
	row("win_process_events", "PROC_TERMINATE", "P-3", "P-2", 60, `"path":"C:\\Windows\\System32\\wbem\\WmiPrvSE.exe"`)
	w.alerted()
}

func TestInvestigate(t *testing.T) {
	each(t, func(w *world) {
		w.investigated()
		w.expect("alert_events", "GET", w.alert(0, "/events"), nil)
		w.expect("alert_events_none", "GET", w.alert(3, "/events"), nil) // of a file, at no time
		w.expect("alert_process", "POST", "/alerts/process", map[string]any{"process_guid": "P-2", "node_id": 2, "alert_id": fmt.Sprint(w.alerts[0])})
		w.expect("alert_process_of_itself", "POST", "/alerts/process", map[string]any{"process_guid": "P-3", "node_id": 2})
		w.expect("alert_process_unknown", "POST", "/alerts/process", map[string]any{"process_guid": "P-77", "host_identifier": deskHost})
		w.expect("alert_process_missing", "POST", "/alerts/process", nil)
		w.expect("alert_process_no_host", "POST", "/alerts/process", map[string]any{"process_guid": "P-3", "node_id": 77})
		w.expect("alert_unknown", "POST", "/alerts/process", map[string]any{"process_guid": "P-2", "node_id": 1, "alert_id": w.alerts[0]})
		w.expect("alert_process_child", "POST", "/alerts/process/child", map[string]any{"process_guid": "P-2", "action": "PROC_CREATE", "node_id": 2})
		w.expect("alert_process_child_next", "POST", "/alerts/process/child", map[string]any{"process_guid": "P-2", "action": "PROC_CREATE", "node_id": 2, "last_time": "1772366410"})
		w.expect("alert_process_child_none", "POST", "/alerts/process/child", map[string]any{"process_guid": "P-2", "action": "REG_WRITE", "node_id": 2})
		w.expect("alert_tree", "GET", w.alert(0, "/tree"), nil)
		w.expect("alert_tree_none", "GET", w.alert(3, "/tree"), nil)
	})
}

// linux is a row of one of osquery's tables on the Linux host, twelve minutes ago and
// some seconds.
func (w *world) linux(query string, seconds int, format string, args ...any) string {
	w.t.Helper()
	columns := fmt.Sprintf(`{"time":"%d",`, 1772366400+seconds) + fmt.Sprintf(format, args...) + "}"
	w.logged(1, query, "added", columns)
	return columns
}

func TestInvestigateOnLinux(t *testing.T) {
	each(t, func(w *world) {
		const processes = "pack/security/process_events"
		w.lines += 100
		w.linux(processes, 0, `"pid":"700","parent":"1","path":"/usr/sbin/nginx","cmdline":"nginx","parent_path":"/sbin/init"`)
		w.linux(processes, 5, `"pid":"812","parent":"700","path":"/bin/old"`)
		shell := w.linux(processes, 20, `"pid":"812","parent":"700","path":"/bin/sh","cmdline":"sh -c id","username":"www-data"`)
		child := w.linux(processes, 21, `"pid":"813","parent":"812","path":"/usr/bin/id","cmdline":"id"`)
		w.linux("socket_events", 22, `"pid":"812","action":"connect","remote_address":"192.0.2.9"`)
		w.linux("socket_events", 90, `"pid":"700","action":"accept","remote_address":"192.0.2.8"`)
		w.logged(1, "users", "snapshot", `{"username":"root"}`)
		f := alerts.Finding{HostID: 1, Source: alerts.Rule, RuleID: 7, Name: "A shell of the web server", Group: "rule:7", Severity: "CRITICAL",
			QueryName: processes, Action: "added", Columns: []byte(shell), UnixTime: 1772366423}
		also := f
		also.Columns = []byte(child)
		raised, err := w.deps.Alerts.Raise(t.Context(), []alerts.Finding{f, also})
		w.ok(err)
		w.alerts = []int64{raised[0].Alert.ID}

		w.expect("alert_linux_events", "GET", w.alert(0, "/events"), nil)
		w.expect("alert_linux_tree", "GET", w.alert(0, "/tree"), nil)
		w.expect("alert_linux_process", "POST", "/alerts/process", map[string]any{"process_guid": "700:1772366400", "node_id": 1, "alert_id": w.alerts[0]})
		w.expect("alert_linux_child", "POST", "/alerts/process/child", map[string]any{"process_guid": "812:1772366420", "action": "connect", "node_id": 1})
		w.expect("alert_linux_unknown_parent", "POST", "/alerts/process", map[string]any{"process_guid": "1:0", "node_id": 1, "alert_id": w.alerts[0]})
	})
}

func TestATreeWhoseRowsAreGone(t *testing.T) {
	each(t, func(w *world) {
		w.alerted()
		w.expect("alert_tree_alone", "GET", w.alert(0, "/tree"), nil)
	})
}

func TestPagesOfWhatAProcessDid(t *testing.T) {
	each(t, func(w *world) {
		for n := range 50 { // some in one second
			w.logged(2, "win_file_events", "added", fmt.Sprintf(`{"action":"FILE_WRITE","process_guid":"P-5","time":"%d","n":"%d"}`, 1772366400+n/15, n))
		}
		seen, last, pages := 0, "0", 0
		for ; pages < 10; pages++ {
			status, body := w.do("POST", "/alerts/process/child", map[string]any{"process_guid": "P-5", "action": "FILE_WRITE", "node_id": 2, "last_time": last})
			var page struct{ Data processPageView }
			if err := json.Unmarshal(body, &page); err != nil || status != http.StatusOK {
				t.Fatalf("%d %s", status, body)
			}
			if len(page.Data.Children) == 0 {
				break
			}
			seen, last = seen+len(page.Data.Children), page.Data.LastTime
		}
		if seen != 50 || pages != 2 {
			t.Errorf("%d events on %d pages", seen, pages)
		}
	})
}

func TestPrevalence(t *testing.T) {
	each(t, func(w *world) {
		w.sightings()
		w.alerted()
		w.expect("alert_prevalence", "GET", w.alert(2, "/prevalence"), nil)
		w.expect("alert_prevalence_dns", "GET", w.alert(1, "/prevalence"), nil)
		if status, body := w.do("GET", w.alert(0, "/prevalence"), nil); status != http.StatusOK || strings.Contains(string(body), "P-3") {
			t.Errorf("%d %s", status, body)
		}
	})
}
