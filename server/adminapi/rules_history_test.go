package adminapi

import (
	"encoding/json"
	"fmt"
	"testing"

	"muster/server/alerts"
	"muster/server/results"
)

// reported stores rows of process_events of the first host.
func (w *world) reported(columns ...string) {
	w.t.Helper()
	line := results.Line{Key: results.LineKey(1, 1772366400, fmt.Append(nil, w.lines), 0)}
	w.lines++
	for _, c := range columns {
		line.Entries = append(line.Entries, results.Entry{HostID: 1, Name: "process_events", Action: "added", Columns: []byte(c), UnixTime: 1772366400})
	}
	_, err := w.deps.Results.Append(w.t.Context(), []results.Line{line})
	w.ok(err)
}

func TestARuleIsTestedOnHistory(t *testing.T) {
	each(t, func(w *world) {
		w.expect("rule_test_none", "POST", "/rules/test", map[string]any{"conditions": leaf("path", "ends_with", "/sh")})
		w.reported(`{"path":"/bin/sh","uid":"0"}`, `{"path":"/bin/ls","uid":"0"}`, `{"path":"/usr/bin/sh","uid":"5"}`)
		w.expect("rule_test", "POST", "/rules/test", map[string]any{"conditions": leaf("path", "ends_with", "/sh"), "days": "30"})
		w.expect("rule_test_sigma", "POST", "/rules/test", map[string]any{"sigma": sigmaShell})
		w.expect("rule_add", "POST", "/rules/add", map[string]any{"name": "Shells", "conditions": leaf("path", "ends_with", "/sh"), "status": "INACTIVE"})
		w.expect("exception_from_test", "POST", "/rules/1/exceptions", map[string]any{"conditions": leaf("uid", "equal", "5"), "reason": "known"})
		w.expect("rule_test_stored", "POST", "/rules/test", map[string]any{"rule_id": 1})
		w.expect("rule_test_neither", "POST", "/rules/test", nil)
		w.expect("rule_test_both", "POST", "/rules/test", map[string]any{"rule_id": 1, "sigma": sigmaShell})
		w.expect("rule_unknown", "POST", "/rules/test", map[string]any{"rule_id": 9})
		w.expect("rule_test_days", "POST", "/rules/test", map[string]any{"rule_id": 1, "days": 0})
		w.expect("rule_wrong_operator", "POST", "/rules/test", map[string]any{"conditions": leaf("a", "is", "b")})
		w.expect("rule_test_not_applicable", "POST", "/rules/test", map[string]any{"sigma": sigmaCloud})
	})
}

func TestAnExceptionOfAnAlert(t *testing.T) {
	each(t, func(w *world) {
		w.expect("rule_add", "POST", "/rules/add", map[string]any{"name": "Shells", "conditions": leaf("path", "ends_with", "/sh")})
		raised, err := w.deps.Alerts.Raise(t.Context(), []alerts.Finding{
			{HostID: 1, Source: alerts.Rule, RuleID: 1, Name: "Shells", Group: "rule:1", Severity: "WARNING", QueryName: "process_events", Action: "added",
				Columns: json.RawMessage(`{"path":"/bin/sh","uid":0,"note":null}`), UnixTime: 1772366400},
			{HostID: 1, Source: alerts.YARA, Name: "eicar", Group: "yara:eicar", Severity: "INFO"},
		})
		w.ok(err)
		at := func(n int) string { return fmt.Sprintf("/alerts/%d/exception", raised[n].Alert.ID) }
		w.scrub = append(w.scrub, fmt.Sprintf(`"alert_id":%d`, raised[0].Alert.ID), `"alert_id":"ALERT"`)
		w.expect("alert_exception", "POST", at(0), map[string]any{"fields": "path, uid, host_identifier", "reason": "our own", "expires_at": "2026-04-01"})
		w.expect("rules_alerts", "POST", "/rules", nil)
		w.expect("rules_no_counts", "POST", "/rules", map[string]any{"alerts_count": false})
		w.expect("alert_exception_column", "POST", at(0), map[string]any{"fields": []any{"path", "note"}, "reason": "x"})
		w.expect("alert_exception_missing", "POST", at(0), nil)
		w.expect("alert_exception_source", "POST", at(1), map[string]any{"fields": "path", "reason": "x"})
		w.expect("alert_exception_unknown", "POST", "/alerts/999/exception", map[string]any{"fields": "path", "reason": "x"})
		if got := w.trail("exception."); got != "exception.add 1" {
			t.Errorf("the trail says %s", got)
		}
	})
}
