package adminapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"muster/server/condition"
	"muster/server/detect"
)

// leaf are conditions of one leaf, as the query builder sends them.
func leaf(field, operator string, value any) map[string]any {
	return map[string]any{"condition": "AND", "valid": true, "rules": []any{
		map[string]any{"id": field, "type": "string", "field": field, "input": "text", "value": value, "operator": operator},
	}}
}

// trail is what the audit trail says of actions that begin so, the newest first.
func (w *world) trail(action string) string {
	w.t.Helper()
	var trail []string
	for _, entry := range w.audit() {
		if strings.HasPrefix(entry.Action, action) {
			trail = append(trail, entry.Action+" "+entry.Subject)
		}
	}
	return strings.Join(trail, ", ")
}

func TestRules(t *testing.T) {
	each(t, func(w *world) {
		w.expect("rules_none", "POST", "/rules", nil)
		w.expect("rule_add", "POST", "/rules/add", map[string]any{"name": "Shells", "conditions": leaf("action", "equal", "test")})
		w.expect("rule_add_full", "POST", "/rules/add", map[string]any{
			"name": "Logs", "conditions": leaf("column", "column_contains", []any{"cmdline", "wevtutil cl"}), "alerters": "email, debug", "description": "clears logs",
			"severity": "critical", "status": "Inactive", "type": "MITRE", "tactics": " defense-evasion , impact", "technique_id": "T1070, t1070.001",
			"recon_queries": map[string]any{"live_queries": []any{map[string]any{"name": "up", "query": "select * from uptime"}}}, "updated_at": "2020-06-30T07:46:00.265400",
		})
		w.expect("rule", "GET", "/rules/2", nil)
		w.expect("rules", "POST", "/rules", map[string]any{"start": 0, "limit": 10, "searchterm": ""})
		w.expect("rules_search", "POST", "/rules", map[string]any{"searchterm": "t1070"})
		w.clock.pass(time.Minute)
		w.expect("rule_edit", "POST", "/rules/1", map[string]any{"name": "Shell", "conditions": leaf("action", "equal", "added"), "technique_id": "T1059", "severity": "WARNING"})
		w.expect("rule_edit_little", "POST", "/rules/1", map[string]any{"name": "Shell", "conditions": leaf("action", "equal", "added")})
		w.expect("rule_status", "POST", "/rules/1/status", map[string]any{"status": "inactive"})
		w.expect("rule_counters", "GET", "/rules/1/counters", nil)
		w.expect("rule_delete", "DELETE", "/rules/1", nil)
		w.expect("rule_unknown", "DELETE", "/rules/1", nil)
		w.expect("rule_unknown", "GET", "/rules/1", nil)
		w.expect("rule_unknown", "GET", "/rules/1/counters", nil)
		w.expect("rule_unknown", "POST", "/rules/1", map[string]any{"name": "Shell", "conditions": leaf("action", "equal", "added")})
		w.expect("rule_unknown", "POST", "/rules/1/status", map[string]any{"status": "ACTIVE"})
		want := "rule.delete Shell, rule.status Shell, rule.edit Shell, rule.edit Shell, rule.add Logs, rule.add Shells"
		if got := w.trail("rule."); got != want {
			t.Errorf("the trail says %s", got)
		}
		w.expect("rule_audit", "POST", "/audit", map[string]any{"action": "rule.status"})
	})
}

func TestRulesThatAreRefused(t *testing.T) {
	each(t, func(w *world) {
		fine := func(more map[string]any) map[string]any {
			args := map[string]any{"name": "fine", "conditions": leaf("action", "equal", "added")}
			for name, value := range more {
				args[name] = value
			}
			return args
		}
		w.expect("rule_add", "POST", "/rules/add", fine(nil))
		w.expect("rule_missing", "POST", "/rules/add", nil)
		w.expect("rule_taken", "POST", "/rules/add", fine(nil))
		w.expect("rule_wrong_technique", "POST", "/rules/add", fine(map[string]any{"technique_id": "T1070, X"}))
		w.expect("rule_edit_wrong_technique", "POST", "/rules/1", fine(map[string]any{"technique_id": "T1070, X"}))
		w.expect("rule_wrong_severity", "POST", "/rules/add", fine(map[string]any{"severity": "HIGH"}))
		w.expect("rule_wrong_status", "POST", "/rules/1/status", map[string]any{"status": "on"})
		w.expect("rule_wrong_operator", "POST", "/rules/add", fine(map[string]any{"name": "x", "conditions": leaf("a", "is", "b")}))
		w.expect("rule_wrong_value", "POST", "/rules/add", fine(map[string]any{"name": "x", "conditions": leaf("a", "less", "b")}))
		w.expect("rule_wrong_conditions", "POST", "/rules/add", fine(map[string]any{"name": "x", "conditions": "x"}))
		w.expect("rule_wrong_id", "GET", "/rules/abc", nil)
		w.expect("tactics", "POST", "/rules/tactics", map[string]any{"technique_ids": " T1005, T1004,t1059.001"})
		w.expect("tactics_unknown", "POST", "/rules/tactics", map[string]any{"technique_ids": "T9999"})
		w.expect("tactics_wrong", "POST", "/rules/tactics", map[string]any{"technique_ids": "x"})
	})
}

func TestExceptions(t *testing.T) {
	each(t, func(w *world) {
		w.expect("rule_add", "POST", "/rules/add", map[string]any{"name": "Shells", "conditions": leaf("path", "contains", "sh")})
		w.expect("exceptions_none", "GET", "/rules/1/exceptions", nil)
		w.expect("exception_add", "POST", "/rules/1/exceptions", map[string]any{
			"conditions": leaf("path", "equal", "/bin/sh"), "reason": "known", "expires_at": "2026-03-01T12:30:00Z",
		})
		w.expect("exception_add_every", "POST", "/exceptions", map[string]any{"conditions": leaf("host_identifier", "equal", "lab"), "reason": "a laboratory"})
		w.ok(w.deps.Detect.Refresh(t.Context()))
		var row condition.Object
		w.ok(row.Load(`{"path":"/bin/sh"}`))
		if matches, complete := w.deps.Detect.Evaluate(detect.Event{HostIdentifier: "web-1", Row: &row, Within: time.Minute}); len(matches) != 0 || !complete {
			t.Errorf("%v, %v", matches, complete)
		}
		w.ok(w.deps.Detect.Flush(t.Context()))
		w.expect("exceptions", "GET", "/rules/1/exceptions", nil)
		w.expect("exceptions_every", "GET", "/exceptions", nil)
		w.clock.pass(30 * time.Minute)
		w.expect("exceptions_expired", "GET", "/rules/1/exceptions", nil)
		w.expect("exception_delete", "DELETE", "/exceptions/1", nil)
		w.expect("exception_unknown", "DELETE", "/exceptions/1", nil)
		w.expect("exception_missing", "POST", "/rules/1/exceptions", nil)
		w.expect("exception_late", "POST", "/rules/1/exceptions", map[string]any{"conditions": leaf("a", "equal", "b"), "reason": "x", "expires_at": "2026-01-01"})
		w.expect("exception_wrong_time", "POST", "/exceptions", map[string]any{"conditions": leaf("a", "equal", "b"), "reason": "x", "expires_at": "soon"})
		w.expect("exception_until", "POST", "/exceptions", map[string]any{"conditions": leaf("a", "equal", "b"), "reason": "x", "expires": "soon"})
		for _, id := range []int{0, 9} {
			w.expect("rule_unknown", "GET", fmt.Sprintf("/rules/%d/exceptions", id), nil)
			w.expect("rule_unknown", "POST", fmt.Sprintf("/rules/%d/exceptions", id), map[string]any{"conditions": leaf("a", "equal", "b"), "reason": "x"})
		}
		if got := w.trail("exception."); got != "exception.delete 1, exception.add 2, exception.add 1" {
			t.Errorf("the trail says %s", got)
		}
		if status, body := w.do("POST", "/exceptions", map[string]any{"conditions": leaf("a", "equal", "b"), "reason": "x", "dry_run": true}); status != http.StatusBadRequest {
			t.Errorf("%d %s", status, body)
		}
	})
}
