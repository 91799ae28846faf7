package adminapi

import (
	"net/http"
	"slices"
	"testing"

	"muster/server/hosts"
)

// onlyAsk are the endpoints that change nothing though their verb could.
var onlyAsk = []string{
	"/login", "/logout", "/live/ticket", // sessions and tickets
	"/hosts", "/hosts/status_logs", "/hosts/recent_activity", "/hosts/recent_activity/count", "/hosts/config", "/hosts/additional_config",
	"/hosts/tagged", "/packs/tagged", "/queries/tagged", "/tags/tagged", "/audit", "/carves", "/carves/query", "/carves/scan",
	"/hunt-upload", "/hunt-upload/export", "/indicators/hunt", "/indicators/hunt/export", "/indicators/upload", "/indicators/upload/export",
	"/search", "/activity/search", "/hosts/search/export", "/schedule_query/export",
	"/alerts", "/alert_source/export", "/alerts/alert_source/export", "/alerts/process", "/alerts/process/child",
	"/yara/view", "/rules", "/rules/tactics", "/rules/test", "/queries", "/queries/packed", "/packs", "/configs/view", "/configs/versions", "/configs/version",
}

// A client that asks for a dry run must never get the change.
func TestWhatChangesSomethingHasADryRunOrRefusesOne(t *testing.T) {
	a := newAPI(Deps{})
	for _, r := range a.routes() {
		asks := r.method == http.MethodGet || r.endpoint.planned || r.method == http.MethodPost && slices.Contains(onlyAsk, r.path)
		if changes := r.endpoint.rehearsed || r.endpoint.acts || r.endpoint.tries; changes == asks {
			t.Errorf("%s %s: it only asks: %t; it has a dry run or refuses one: %t", r.method, r.path, asks, changes)
		}
	}
}

func TestDryRunsThatThereAreNot(t *testing.T) {
	each(t, func(w *world) {
		dry := map[string]any{"dry_run": "true"}
		w.expect("dry_run_refused", "DELETE", "/hosts/2/delete", dry)
		w.expect("dry_run_refused", "PUT", "/hosts/2/delete?dry_run=1", nil)
		w.expect("dry_run_with_missing", "POST", "/distributed/add", dry)
		w.expect("dry_run_refused_results", "POST", "/queryresult/delete", map[string]any{"days_of_data": 1, "dry_run": true})
		w.expect("dry_run_refused", "POST", "/email/configure", map[string]any{"dry_run": true, "email": "a@b.example", "smtpAddress": "b.example", "emailRecipients": "c@b.example"})
		host, err := w.deps.Hosts.FindByID(t.Context(), 2)
		w.ok(err)
		if host.State != hosts.Active {
			t.Errorf("the host is %v", host.State)
		}
		// What is done after all is done with dry_run false, and reading does not mind.
		if status, body := w.do("PUT", "/hosts/2/delete", map[string]any{"dry_run": false}); status != http.StatusOK {
			t.Errorf("%d %s", status, body)
		}
		if status, body := w.do("POST", "/hosts", dry); status != http.StatusOK {
			t.Errorf("%d %s", status, body)
		}
	})
}
