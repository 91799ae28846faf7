package adminapi

import (
	"encoding/json"
	"net/http"
	"testing"
)

func TestAudit(t *testing.T) {
	each(t, func(w *world) {
		w.do("POST", "/hosts/1/tags", map[string]any{"tag": "blue"})
		w.do("PUT", "/hosts/1/delete", nil)
		w.do("PUT", "/hosts/1/enable", nil)
		w.expect("audit", "GET", "/audit", map[string]any{"limit": 4})
		w.expect("audit_page", "POST", "/audit", map[string]any{"action": "host.", "subject": "11111111-AAAA-4AAA-8AAA-111111111111", "start": "1", "limit": "1"})
		w.expect("audit_page", "GET", "/audit?action=host.&username=admin&from=2026-03-01&to=2026-03-01T13:00:00%2B00:00&start=1&limit=1", nil)
		w.expect("audit_none", "GET", "/audit?from=2026-03-02&username=nobody", nil)
		w.expect("audit_wrong", "GET", "/audit?from=yesterday&to=1.3.2026", nil)
		if response := w.send("GET", "/audit", nil, ""); response.StatusCode != http.StatusUnauthorized {
			t.Errorf("without a token: %d", response.StatusCode)
		}
	})
}

// Every change of a thing that was there before tells what it was.
func TestAuditTellsBeforeAndAfter(t *testing.T) {
	each(t, func(w *world) {
		for _, call := range []struct {
			method, path string
			body         any
		}{
			{"POST", "/tags/add", map[string]any{"tag": "blue"}},
			{"POST", "/hosts/1/tags", map[string]any{"tag": " blue "}},
			{"DELETE", "/hosts/2/tags", map[string]any{"tag": "lab"}},
			{"POST", "/tags/rename", map[string]any{"tag": "blue", "new_tag": "green"}},
			{"POST", "/tags/delete", map[string]any{"tag": "green"}},
			{"POST", "/queries/add", map[string]any{"name": "q", "query": "select 1", "interval": 60, "tags": "a"}},
			{"POST", "/queries/q/tags", map[string]any{"tag": "b"}},
			{"DELETE", "/queries/q/tags", map[string]any{"tag": "a"}},
			{"POST", "/packs/add", map[string]any{"name": "p", "queries": map[string]any{"q": map[string]any{"query": "select 1"}}}},
			{"POST", "/packs/p/tags", map[string]any{"tag": "b"}},
			{"DELETE", "/packs/p/tags", map[string]any{"tag": "b"}},
			{"POST", "/yara/eicar.yara/tags", map[string]any{"tag": "b"}},
			{"DELETE", "/yara/eicar.yara/tags", map[string]any{"tag": "b"}},
			{"PUT", "/hosts/1/delete", nil},
			{"PUT", "/hosts/1/enable", nil},
			{"POST", "/distributed/add", map[string]any{"query": "select 1"}},
			{"POST", "/live/1/cancel", nil},
			{"DELETE", "/hosts/1/delete", nil},
		} {
			if status, body := w.do(call.method, call.path, call.body); status != http.StatusOK {
				t.Fatalf("%s %s: %d %s", call.method, call.path, status, body)
			}
		}
		details := map[string]string{}
		for _, e := range w.audit() {
			delete(e.Detail, "query_id") // it depends on what ships with the server
			text, err := json.Marshal(e.Detail)
			w.ok(err)
			details[e.Action] = string(text)
		}
		for action, want := range map[string]string{
			"tag.add":          `{}`,
			"host.tag.add":     `{"after":["blue","lab"],"before":["lab"],"tag":"blue"}`,
			"host.tag.remove":  `{"after":[],"before":["lab"],"tag":"lab"}`,
			"query.tag.add":    `{"after":["a","b"],"before":["a"],"tag":"b"}`,
			"query.tag.remove": `{"after":["b"],"before":["a","b"],"tag":"a"}`,
			"pack.tag.add":     `{"after":["b"],"before":[],"tag":"b"}`,
			"pack.tag.remove":  `{"after":[],"before":["b"],"tag":"b"}`,
			"yara.tag.add":     `{"after":["b"],"before":[],"tag":"b"}`,
			"yara.tag.remove":  `{"after":[],"before":["b"],"tag":"b"}`,
			"tag.rename":       `{"after":"green","before":"blue"}`,
			"tag.delete":       `{"before":{"nodes":1,"packs":[],"queries":[],"yara":[]}}`,
			"host.remove":      `{"after":"removed","before":"active"}`,
			"host.enable":      `{"after":"active","before":"removed"}`,
			"live.cancel":      `{"after":{"open_targets":0},"before":{"open_targets":2}}`,
			"host.delete":      `{"after":"deleted","before":"active","node_id":1,"reenroll":false}`,
		} {
			if details[action] != want {
				t.Errorf("%s: %s, want %s", action, details[action], want)
			}
		}
	})
}

func TestArgStretch(t *testing.T) {
	for _, text := range []string{"2026-03-01T12:30:00Z", "2026-03-01T13:30:00+01:00", "2026-03-01T12:30:00.000000", " 2026-03-01 12:30:00 "} {
		from, to, err := argStretch(text, "")
		if err != nil || !to.IsZero() || from.Format(isoFormat) != "2026-03-01T12:30:00.000000" {
			t.Errorf("%s: %v %v", text, from, err)
		}
	}
	for _, text := range []string{"x", "2026-13-01", "12345", "99999-01-01", "0000-01-01"} {
		if _, _, err := argStretch("", text); err == nil {
			t.Errorf("%s is a time", text)
		}
	}
}

func TestDashboard(t *testing.T) {
	each(t, func(w *world) {
		w.expect("dashboard", "GET", "/dashboard", nil)
		w.enroll("33333333-CCCC-4CCC-8CCC-333333333333", "ubuntu", map[string]string{"hostname": "web-3"})
		w.ok(w.deps.Hosts.Remove(t.Context(), 2))
		w.expect("dashboard_changed", "GET", "/dashboard", nil)
		w.ok(w.deps.Hosts.Remove(t.Context(), 1))
		w.ok(w.deps.Hosts.Remove(t.Context(), 3))
		w.expect("dashboard_empty", "GET", "/dashboard", nil)
	})
}
