package adminapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"muster/server/distributed"
)

// launchAll asks every host and returns the query's id.
func (w *world) launchAll(sql string) int64 {
	w.t.Helper()
	status, body := w.do("POST", "/distributed/add", map[string]any{"query": sql, "tags": "", "nodes": ""})
	var got struct {
		Data struct {
			QueryID int64 `json:"query_id"`
		}
	}
	if err := json.Unmarshal(body, &got); err != nil || status != http.StatusOK {
		w.t.Fatalf("%d %s", status, body)
	}
	return got.Data.QueryID
}

// reply has a host answer everything it is asked with rows or, without, an error.
func (w *world) reply(host int64, rows string) {
	w.t.Helper()
	work, err := w.deps.Distributed.Claim(w.t.Context(), host)
	w.ok(err)
	if len(work.Queries) == 0 {
		w.t.Fatalf("host %d is asked nothing", host)
	}
	for id := range work.Queries {
		report := distributed.Report{ID: id, Rows: json.RawMessage(rows)}
		if rows == "" {
			report.Status, report.Message = 1, "no such table: nothing"
		}
		w.ok(w.deps.Distributed.Answer(w.t.Context(), host, []distributed.Report{report}))
	}
}

func TestDistributed(t *testing.T) {
	each(t, func(w *world) {
		w.expect("launch", "POST", "/distributed/add", map[string]any{
			"query": "select * from users;", "tags": "lab", "description": "who is there", "expires": "600",
			"nodes": " 11111111-AAAA-4AAA-8AAA-111111111111 , 22222222-BBBB-4BBB-8BBB-222222222222",
		})
		w.expect("launch_bad_sql", "POST", "/distributed/add", map[string]any{"query": "select * from nothing_such"})
		w.expect("launch_unknown_node", "POST", "/distributed/add", map[string]any{"query": "select 1", "nodes": []string{"nobody"}})
		w.expect("launch_missing", "POST", "/distributed/add", map[string]any{"expires": 5})
		w.reply(1, `[{"uid":"0","username":"root"}]`)
		w.expect("live", "GET", "/live/1", nil)
		w.expect("live_list", "GET", "/live", nil)
		w.expect("live_tasks", "GET", "/live/1/tasks", nil)
		w.expect("live_tasks_page", "GET", "/live/1/tasks?start=0&limit=1&rows=false&state=pending,answered", nil)
		w.expect("live_cancel", "POST", "/live/1/cancel", nil)
		w.expect("live_cancelled", "GET", "/live/1/tasks?state=cancelled&rows=0", nil)
		w.expect("live_unknown", "GET", "/live/99", nil)
		w.expect("live_tasks_unknown", "GET", "/live/99/tasks", nil)
		w.expect("live_state_wrong", "GET", "/live/1/tasks?state=asleep", nil)
		w.expect("live_cancel_unknown", "POST", "/live/99/cancel", nil)

		w.launchAll("select 1 as one")
		w.reply(1, "")
		w.clock.pass(2 * time.Hour)
		w.ok(w.deps.Distributed.Expire(t.Context()))
		w.expect("live_failed", "GET", "/live/2/tasks", nil)
	})
}

func TestTasksOverTheBudget(t *testing.T) {
	each(t, func(w *world) {
		w.launchAll("select 1 as a")
		big := `[{"a":"` + strings.Repeat("x", 9<<20) + `"}]`
		w.reply(1, big)
		w.reply(2, big)
		get := func(query string) []map[string]json.RawMessage {
			_, body := w.do("GET", "/live/1/tasks"+query, nil)
			var got struct {
				Data struct{ Results []map[string]json.RawMessage }
			}
			w.ok(json.Unmarshal(body, &got))
			return got.Data.Results
		}
		both := get("")
		if len(both) != 2 || len(both[0]["rows"]) != len(big) || both[0]["rows_omitted"] != nil {
			t.Error("the first task comes without its rows")
		}
		if len(both) != 2 || both[1]["rows"] != nil || string(both[1]["rows_omitted"]) != "true" {
			t.Error("the second task does not say that its rows are omitted")
		}
		if alone := get("?start=1&limit=1"); len(alone) != 1 || len(alone[0]["rows"]) != len(big) || alone[0]["rows_omitted"] != nil {
			t.Error("a task on a page of its own comes without its rows")
		}
	})
}

func TestLaunchWithoutHosts(t *testing.T) {
	each(t, func(w *world) {
		for _, host := range []string{"1", "2"} {
			if status, body := w.do("PUT", "/hosts/"+host+"/delete", nil); status != http.StatusOK {
				t.Fatalf("%s", body)
			}
		}
		w.expect("launch_no_host", "POST", "/distributed/add", map[string]any{"query": "select 1"})
	})
}
