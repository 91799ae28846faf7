package adminapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/alerts"
)

const (
	processRow = `{"eid":"241E415E","pid":"5704","path":"C:\\Windows\\System32\\wbem\\WmiPrvSE.exe","time":"1772366441","action":"PROC_CREATE",` +
		`"cmdline":"wmiprvse.exe","process_guid":"P-3","parent_path":"C:\\Windows\\System32\\svchost.exe","parent_process_guid":"P-2","md5":"` + badHash + `"}`
	dnsRow = `{"pid":"1144","time":"1772366450","action":"DNS_LOOKUP","utc_time":"Sun Mar  1 12:00:50 2026 UTC","domain_name":".www.evil.example","remote_address":"172.31.0.2"}`
)

// alerted raises alerts: of a rule on host 2 with two events, of
// an indicator on host 2, of a service on host 1, and of YARA on host 1.
func (w *world) alerted() {
	w.t.Helper()
	process := alerts.Finding{
		HostID: 2, Source: alerts.Rule, RuleID: 146, Name: "A child of the service host", Group: "rule:146", Severity: "WARNING", QueryName: "win_process_events",
		Action: "added", Columns: json.RawMessage(processRow), UnixTime: 1772366445, ResultID: 17, TechniqueIDs: []string{"T1047"}, Tactics: []string{"execution"},
		Why: json.RawMessage(`[{"field":"path","operator":"ends_with","wanted":"WmiPrvSE.exe","actual":"C:\\Windows\\System32\\wbem\\WmiPrvSE.exe","negated":false}]`),
	}
	second := process
	second.Columns, second.ResultID = json.RawMessage(`{"path":"C:\\x.exe","owner":"SYSTEM"}`), 18
	threat := alerts.Finding{
		HostID: 2, Source: alerts.Indicator, Name: "Evil Corp", Group: "ioc:5", Severity: "CRITICAL", QueryName: "win_dns_events", Action: "added",
		Columns: json.RawMessage(dnsRow), UnixTime: 1772366455, ResultID: 19, Retro: true,
	}
	report := alerts.Finding{
		HostID: 1, Source: alerts.VirusTotal, Name: "Trojan", Group: "virustotal:x", Severity: "LOW", QueryName: "process_events", Action: "added",
		Columns: json.RawMessage(`{"md5":"` + badHash + `"}`), UnixTime: 1772366456, SourceData: json.RawMessage(`{"positives":5}`),
	}
	file := alerts.Finding{HostID: 1, Source: alerts.YARA, Name: "eicar", Group: "yara:eicar", Severity: "INFO", SourceData: json.RawMessage(`{"file":"a.txt"}`)}
	for _, findings := range [][]alerts.Finding{{process, second}, {threat}, {report}, {file}} {
		raised, err := w.deps.Alerts.Raise(w.t.Context(), findings)
		w.ok(err)
		w.alerts = append(w.alerts, raised[0].Alert.ID)
	}
}

// alert is a path below an alert of alerted.
func (w *world) alert(n int, below string) string {
	return fmt.Sprintf("/alerts/%d%s", w.alerts[n], below)
}

func TestAlerts(t *testing.T) {
	each(t, func(w *world) {
		w.expect("alerts_none", "POST", "/alerts", nil)
		w.alerted()
		w.expect("alerts", "POST", "/alerts", nil)
		w.expect("alerts_rule", "POST", "/alerts", map[string]any{"source": "rule", "event_ids": "1,2,3,4,5", "searchterm": "DESK", "limit": "1"})
		w.expect("alerts_technique", "POST", "/alerts?technique_id=t1047&severity=WARNING&host_identifier="+deskHost+"&rule_id=146&query_name=win_process_events&state=open&assignee=-", nil)
		w.expect("alerts_none", "POST", "/alerts", map[string]any{"date": "2026-2-28", "duration": 1})
		w.expect("alerts_none", "POST", "/alerts", map[string]any{"resolved": true})
		w.expect("alerts_none", "POST", "/alerts", map[string]any{"status": "resolved"})
		w.expect("alerts_no_host", "POST", "/alerts", map[string]any{"host_identifier": "nobody"})
		w.expect("alerts_wrong_status", "POST", "/alerts", map[string]any{"source": "rule", "status": "done"})
		w.expect("alerts_wrong", "POST", "/alerts", map[string]any{"source": "dreams", "severity": "warning", "start": -1, "state": "done"})
		w.expect("alerts_wrong_technique", "POST", "/alerts", map[string]any{"technique_id": "T1059,T1060"})
		w.expect("alerts_wrong_date", "POST", "/alerts", map[string]any{"date": "5.8.2020"})
		w.expect("alert", "GET", w.alert(0, ""), nil)
		w.expect("alert_of_service", "GET", w.alert(2, ""), nil)
		w.expect("alert_unknown", "GET", "/alerts/99", nil)
		w.expect("alerted_events", "GET", w.alert(0, "/alerted_events"), nil)
		w.expect("alerted_events_page", "GET", w.alert(0, "/alerted_events?start=1&limit=1"), nil)
		w.expect("alerts_count", "GET", "/alerts/count_by_source", nil)
		w.expect("alerts_graph", "GET", "/alerts/graph?source=rule", nil)
		w.expect("alerts_graph_missing", "GET", "/alerts/graph", nil)
		w.expect("dashboard_alerts", "GET", "/dashboard", nil)
		w.expect("host_alerts", "GET", "/hosts/2/alerts/distribution", nil)
	})
}

func TestAlertsOfHostsThatAreGone(t *testing.T) {
	each(t, func(w *world) {
		w.alerted()
		w.do("PUT", "/hosts/2/delete", nil)
		w.expect("alerts_enabled", "POST", "/alerts", nil)
		if status, body := w.do("GET", w.alert(0, ""), nil); status != http.StatusOK {
			t.Errorf("of a removed host: %d %s", status, body)
		}
		w.do("DELETE", "/hosts/2/delete", nil)
		for _, path := range []string{"", "/alerted_events", "/history", "/events", "/prevalence", "/tree"} {
			w.expect("alert_unknown", "GET", w.alert(0, path), nil)
		}
		w.expect("alert_unknown", "PUT", w.alert(0, ""), map[string]any{"resolve": true})
	})
}

func TestAlertsAreHandled(t *testing.T) {
	each(t, func(w *world) {
		w.alerted()
		w.expect("alert_assign", "POST", w.alert(0, "/assignee"), map[string]any{"assignee": "admin"})
		w.expect("alert_assign_unknown", "POST", w.alert(0, "/assignee"), map[string]any{"assignee": "nobody"})
		w.expect("alert_status", "POST", w.alert(0, "/status"), map[string]any{"status": "in_progress"})
		w.clock.pass(time.Minute)
		w.expect("alert_comment", "POST", w.alert(0, "/comments"), map[string]any{"comment": " seen before "})
		w.expect("alert_comment_missing", "POST", w.alert(0, "/comments"), nil)
		w.expect("alert_comment_blank", "POST", w.alert(0, "/comments"), map[string]any{"comment": " "})
		w.expect("alert_status_verdict", "POST", w.alert(0, "/status"), map[string]any{"status": "open", "verdict": "true_positive"})
		w.expect("alert_resolved", "POST", w.alert(0, "/status"), map[string]any{"status": "resolved", "verdict": "false_positive", "comment": "a test of ours"})
		w.expect("alerts_resolved", "PUT", "/alerts", map[string]any{"resolve": "true", "alert_ids": w.alerts[:2]})
		w.expect("alert_resolve", "PUT", w.alert(1, ""), map[string]any{"resolve": false, "comment": "again"})
		w.expect("alert_unknown", "PUT", "/alerts", map[string]any{"resolve": true, "alert_ids": []int64{w.alerts[2], 99}})
		w.expect("alerts_resolve_missing", "PUT", "/alerts", nil)
		w.expect("alert_unknown", "PUT", "/alerts/99", map[string]any{"resolve": true})
		w.expect("alert_history", "GET", w.alert(0, "/history"), nil)
		w.expect("alert_history_page", "GET", w.alert(0, "/history?start=1&limit=1"), nil)
		w.expect("alert_history_reopened", "GET", w.alert(1, "/history"), nil)
		w.ok(w.deps.Alerts.Told(t.Context(), w.alerts[1], "email", "with the next digest"))
		w.expect("alert_history_told", "GET", w.alert(1, "/history"), nil)
		w.expect("alerts_resolved_list", "POST", "/alerts", map[string]any{"resolved": true, "verdict": "false_positive"})
		w.expect("alerts_count_resolved", "GET", "/alerts/count_by_source?resolved=true", nil)
		var trail []string
		for _, entry := range w.audit() {
			if strings.HasPrefix(entry.Action, "alert.") {
				detail, err := json.Marshal(entry.Detail)
				w.ok(err)
				trail = append(trail, entry.Action+" "+entry.Subject+" "+string(detail))
			}
		}
		want := []string{
			`alert.reopen 2 {}`, `alert.resolve 2 {}`, `alert.status 1 {"after":"resolved (false_positive)","before":"in_progress"}`, `alert.comment 1 {}`,
			`alert.status 1 {"after":"in_progress","before":"open"}`, `alert.assign 1 {"after":"admin","before":""}`,
		}
		if diff := cmp.Diff(want, trail); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAlertsExport(t *testing.T) {
	each(t, func(w *world) {
		w.alerted()
		name, body := w.file("/alert_source/export", map[string]any{"source": "rule"})
		want := "alert_id,alert_created_at,alert_hostname,alert_host_identifier,alert_name,alert_severity,alert_state,alert_verdict,alert_assignee,alert_query_name," +
			"alert_technique_ids,alert_events,eid,pid,path,time,action,cmdline,process_guid,parent_path,parent_process_guid,md5\n" +
			"1,2026-03-01 12:11:00.123456,desk-2," + deskHost + ",A child of the service host,WARNING,open,,,win_process_events,T1047,2," +
			`241E415E,5704,C:\Windows\System32\wbem\WmiPrvSE.exe,1772366441,PROC_CREATE,wmiprvse.exe,P-3,C:\Windows\System32\svchost.exe,P-2,` + badHash + "\n"
		if diff := cmp.Diff(want, body); diff != "" || !strings.Contains(name, "alert_source_results.csv") {
			t.Error(name, diff)
		}
		if _, body := w.file("/alerts/alert_source/export", map[string]any{"source": "yara", "event_ids": w.alerts}); strings.Count(body, "\n") != 2 {
			t.Errorf("%s", body)
		}
		w.expect("alerts_export_none", "POST", "/alert_source/export", map[string]any{"source": "rule", "resolved": true})
		w.expect("alerts_graph_missing", "POST", "/alert_source/export", nil)
	})
}
