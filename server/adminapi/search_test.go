package adminapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/results"
)

// logged adds rows of a host and query, in order, each in a line of its own.
func (w *world) logged(host int64, name, action string, columns ...string) {
	w.t.Helper()
	for _, text := range columns {
		w.lines++
		_, err := w.deps.Results.Append(w.t.Context(), []results.Line{{
			Key:     results.LineKey(host, w.lines, []byte(text), 0),
			Entries: []results.Entry{{HostID: host, Name: name, Action: action, Columns: []byte(text), UnixTime: 1772366400 + w.lines}},
		}})
		w.ok(err)
	}
}

// searched is a log that searches have something to find in.
func (w *world) searched() {
	w.logged(1, "processes", "added", `{"name":"EC2 agent","pid":"42","path":"/usr/bin/agent","note":"50% of_it","time":"1592672947"}`,
		`{"name":"pc","pid":"7","path":"/usr/bin/pc","note":""}`, `{"name":"sshd","pid":1000,"path":"/usr/sbin/sshd"}`)
	w.clock.pass(time.Hour)
	w.logged(1, "processes", "removed", `{"name":"PC","pid":"8","path":"/usr/bin/pc"}`)
	w.logged(2, "win_file_events", "added", `{"name":"=cmd|calc","target_path":"C:\\x.exe","md5":"d41d8cd98f00b204e9800998ecf8427e"}`,
		`{"name":"nul \u0000 ec2","extra":{"a":[1]}}`)
	w.clock.pass(time.Hour)
}

func rules(condition string, rules ...map[string]any) map[string]any {
	return map[string]any{"condition": condition, "rules": append([]map[string]any{}, rules...), "valid": true}
}

func rule(field, operator string, value any) map[string]any {
	return map[string]any{"id": field, "field": field, "type": "string", "input": "text", "operator": operator, "value": value}
}

// documented are the conditions of the document's own examples.
var documentedConditions = rules("OR", rule("name", "contains", "EC2"), rule("name", "equal", "pc"))

func TestSearch(t *testing.T) {
	each(t, func(w *world) {
		w.searched()
		documented := map[string]any{"conditions": documentedConditions}
		w.expect("search", "POST", "/search", documented)
		raw, err := json.Marshal(documentedConditions)
		w.ok(err)
		w.expect("search", "POST", "/search", map[string]any{"conditions": string(raw)})
		w.expect("search", "POST", "/search?conditions="+url.QueryEscape(string(raw)), nil)
		ofHost := map[string]any{"conditions": documentedConditions, "host_identifier": "11111111-AAAA-4AAA-8AAA-111111111111", "query_name": "processes"}
		w.expect("search_host", "POST", "/search?start=0&limit=0", ofHost)
		w.expect("search_host_page", "POST", "/search?start=1&limit=1", ofHost)
		w.expect("search_host_none", "POST", "/search", map[string]any{"conditions": documentedConditions, "node_id": "2", "query_name": "processes"})
		w.expect("search_none", "POST", "/search", map[string]any{"conditions": rules("and", rule("name", "equal", "%"))})
		w.expect("search_range", "POST", "/search?from=2026-03-01T13:00:00Z&to=2026-03-02", documented)
		w.expect("search_before", "POST", "/search?to=2026-03-01", documented)
		w.expect("search_missing", "POST", "/search", map[string]any{"conditions": nil})
		w.expect("search_no_query", "POST", "/search", map[string]any{"conditions": documentedConditions, "host_identifier": "11111111-AAAA-4AAA-8AAA-111111111111"})
		w.expect("search_no_host", "POST", "/search", map[string]any{"conditions": documentedConditions, "host_identifier": "nobody", "query_name": "x"})
		w.expect("search_no_rules", "POST", "/search", map[string]any{"conditions": rules("AND")})
		w.expect("search_operator", "POST", "/search", map[string]any{"conditions": rules("AND", rule("name", "like", "x"))})
		w.expect("search_times_wrong", "POST", "/search?from=yesterday&to=2026-13-01", documented)
		w.expect("search_date_wrong", "POST", "/search?date=03/01/2026", documented)
	})
}

func TestSearchOfEveryOperator(t *testing.T) {
	each(t, func(w *world) {
		w.searched()
		for _, test := range []struct {
			rule map[string]any
			want int // rows that match
		}{
			{rule("name", "equal", "PC"), 2}, {rule("name", "not_equal", "pc"), 4},
			{rule("name", "in", []string{"pc", "sshd"}), 3}, {rule("name", "not_in", []string{"pc", "sshd"}), 3},
			{rule("note", "contains", "0% OF_"), 1}, {rule("note", "not_contains", "%"), 5},
			{rule("path", "begins_with", "/USR/bin"), 3}, {rule("path", "not_begins_with", "/usr/bin"), 3},
			{rule("path", "ends_with", "D"), 1}, {rule("path", "not_ends_with", "pc"), 4},
			{rule("note", "is_empty", ""), 5}, {rule("note", "is_not_empty", ""), 1},
			{rule("pid", "less", 42), 2}, {rule("pid", "less_or_equal", "42"), 3},
			{rule("pid", "greater", 42), 1}, {rule("pid", "greater_or_equal", 42.0), 2},
			{rule("pid", "between", []int{8, 42}), 2}, {rule("pid", "not_between", []int{8, 42}), 4},
			{rule("note", "is_null", nil), 4}, {rule("note", "is_not_null", nil), 2},
			{rule("name", "matches_regex", "[Ee]C2.*"), 1}, {rule("name", "matches_wildcard", "*C*"), 5},
			{rule("column", "column_equal", []string{"name", "pc"}), 2}, {rule("column", "is_not_empty", "md5"), 1},
			{rule("query_name", "equal", "win_file_events"), 2}, {rule("time", "less_or_equal", 1592672947), 1},
		} {
			status, body := w.do("POST", "/search", map[string]any{"conditions": rules("AND", test.rule)})
			var got struct {
				Data []huntGroup `json:"data"`
			}
			err := json.Unmarshal(body, &got)
			n := 0
			for _, group := range got.Data {
				for _, query := range group.Queries {
					n += query.Count
				}
			}
			if err != nil || status != http.StatusOK || n != test.want {
				t.Errorf("%v: %d rows, want %d: %d %s", test.rule, n, test.want, status, body)
			}
		}
	})
}

func TestSearchActivity(t *testing.T) {
	each(t, func(w *world) {
		w.searched()
		documented := map[string]any{"conditions": documentedConditions}
		w.expect("activity_found", "POST", "/activity/search", documented)
		w.expect("activity_found_page", "POST", "/activity/search?start=1&limit=1&date=2026-3-1&duration=2&type=1", documented)
		w.expect("activity_found_none", "POST", "/activity/search?date=2026-02-28", documented)
		w.expect("activity_found_host", "POST", "/activity/search?node_id=2", documented)
		if status, body := w.do("PUT", "/hosts/2/delete", nil); status != http.StatusOK {
			t.Fatalf("%s", body)
		}
		w.expect("activity_found_enabled", "POST", "/activity/search", documented)
		w.expect("search_enabled", "POST", "/search", documented)
	})
}

func (w *world) file(path string, body any) (name, content string) {
	w.t.Helper()
	response := w.send("POST", path, body, w.token)
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/csv") {
		w.t.Fatalf("%s: %d %s %v", path, response.StatusCode, raw, err)
	}
	return response.Header.Get("Content-Disposition"), string(raw)
}

func TestExports(t *testing.T) {
	each(t, func(w *world) {
		w.searched()
		desk := map[string]any{"host_identifier": "22222222-BBBB-4BBB-8BBB-222222222222", "query_name": "win_file_events"}
		name, got := w.file("/schedule_query/export", desk)
		want := "name,extra,target_path,md5\n" + "nul \x00 ec2,\"{\"\"a\"\":[1]}\",,\n" +
			"'=cmd|calc,,C:\\x.exe,d41d8cd98f00b204e9800998ecf8427e\n"
		if diff := cmp.Diff(want, got); diff != "" || name != "attachment; filename=query_results.csv" {
			t.Error(name, diff)
		}
		web := map[string]any{"node_id": 1, "query_name": "processes", "conditions": documentedConditions}
		name, got = w.file("/hosts/search/export", web)
		want = "name,pid,path,note,time\nPC,8,/usr/bin/pc,,\npc,7,/usr/bin/pc,,\nEC2 agent,42,/usr/bin/agent,50% of_it,1592672947\n"
		if diff := cmp.Diff(want, got); diff != "" || name != "attachment; filename=processes_1_2026-03-01T14-11-00.csv" {
			t.Error(name, diff)
		}
		if _, got = w.file("/hosts/search/export", map[string]any{"node_id": 1, "query_name": "processes"}); strings.Count(got, "\n") != 5 {
			t.Errorf("without conditions: %s", got)
		}
		if _, got = w.file("/schedule_query/export", map[string]any{"host_identifier": "1", "query_name": "processes"}); strings.Count(got, "\n") != 4 {
			t.Errorf("without removed rows: %s", got)
		}
		w.expect("export_host_unknown", "POST", "/schedule_query/export", map[string]any{"host_identifier": "nobody", "query_name": "x"})
		w.expect("export_empty", "POST", "/schedule_query/export", map[string]any{"host_identifier": "1", "query_name": "x"})
		w.expect("export_missing", "POST", "/schedule_query/export", nil)
		w.expect("export_search_host_unknown", "POST", "/hosts/search/export", map[string]any{"host_identifier": "nobody", "query_name": "x"})
		w.expect("export_search_host_missing", "POST", "/hosts/search/export", map[string]any{"query_name": "x"})
		w.expect("export_search_empty", "POST", "/hosts/search/export", map[string]any{"node_id": 1, "query_name": "x"})
		w.expect("export_search_no_match", "POST", "/hosts/search/export", map[string]any{"node_id": 1, "query_name": "processes", "conditions": rules("AND", rule("name", "equal", "zzz"))})
		w.expect("export_search_wrong", "POST", "/hosts/search/export", map[string]any{"node_id": 1, "query_name": "processes", "conditions": rules("AND")})
	})
}

func TestDeleteResults(t *testing.T) {
	each(t, func(w *world) {
		w.searched()
		w.clock.pass(47*time.Hour - time.Minute) // what came in the first hour is more than two days old
		w.token = w.login(adminPassword)
		w.expect("results_delete_missing", "POST", "/queryresult/delete", nil)
		w.expect("results_delete_zero", "POST", "/queryresult/delete", map[string]any{"days_of_data": 0})
		w.expect("results_delete_negative", "POST", "/queryresult/delete", map[string]any{"days_of_data": "-2"})
		w.expect("results_delete", "POST", "/queryresult/delete", map[string]any{"days_of_data": 2})
		w.expect("results_delete_left", "POST", "/hosts/recent_activity/count", map[string]any{"node_id": 1})
		if last := w.audit()[0]; last.Action != "results.delete" || fmt.Sprint(last.Detail["days_of_data"]) != "2" {
			t.Errorf("%+v", last)
		}
	})
}

func TestWindow(t *testing.T) {
	now := time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name     string
		args     windowArgs
		today    time.Time
		from, to string
	}{
		{"nothing is no bound", windowArgs{Duration: 3, Type: 2}, noDate, "", ""},
		{"nothing is the week up to today", windowArgs{Duration: 3, Type: 2}, now, "2026-02-23T00", "2026-03-02T00"},
		{"a day that ends with the date", windowArgs{Duration: 2, Type: 2, Date: "2026-8-5"}, noDate, "2026-08-05T00", "2026-08-06T00"},
		{"its last hour", windowArgs{Duration: 1, Type: 2, Date: "2026-08-05"}, noDate, "2026-08-05T23", "2026-08-06T00"},
		{"a week from the date", windowArgs{Duration: 3, Type: 1, Date: "2026-08-05"}, now, "2026-08-05T00", "2026-08-12T00"},
		{"thirty days up to the date", windowArgs{Duration: 4, Type: 2, Date: "2026-08-31"}, noDate, "2026-08-02T00", "2026-09-01T00"},
		{"from wins", windowArgs{Duration: 3, Type: 2, Date: "2026-08-05", From: "2026-01-01T05:00:00+02:00"}, now, "2026-01-01T03", ""},
	} {
		from, to, err := test.args.window(test.today)
		show := func(at time.Time) string {
			if at.IsZero() {
				return ""
			}
			return at.Format("2006-01-02T15")
		}
		if err != nil || show(from) != test.from || show(to) != test.to {
			t.Errorf("%s: from %v to %v, %v", test.name, from, to, err)
		}
	}
}
