package adminapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"muster/server/intel"
	"muster/server/results"
)

const importedList = "# bad things\nhxxp://evil[.]example/a\n.Evil.example\n192.0.2.0/24\n275a71899f7db9d1663fc695ec2fe2a2\nnonsense\n"

func TestImportIOCs(t *testing.T) {
	each(t, func(w *world) {
		_, err := w.deps.Results.Append(t.Context(), []results.Line{{Key: results.Key{1}, Entries: []results.Entry{
			{HostID: 2, Name: "win_file_events", Action: "added", Columns: []byte(`{"md5":"` + aHash + `","target_path":"C:\\Users\\a\\b.exe"}`), UnixTime: 1772366400},
		}}})
		w.ok(err)
		send := func(feed, content string, more map[string]any) map[string]any {
			args := map[string]any{"feed": feed, "content": content}
			for name, value := range more {
				args[name] = value
			}
			return args
		}
		w.golden("iocs_import", 200, w.importedIOCs("list.txt", importedList, map[string]any{"feed": "blocklist", "confidence": "80", "severity": "CRITICAL", "expires": "2026-06-01"}))
		w.expect("iocs_import_again", "POST", "/iocs/import", send("blocklist", "evil.example\n192.0.2.0/24\n", map[string]any{"replace": true, "severity": "LOW"}))
		w.expect("iocs_import_csv", "POST", "/iocs/import", send("abuse", "value,type,threat_name\n275a71899f7db9d1663fc695ec2fe2a2,md5,Emotet\nx,md5,y\n", nil))
		w.expect("iocs_import_nothing", "POST", "/iocs/import", send("blocklist", "nonsense\n", map[string]any{"replace": true}))
		w.expect("iocs_import_self", "POST", "/iocs/import", send("self", "evil.example", nil))
		w.expect("iocs_import_past", "POST", "/iocs/import", send("x", "evil.example", map[string]any{"expires": "2020-01-01"}))
		w.expect("iocs_import_json", "POST", "/iocs/import", send("x", `{"type":"bundle"`, nil))
		w.expect("iocs_import_no_file", "POST", "/iocs/import", map[string]any{"feed": "x"})
		w.expect("iocs_import_no_feed", "POST", "/iocs/import", map[string]any{"content": "x"})
		w.expect("iocs_none", "GET", "/iocs", nil)
		w.expect("iocs_feeds", "GET", "/iocs/feeds", nil)
		w.expect("iocs_list", "GET", "/iocs/list?feed=blocklist&limit=1", nil)
		w.expect("iocs_list_search", "GET", "/iocs/list?searchterm=EMOT&type=md5", nil)
		w.expect("iocs_lookup", "GET", "/iocs/lookup?value=www.evil.example", nil)
		w.expect("iocs_lookup_seen", "GET", "/iocs/lookup?value="+strings.ToUpper(aHash), nil)
		w.expect("iocs_lookup_within", "GET", "/iocs/lookup?value=192.0.2.9", nil)
		w.expect("iocs_lookup_nothing", "GET", "/iocs/lookup?value=nonsense", nil)
		w.expect("iocs_delete", "POST", "/iocs/delete", map[string]any{"ids": []int{w.anIOC("abuse"), 999}})
		w.expect("iocs_delete_feed", "DELETE", "/iocs/feeds/blocklist", nil)
		w.expect("iocs_delete_feed_again", "DELETE", "/iocs/feeds/blocklist", nil)
		w.expect("iocs_list_empty", "GET", "/iocs/list", nil)
		w.audited([]string{"iocs.import", "iocs.import", "iocs.import", "iocs.delete", "iocs.feed.delete"})
	})
}

// importedIOCs uploads a file of indicators and returns the answer.
func (w *world) importedIOCs(name, content string, args map[string]any) []byte {
	w.t.Helper()
	response := w.ask(example{method: "POST", path: "/iocs/import", file: &upload{name, content}, send: args})
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	w.ok(err)
	w.described(response, body)
	if response.StatusCode != http.StatusOK {
		w.t.Errorf("%d %s", response.StatusCode, body)
	}
	return body
}

// anIOC is the id of an indicator of the feed.
func (w *world) anIOC(feed string) int {
	w.t.Helper()
	all, _, err := w.deps.Intel.List(w.t.Context(), intel.Filter{Feed: feed})
	w.ok(err)
	if len(all) == 0 {
		w.t.Fatal("the feed is empty")
	}
	id := int(all[0].ID)
	w.scrub = append(w.scrub, `"id": `+strconv.Itoa(id), `"id": 1`)
	return id
}

func TestRetroRuns(t *testing.T) {
	each(t, func(w *world) {
		w.expect("iocs_retro_none", "GET", "/iocs/retro", nil)
		run := intel.RetroRun{Started: w.clock.Now(), Indicators: 7}
		w.ok(w.deps.Intel.SaveRetro(t.Context(), run))
		w.expect("iocs_retro_running", "GET", "/iocs/retro", nil)
		run.Ended, run.Sightings, run.Alerts, run.Rows, run.Complete = run.Started.Add(time.Minute), 9, 2, 1000, true
		w.ok(w.deps.Intel.SaveRetro(t.Context(), run))
		w.ok(w.deps.Intel.SaveRetro(t.Context(), intel.RetroRun{Started: run.Ended, Ended: run.Ended.Add(time.Second), Error: "The hunt was given up"}))
		w.expect("iocs_retro", "GET", "/iocs/retro", nil)
	})
}

// deadlines notes how long an answer may take.
type deadlines struct {
	*httptest.ResponseRecorder
	read, write time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error  { d.read = at; return nil }
func (d *deadlines) SetWriteDeadline(at time.Time) error { d.write = at; return nil }

func TestImportsGetMoreTime(t *testing.T) {
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	e := patiently(raw(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }), time.Hour)
	e.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	soon := time.Now().Add(time.Hour - time.Minute)
	if w.Code != http.StatusTeapot || w.read.Before(soon) || w.write.Before(soon) {
		t.Errorf("%d, until %v and %v", w.Code, w.read, w.write)
	}
}
