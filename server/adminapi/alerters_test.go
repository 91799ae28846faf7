package adminapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"muster/server/alerts"
	"muster/server/jobs"
	"muster/server/outputs"
)

const hookToken = "hook-t0ken"

// startHook is a receiver that answers with a status, and with what it was sent.
func (w *world) startHook(status *atomic.Int32) string {
	w.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.WriteHeader(int(status.Load()))
		_, _ = rw.Write([]byte(r.URL.String() + r.Header.Get("Authorization")))
	}))
	w.t.Cleanup(server.Close)
	w.scrub = append(w.scrub, strings.TrimPrefix(server.URL, "http://"), "RECEIVER")
	return server.URL + "/in/" + hookToken
}

func TestAlerters(t *testing.T) {
	each(t, func(w *world) {
		var status atomic.Int32
		status.Store(http.StatusOK)
		url := w.startHook(&status)
		w.expect("alerters", "GET", "/alerters", nil)
		add := map[string]any{"name": "soc", "kind": "webhook", "settings": map[string]any{"url": url, "authorization": "Bearer " + hookToken}}
		w.expect("alerter_add", "POST", "/alerters/add", add)
		w.expect("alerter_exists", "POST", "/alerters/add", add)
		w.expect("alerter_kind", "POST", "/alerters/add", map[string]any{"name": "x", "kind": "pigeon"})
		w.expect("alerter_name", "POST", "/alerters/add", map[string]any{"name": "a, b", "kind": "debug"})
		w.expect("alerter_missing", "POST", "/alerters/add", map[string]any{"settings": "x"})
		w.expect("alerter_in_url", "POST", "/alerters/add?settings={}", map[string]any{"name": "x", "kind": "debug"})
		w.expect("alerter_field", "POST", "/alerters/soc", map[string]any{"settings": map[string]any{"uri": url}})
		w.expect("alerter_moved", "POST", "/alerters/soc", map[string]any{"settings": map[string]any{"url": "https://elsewhere.example/"}})
		w.expect("alerter_test", "POST", "/alerters/soc/test", nil)
		status.Store(http.StatusForbidden)
		w.expect("alerter_test_refused", "POST", "/alerters/soc/test", nil)
		w.expect("alerter_test_mail", "POST", "/alerters/email/test", nil)
		w.expect("alerter_unknown", "POST", "/alerters/nobody/test", nil)
		w.expect("alerter_unknown", "GET", "/alerters/nobody", nil)
		w.expect("alerter_unknown", "POST", "/alerters/nobody", map[string]any{"active": false})
		w.expect("alerter_unknown", "DELETE", "/alerters/nobody", nil)
		w.expect("alerter_change", "POST", "/alerters/soc", map[string]any{"active": false, "settings": map[string]any{"authorization": ""}})
		w.expect("alerter_view", "GET", "/alerters/soc", nil)
		w.expect("alerter_rsyslog", "POST", "/alerters/rsyslog", map[string]any{"active": true, "settings": map[string]any{"address": "log.example.com:6514", "tls": true}})
		w.expect("alerter_digest", "POST", "/alerters/email", map[string]any{"settings": map[string]any{"digest": true, "digest_hour": 6, "recipients": []string{"soc@example.com"}}})
		w.expect("alerter_debug", "POST", "/alerters/debug", map[string]any{"active": false})
		w.expect("alerter_built_in", "DELETE", "/alerters/debug", nil)
		w.expect("alerter_delete", "DELETE", "/alerters/soc", nil)
		w.expect("alerters_then", "GET", "/alerters", nil)
		w.audited([]string{
			"alerter.add", "alerter.test", "alerter.test", "alerter.test", "alerter.set", "alerter.set", "alerter.set", "alerter.delete",
		}, hookToken)
	})
}

func TestWhatDidNotReachAnAlerter(t *testing.T) {
	each(t, func(w *world) {
		var status atomic.Int32
		status.Store(http.StatusGone)
		ctx, url := t.Context(), w.startHook(&status)
		settings, err := json.Marshal(map[string]string{"url": url})
		w.ok(err)
		_, err = w.deps.Alerters.Add(ctx, outputs.NewReceiver{Name: "soc", Kind: "webhook", Active: true, Settings: settings})
		w.ok(err)
		raised, err := w.deps.Alerts.Raise(ctx, []alerts.Finding{{HostID: 1, Source: alerts.Rule, RuleID: 7, Name: "Reverse shell", Group: "rule:7", Severity: "CRITICAL"}})
		w.ok(err)
		w.expect("alerters_failed_none", "GET", "/alerters/failed", nil)
		told := outputs.NotifyArgs{AlertID: raised[0].Alert.ID, EventID: raised[0].EventID, Alerter: "soc"}
		w.queue.Handle(w.deps.Alerters.Worker())
		w.background(w.queue.Run)
		for n := 1; n <= 3; n++ { // one after the other, so that ids and times are the same each time
			w.ok(w.queue.Add(ctx, jobs.NewJob{Kind: outputs.NotifyKind, Args: told}))
			w.untilJobs(jobs.Dead, n)
		}
		w.expect("alerters_failed", "GET", "/alerters/failed?limit=2", nil)
		w.expect("alerters_waiting", "GET", "/alerters/failed?state=waiting", nil)
		w.expect("alerters_failed_state", "GET", "/alerters/failed?state=lost", nil)
		w.expect("alerters_replay_nothing", "POST", "/alerters/failed/replay", nil)
		w.expect("alerters_replay_nothing", "POST", "/alerters/failed/replay", map[string]any{"id": 1, "all": true})
		w.expect("alerters_replay_unknown", "POST", "/alerters/failed/replay", map[string]any{"id": 99})
		w.expect("alerters_discard", "DELETE", "/alerters/failed/2/delete", nil)
		w.expect("alerters_discard_again", "DELETE", "/alerters/failed/2/delete", nil)
		status.Store(http.StatusOK)
		w.expect("alerters_replay", "POST", "/alerters/failed/replay", map[string]any{"id": 1})
		w.untilJobs("", 1)
		w.expect("alerters_replay", "POST", "/alerters/failed/replay", map[string]any{"all": true})
		w.untilJobs("", 0)
		w.audited([]string{"alerter.discard", "alerter.replay", "alerter.replay"}, hookToken)
	})
}

// untilJobs waits until so many jobs are in a state.
func (w *world) untilJobs(state jobs.State, n int) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		_, count, err := w.deps.Alerters.Undelivered(w.t.Context(), state, 0, 10)
		w.ok(err)
		if count == n {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%d jobs are %s, not %d", count, state, n)
		}
	}
}
