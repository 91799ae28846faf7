package adminapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// onlyMine deletes the packs that ship with the server, and their queries with them.
func (w *world) onlyMine() {
	w.t.Helper()
	for _, name := range []string{"health", "inventory", "security"} {
		_, err := w.deps.Schedule.DeletePack(w.t.Context(), name)
		w.ok(err)
	}
}

// added calls what answers with an id beside the envelope, and lets golden files
// say what instead of the id.
func (w *world) added(golden, path, key, what string, body any) int64 {
	w.t.Helper()
	status, content := w.do("POST", path, body)
	var got map[string]json.RawMessage
	var id int64
	if status != http.StatusOK || json.Unmarshal(content, &got) != nil || json.Unmarshal(got[key], &id) != nil {
		w.t.Fatalf("%s: %d %s", path, status, content)
	}
	w.scrub = append(w.scrub, fmt.Sprintf(`"id":%d,`, id), `"id":"`+what+`",`, fmt.Sprintf(`"%s":%d`, key, id), `"`+key+`":"`+what+`"`)
	w.golden(golden, status, content)
	return id
}

// scrubQuery lets golden files say what instead of the id of a query.
func (w *world) scrubQuery(name, what string) {
	w.t.Helper()
	q, err := w.deps.Schedule.FindQuery(w.t.Context(), name)
	w.ok(err)
	w.scrub = append(w.scrub, fmt.Sprintf(`"id":%d,`, q.ID), `"id":"`+what+`",`)
}

// documented is the example of the API's document, "Add a query".
func documented() map[string]any {
	return map[string]any{
		"name": "running_process_query", "query": "select * from processes;", "interval": 5, "platform": "windows", "version": "2.9.0",
		"snapshot": "true", "description": "Processes", "value": "Processes", "tags": "finance,sales",
	}
}

func TestQueries(t *testing.T) {
	each(t, func(w *world) {
		w.onlyMine()
		w.expect("queries_none", "POST", "/queries", nil)
		id := w.added("queries_add", "/queries/add", "query_id", "QUERY", documented())
		w.expect("queries_add_again", "POST", "/queries/add", documented())
		other := documented()
		other["name"], other["query"], other["interval"], other["snapshot"], other["tags"] = "users / all", "select uid from users", "3600", false, nil
		w.added("queries_add", "/queries/add", "query_id", "QUERY", other)
		w.expect("queries", "POST", "/queries", map[string]any{"start": 0, "limit": 1, "searchterm": ""})
		w.expect("queries_search", "POST", "/queries?searchterm=USERS", nil)
		w.expect("queries_search_interval", "POST", "/queries?searchterm=3600", nil)
		w.expect("queries_search_none", "POST", "/queries?searchterm=%25", nil)
		w.expect("queries_packed_none", "POST", "/queries/packed", map[string]any{"start": 0, "limit": 1, "searchterm": ""})
		w.expect("queries_view", "GET", fmt.Sprintf("/queries/%d", id), nil)
		w.expect("queries_view", "GET", "/queries/running_process_query", nil)
		w.expect("queries_view_unknown", "GET", "/queries/999999", nil)

		edit := map[string]any{"name": "processes", "query": "select pid from processes", "interval": "60", "platform": "all"}
		w.expect("queries_edit", "POST", fmt.Sprintf("/queries/%d", id), edit)
		w.expect("queries_edit_unknown", "POST", "/queries/999999", edit)
		edit["name"] = "users / all"
		w.expect("queries_edit_taken", "POST", fmt.Sprintf("/queries/%d", id), edit)
		edit["name"], edit["tags"], edit["version"], edit["value"] = "processes", "", "", "new"
		w.expect("queries_edit_cleared", "POST", fmt.Sprintf("/queries/%d", id), edit)

		w.expect("queries_delete", "DELETE", "/queries/users%20%2F%20all/delete", nil)
		w.expect("queries_delete_again", "DELETE", "/queries/users%20%2F%20all/delete", nil)
		w.expect("queries_delete", "DELETE", fmt.Sprintf("/queries/%d/delete", id), nil)
		w.expect("queries_none", "POST", "/queries", nil)
		w.actions("query.add", "query.add", "query.edit", "query.edit", "query.delete", "query.delete")
	})
}

// actions checks the newest entries of the audit trail, oldest first.
func (w *world) actions(want ...string) {
	w.t.Helper()
	var got []string
	for _, e := range slices.Backward(w.audit()) {
		if strings.HasPrefix(e.Action, "query.") || strings.HasPrefix(e.Action, "pack.") {
			got = append(got, e.Action)
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		w.t.Errorf("the audit trail has %v, not %v", got, want)
	}
}

func TestQueriesThatAreRefused(t *testing.T) {
	each(t, func(w *world) {
		w.onlyMine()
		w.expect("queries_missing", "POST", "/queries/add", map[string]any{"snapshot": "maybe", "shard": 101})
		for name, change := range map[string]map[string]any{
			"queries_bad_sql":      {"query": "select * form processes"},
			"queries_bad_table":    {"query": "select * from proceses"},
			"queries_two":          {"query": "select 1; select 2"},
			"queries_write":        {"query": "delete from processes"},
			"queries_bad_interval": {"interval": 0},
			"queries_long":         {"interval": 604801},
			"queries_bad_platform": {"platform": "beos"},
			"queries_bad_version":  {"version": "new"},
			"queries_reserved":     {"name": "boot_epoch"},
			"queries_bad_tag":      {"tags": []string{"a,b"}},
		} {
			body := documented()
			for key, value := range change {
				body[key] = value
			}
			w.expect(name, "POST", "/queries/add", body)
		}
		w.expect("queries_none", "POST", "/queries", nil)
	})
}

func TestTagsOfQueries(t *testing.T) {
	each(t, func(w *world) {
		id := w.added("queries_add", "/queries/add", "query_id", "QUERY", documented())
		path := fmt.Sprintf("/queries/%d/tags", id)
		w.expect("queries_tags", "GET", path, nil)
		w.expect("queries_tag_add", "POST", path, map[string]any{"tag": " legal "})
		w.expect("queries_tag_add", "POST", path, map[string]any{"tag": "legal"})
		w.expect("queries_tag_blank", "POST", path, map[string]any{"tag": " "})
		w.expect("queries_tag_missing", "POST", path, nil)
		w.expect("queries_tag_remove", "DELETE", path, map[string]any{"tag": "finance"})
		w.expect("queries_tag_not_there", "DELETE", path, map[string]any{"tag": "finance"})
		w.expect("queries_tag_unknown", "DELETE", path, map[string]any{"tag": "nobody has it"})
		w.expect("queries_tags_then", "GET", "/queries/running_process_query/tags", nil)
		w.expect("queries_tags_wrong", "GET", "/queries/999999/tags", nil)
		w.expect("queries_tag_add_wrong", "POST", "/queries/999999/tags", map[string]any{"tag": "x"})
		w.expect("queries_tag_remove_wrong", "DELETE", "/queries/999999/tags", map[string]any{"tag": "x"})
	})
}

func TestDryRunsOfQueriesAndPacks(t *testing.T) {
	each(t, func(w *world) {
		body := documented()
		body["platform"], body["tags"], body["dry_run"] = "linux", "lab", true
		w.expect("queries_add_dry", "POST", "/queries/add", body)
		w.expect("packs_delete_dry", "DELETE", "/packs/health/delete?dry_run=true", nil)
		w.expect("packs_tag_dry", "POST", "/packs/health/tags", map[string]any{"tag": "lab", "dry_run": "true"})
		if _, err := w.deps.Schedule.FindQuery(t.Context(), "running_process_query"); err == nil {
			t.Error("a dry run leaves a query")
		}
		if p, err := w.deps.Schedule.FindPack(t.Context(), "health"); err != nil || len(p.Tags) != 1 {
			t.Errorf("a dry run leaves %v %v", p.Tags, err)
		}
		w.actions()
	})
}
