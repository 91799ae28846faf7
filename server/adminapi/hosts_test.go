package adminapi

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"muster/server/accounts"
	"muster/server/carves"
	"muster/server/results"
)

func (w *world) audit() []accounts.AuditEntry {
	w.t.Helper()
	entries, _, _, err := w.deps.Accounts.ListAudit(w.t.Context(), accounts.AuditFilter{})
	w.ok(err)
	return entries
}

func TestHosts(t *testing.T) {
	each(t, func(w *world) {
		w.expect("hosts", "POST", "/hosts", nil)
		w.expect("hosts", "POST", "/hosts", map[string]any{})
		w.expect("hosts_online", "POST", "/hosts?status=true", nil)
		w.expect("hosts_page", "POST", "/hosts", map[string]any{"start": "1", "limit": "1"})
		w.expect("hosts_search", "POST", "/hosts", map[string]any{"searchterm": "WEB", "platform": "linux", "enabled": "true"})
		w.expect("hosts_none", "POST", "/hosts", map[string]any{"searchterm": "%"})
		w.expect("hosts_count", "GET", "/hosts/count", nil)
		w.expect("host", "GET", "/hosts/1", nil)
		w.expect("host", "GET", "/hosts/11111111-AAAA-4AAA-8AAA-111111111111", nil)
		w.expect("host_unknown", "GET", "/hosts/nobody", nil)
		response := w.send("GET", "/hosts/export", nil, w.token)
		defer func() { _ = response.Body.Close() }()
		body, _ := io.ReadAll(response.Body)
		want := "Host_Identifier,os,last_ip,tags,id,health,platform\n" +
			"web-1,Ubuntu,192.0.2.10,lab,1,true,linux\ndesk-2,Microsoft Windows 11,192.0.2.10,lab,2,false,windows\n"
		if string(body) != want || !strings.Contains(response.Header.Get("Content-Disposition"), "nodes.csv") {
			t.Errorf("%s %v", body, response.Header)
		}
	})
}

func TestHostTags(t *testing.T) {
	each(t, func(w *world) {
		w.expect("tag_add", "POST", "/hosts/1/tags", map[string]any{"tag": " blue "})
		w.expect("tag_add", "POST", "/hosts/1/tags?tag=blue", nil)
		w.expect("tags", "GET", "/hosts/11111111-AAAA-4AAA-8AAA-111111111111/tags", nil)
		w.expect("tag_remove", "DELETE", "/hosts/1/tags", map[string]any{"tag": "blue"})
		w.expect("tag_remove_again", "DELETE", "/hosts/1/tags", map[string]any{"tag": "blue"})
		w.expect("tag_unknown", "DELETE", "/hosts/1/tags?tag=green", nil)
		w.expect("tag_blank", "POST", "/hosts/1/tags", map[string]any{"tag": "  "})
		w.expect("tag_missing", "POST", "/hosts/1/tags", nil)
		w.expect("tag_no_host", "GET", "/hosts/77/tags", nil)
	})
}

func TestHostState(t *testing.T) {
	each(t, func(w *world) {
		w.expect("host_enable_active", "PUT", "/hosts/2/enable", nil)
		w.expect("host_remove", "PUT", "/hosts/2/delete", nil)
		w.expect("hosts_removed", "POST", "/hosts", map[string]any{"enabled": false})
		w.expect("host_enable", "PUT", "/hosts/2/enable", nil)
		w.expect("host_delete", "DELETE", "/hosts/22222222-BBBB-4BBB-8BBB-222222222222/delete", nil)
		w.expect("host_delete_again", "DELETE", "/hosts/2/delete", nil)
		w.expect("host_delete", "DELETE", "/hosts/2/delete?reenroll=yes", nil) // may enrol anew after all
		w.expect("host_deleted", "GET", "/hosts/2", nil)
	})
}

func TestHostConfig(t *testing.T) {
	each(t, func(w *world) {
		w.expect("config_neither", "POST", "/hosts/config", nil)
		w.expect("config_unknown", "POST", "/hosts/config", map[string]any{"node_id": "99"})
		if status, _ := w.do("POST", "/hosts/1/tags", map[string]any{"tag": "inventory"}); status != 200 {
			t.Fatal(status)
		}
		// What ships changes over time: the shape is what this door answers for.
		status, body := w.do("POST", "/hosts/config", map[string]any{"host_identifier": "11111111-AAAA-4AAA-8AAA-111111111111", "node_id": 2})
		var got struct {
			Message string
			Data    map[string]json.RawMessage
		}
		if err := json.Unmarshal(body, &got); err != nil || status != 200 || got.Message != configFetched {
			t.Fatalf("%d %s", status, body)
		}
		var queries map[string]map[string]any
		var packs []map[string]any
		if json.Unmarshal(got.Data["queries"], &queries) != nil || json.Unmarshal(got.Data["packs"], &packs) != nil || len(packs) == 0 {
			t.Fatalf("%s", body)
		}
		for _, part := range []string{"options", "file_paths", "filters"} {
			if raw := string(got.Data[part]); !strings.HasPrefix(raw, "{") {
				t.Errorf("%s is %s", part, raw)
			}
		}
		fields := []string{"id", "interval", "platform", "version", "description", "value", "removed", "snapshot", "shard"}
		for name, q := range queries {
			for _, field := range append([]string{"query", "status"}, fields...) {
				if _, found := q[field]; !found {
					t.Errorf("the query %s lacks %s", name, field)
				}
			}
		}
		for _, field := range []string{"id", "name", "platform", "version", "description", "shard", "category", "tags", "queries"} {
			if _, found := packs[0][field]; !found {
				t.Errorf("the pack lacks %s", field)
			}
		}
	})
}

func TestHostLogs(t *testing.T) {
	each(t, func(w *world) {
		entry := func(action, columns string, at int64) results.Entry {
			return results.Entry{HostID: 1, Name: "certificates", Action: action, Columns: []byte(columns), UnixTime: at}
		}
		line := func(n int64, l results.Line) results.Line {
			l.Key = results.LineKey(1, n, []byte("line"), 0)
			return l
		}
		_, err := w.deps.Results.Append(t.Context(), []results.Line{
			line(1, results.Line{Entries: []results.Entry{entry("added", `{"path":"A 100%","issuer":"x"}`, 1772366400)}}),
			line(2, results.Line{Entries: []results.Entry{entry("removed", `{"path":"gone"}`, 1772366400)}}),
			line(3, results.Line{Entries: []results.Entry{entry("added", `{"path":"B","issuer":"y"}`, 1772366415)}}),
			line(4, results.Line{Status: &results.Status{HostID: 1, Severity: 1, Filename: "virtual_table.cpp", Line: 922, Message: "a warning", Version: "5.23.1", UnixTime: 1772366400}}),
		})
		w.ok(err)
		host := map[string]any{"host_identifier": "11111111-AAAA-4AAA-8AAA-111111111111", "node_id": 2, "query_name": "certificates"}
		w.expect("activity", "POST", "/hosts/recent_activity", host)
		w.expect("activity_search", "POST", "/hosts/recent_activity?searchterm=%25&start=0&limit=1", host)
		w.expect("activity_none", "POST", "/hosts/recent_activity", map[string]any{"node_id": 1, "query_name": "nothing"})
		w.expect("activity_missing", "POST", "/hosts/recent_activity", map[string]any{"node_id": 1})
		w.expect("activity_neither", "POST", "/hosts/recent_activity", map[string]any{"query_name": "x"})
		w.expect("activity_unknown", "POST", "/hosts/recent_activity", map[string]any{"query_name": "x", "node_id": 99})
		w.expect("activity_count", "POST", "/hosts/recent_activity/count", map[string]any{"node_id": "1"})
		w.expect("status_logs", "POST", "/hosts/status_logs", map[string]any{"node_id": 1})
		w.expect("status_logs_search", "POST", "/hosts/status_logs", map[string]any{"node_id": 1, "searchterm": "nothing like it"})
		w.expect("status_logs_neither", "POST", "/hosts/status_logs", nil)
		w.expect("status_logs_unknown", "POST", "/hosts/status_logs", map[string]any{"host_identifier": "nobody"})
	})
}

func TestCarves(t *testing.T) {
	each(t, func(w *world) {
		ctx := t.Context()
		content := []byte("not a tar, and kept as it came")
		start := carves.Start{GUID: "3ecdb82c-5d6f-4c0f-b532-bdcb2588894d", RequestID: "r1", Size: int64(len(content)), BlockSize: 300000, BlockCount: 1}
		session, err := w.deps.Carves.Start(ctx, 1, start)
		w.ok(err)
		start.GUID = "4ecdb82c-5d6f-4c0f-b532-bdcb2588894d"
		open, err := w.deps.Carves.Start(ctx, 2, start)
		w.ok(err)
		w.ok(w.deps.Carves.Block(ctx, carves.Block{SessionID: session, RequestID: "r1", Data: content, HostID: 1}))
		w.scrub = append(w.scrub, session, "SESSION-1", open, "SESSION-2")

		w.expect("carves", "POST", "/carves", nil)
		w.expect("carves_host", "POST", "/carves", map[string]any{"host_identifier": "22222222-BBBB-4BBB-8BBB-222222222222", "start": 0, "limit": 10})
		w.expect("carves_host_unknown", "POST", "/carves", map[string]any{"host_identifier": "nobody"})

		request, err := http.NewRequestWithContext(ctx, "GET", w.url("/carves/download/"+session), nil)
		w.ok(err)
		request.Header.Set("x-access-token", w.token)
		request.Header.Set("Range", "bytes=4-8")
		response, err := w.server.Client().Do(request)
		w.ok(err)
		part, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusPartialContent || string(part) != string(content[4:9]) {
			t.Errorf("a range: %d %q", response.StatusCode, part)
		}
		if status, whole := w.do("GET", "/carves/download/"+session, nil); status != 200 || string(whole) != string(content) {
			t.Errorf("the file: %d %q", status, whole)
		}
		w.expect("carve_incomplete", "GET", "/carves/download/"+open, nil)
		w.expect("carve_unknown", "GET", "/carves/download/nothing", nil)
		w.expect("carve_delete", "POST", "/carves/delete", map[string]any{"session_id": " " + session})
		w.expect("carve_delete_again", "POST", "/carves/delete", map[string]any{"session_id": session})
		actions := []string{}
		for _, e := range w.audit() {
			actions = append(actions, e.Action)
		}
		if !slices.Contains(actions, "carve.delete") || !slices.Contains(actions, "carve.download") {
			t.Errorf("audit: %v", actions)
		}
	})
}
