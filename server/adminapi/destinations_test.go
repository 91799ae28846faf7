package adminapi

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

func TestDestinations(t *testing.T) {
	each(t, func(w *world) {
		const secret, token = "geheimnisvoll", "Bearer 0123456789abcdef"
		var refusing atomic.Bool
		siem := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			if refusing.Load() {
				rw.WriteHeader(http.StatusForbidden)
			}
		}))
		w.t.Cleanup(siem.Close)
		w.scrub = append(w.scrub, siem.URL, "http://SIEM", siem.Listener.Addr().String(), "SIEM")
		settings := map[string]any{"url": siem.URL + "/in", "secret": secret, "authorization": token}
		w.expect("destinations_none", "GET", "/destinations", nil)
		w.logged(1, "pack/p/q", "added", `{"a":"b"}`)
		w.expect("destination_add", "POST", "/destinations/add", map[string]any{
			"name": "siem", "kind": "webhook", "streams": []string{"alerts", "results"}, "settings": settings, "start": "beginning",
		})
		w.expect("destination_add_twice", "POST", "/destinations/add", map[string]any{"name": "siem", "kind": "webhook", "streams": "results", "settings": settings})
		w.expect("destination_add_file", "POST", "/destinations/add", map[string]any{
			"name": "disk", "kind": "file", "streams": "status", "format": "esp", "active": false, "settings": map[string]any{"path": "status.log", "gzip": true},
		})
		w.expect("destination_add_wrong_setting", "POST", "/destinations/add", map[string]any{"name": "x", "kind": "file", "streams": "status", "settings": map[string]any{"paht": "status.log"}})
		w.expect("destination_add_wrong_start", "POST", "/destinations/add", map[string]any{"name": "x", "kind": "file", "streams": "status", "start": "noon"})
		w.expect("destination_add_missing", "POST", "/destinations/add", nil)
		w.expect("destinations", "GET", "/destinations", nil)
		w.expect("destination", "GET", "/destinations/siem", nil)
		w.expect("destination_unknown", "GET", "/destinations/nobody", nil)
		w.expect("destination_test", "POST", "/destinations/siem/test", nil)
		refusing.Store(true)
		w.expect("destination_test_refused", "POST", "/destinations/siem/test", nil)
		settings["secret"], settings["authorization"], settings["body"] = mask, mask, "array"
		w.expect("destination_change", "POST", "/destinations/siem", map[string]any{"settings": settings, "streams": "results,status"})
		settings["url"] = "https://elsewhere.example.com/"
		w.expect("destination_change_receiver", "POST", "/destinations/siem", map[string]any{"settings": settings})
		w.expect("destination_rewind", "POST", "/destinations/siem/rewind", map[string]any{"stream": "results", "to": "now"})
		w.expect("destination_rewind_wrong", "POST", "/destinations/siem/rewind", map[string]any{"stream": "results", "to": "yesterday"})
		w.expect("destination_delete", "DELETE", "/destinations/siem", nil)
		w.expect("destination_unknown", "GET", "/destinations/siem", nil)
		w.audited([]string{"destination.add", "destination.add", "destination.test", "destination.test", "destination.set", "destination.rewind", "destination.delete"}, secret, token)
	})
}
