package adminapi

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
)

// documentedPack is the example of the API's document, "Add a pack".
func documentedPack() map[string]any {
	return map[string]any{
		"name": "process_query_pack",
		"queries": map[string]any{"win_file_events": map[string]any{
			"query": "select * from processes;", "interval": 5, "platform": "windows", "version": "2.9.0", "description": "Processes", "value": "Processes",
		}},
		"tags": "finance, sales", "category": "General",
	}
}

func TestPacks(t *testing.T) {
	each(t, func(w *world) {
		w.onlyMine()
		w.expect("packs_none", "POST", "/packs", nil)
		id := w.added("packs_add", "/packs/add", "pack_id", "PACK", documentedPack())
		w.scrubQuery("win_file_events", "FIRST")
		w.expect("packs", "POST", "/packs", map[string]any{"start": 0, "limit": 1, "searchterm": ""})
		w.expect("packs_view", "GET", fmt.Sprintf("/packs/%d", id), nil)
		w.expect("packs_view", "GET", "/packs/process_query_pack", nil)
		w.expect("packs_view_unknown", "GET", "/packs/999999", nil)
		w.expect("queries_packed", "POST", "/queries/packed", map[string]any{"start": 0, "limit": 1, "searchterm": ""})

		more := map[string]any{
			"name": "process_query_pack", "description": "more", "platform": "windows", "shard": "50",
			"queries": map[string]any{"gone": map[string]any{"query": "select * from opera_extensions", "author": "me", "startup_priority": 3, "denylist": false}},
		}
		w.added("packs_add_more", "/packs/add", "pack_id", "PACK", more)
		w.scrubQuery("gone", "SECOND")
		w.expect("packs_merged", "GET", fmt.Sprintf("/packs/%d", id), nil)
		w.expect("packs_search", "POST", "/packs?searchterm=GENERAL", nil)
		w.expect("packs_search_none", "POST", "/packs?searchterm=%25", nil)

		path := fmt.Sprintf("/packs/%d/tags", id)
		w.expect("packs_tags", "GET", path, nil)
		w.expect("packs_tag_add", "POST", path, map[string]any{"tag": "legal"})
		w.expect("packs_tag_blank", "POST", path, map[string]any{"tag": " "})
		w.expect("packs_tag_remove", "DELETE", "/packs/process_query_pack/tags", map[string]any{"tag": "finance"})
		w.expect("packs_tag_not_there", "DELETE", path, map[string]any{"tag": "finance"})
		w.expect("packs_tag_unknown", "DELETE", path, map[string]any{"tag": "nobody has it"})
		w.expect("packs_tags_then", "GET", path, nil)
		w.expect("packs_tags_wrong", "GET", "/packs/nothing/tags", nil)

		w.expect("packs_delete", "DELETE", "/packs/process_query_pack/delete", nil)
		w.expect("packs_delete_again", "DELETE", fmt.Sprintf("/packs/%d/delete", id), nil)
		w.expect("queries_none", "POST", "/queries", nil)
		w.actions("pack.add", "pack.add", "pack.tag.add", "pack.tag.remove", "pack.delete")
	})
}

func TestPacksThatAreRefused(t *testing.T) {
	each(t, func(w *world) {
		w.onlyMine()
		w.expect("packs_missing", "POST", "/packs/add", map[string]any{"category": "Fun", "queries": []int{1}})
		queries := func(name, members string) map[string]any {
			body := documentedPack()
			body["queries"] = json.RawMessage(`{"good":{"query":"select 1"},"` + name + `":{` + members + `}}`)
			return body
		}
		w.expect("packs_bad_sql", "POST", "/packs/add", queries("bad", `"query":"select *\n form x"`))
		w.expect("packs_no_sql", "POST", "/packs/add", queries("bad", `"interval":60`))
		w.expect("packs_bad_interval", "POST", "/packs/add", queries("bad", `"query":"select 1","interval":"hourly"`))
		w.expect("packs_reserved", "POST", "/packs/add", queries("boot_epoch", `"query":"select 1"`))
		body := documentedPack()
		body["platform"] = "beos"
		w.expect("packs_bad_platform", "POST", "/packs/add", body)
		body = documentedPack()
		body["name"] = "a/b"
		w.expect("packs_bad_name", "POST", "/packs/add", body)
		w.expect("packs_none", "POST", "/packs", nil)
		w.expect("queries_none", "POST", "/queries", nil)
	})
}

// upload sends a file of packs with arguments.
func (w *world) upload(file, content string, args map[string]any) (int, []byte) {
	w.t.Helper()
	response := w.ask(example{method: "POST", path: "/packs/upload", file: &upload{file, content}, send: args})
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	w.ok(err)
	return response.StatusCode, body
}

func TestUploadsOfPacks(t *testing.T) {
	each(t, func(w *world) {
		w.onlyMine()
		const config = "// a fleet's config\n{\"options\":{},\"schedule\":{\"s\":{\"query\":\"select 1\",\"interval\":\"60\"}},\n" +
			"\"packs\":{\"inner\":{\"queries\":{\"q\":{\"query\":\"select \\\n2\"}}},\"elsewhere\":\"/etc/x.conf\"},}"
		status, body := w.upload("My Fleet.example.conf", config, map[string]any{"category": "Monitoring", "tags": "lab"})
		for _, name := range []string{"my fleet", "inner"} {
			p, err := w.deps.Schedule.FindPack(t.Context(), name)
			w.ok(err)
			w.scrub = append(w.scrub, fmt.Sprintf(`"id":%d,`, p.ID), `"id":"`+name+`",`, fmt.Sprintf(`"pack_id":%d,`, p.ID), `"pack_id":"`+name+`",`)
		}
		w.scrubQuery("s", "S")
		w.scrubQuery("q", "Q")
		w.golden("packs_upload", status, body)
		w.expect("packs_uploaded", "POST", "/packs", nil)

		refused := func(golden, file, content string) {
			t.Helper()
			status, body := w.upload(file, content, nil)
			w.golden(golden, status, body)
		}
		refused("packs_upload_ending", "pack.exe", `{"queries":{"q":{"query":"select 1"}}}`)
		refused("packs_upload_name", "päck.conf", `{"queries":{"q":{"query":"select 1"}}}`)
		refused("packs_upload_hidden", ".conf", `{"queries":{"q":{"query":"select 1"}}}`)
		refused("packs_upload_nothing", "p.conf", "")
		refused("packs_upload_no_queries", "p.conf", `{"name":"p"}`)
		refused("packs_upload_json", "p.json", "{\n\"queries\": nothing}")
		refused("packs_upload_sql", "p.json", `{"queries":{"q":{"query":"select from"}}}`)
		refused("packs_upload_large", "p.json", `{"x":"`+strings.Repeat("x", 5<<20)+`"}`)
		w.expect("packs_upload_missing", "POST", "/packs/upload", nil)
		w.expect("packs_uploaded", "POST", "/packs", nil)
		w.actions("pack.upload", "pack.upload")
	})
}

func TestAPathInAFileNameIsCutOff(t *testing.T) {
	each(t, func(w *world) {
		status, body := w.upload("../../etc/Cron.Daily.json", `{"queries":{"q":{"query":"select 1"}}}`, nil)
		if _, err := w.deps.Schedule.FindPack(t.Context(), "cron"); err != nil {
			t.Errorf("%d %s: %v", status, body, err)
		}
	})
}
