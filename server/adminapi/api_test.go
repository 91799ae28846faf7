package adminapi

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSession(t *testing.T) {
	each(t, func(w *world) {
		status, body := w.do("POST", "/login", map[string]any{"username": "admin", "password": adminPassword})
		var tokens map[string]string
		if json.Unmarshal(body, &tokens) != nil || tokens["token"] == "" || tokens["token"] != tokens["x-access-token"] {
			t.Errorf("login answers %s", body)
		}
		w.scrub = append(w.scrub, tokens["token"], "TOKEN")
		w.golden("login", status, body)
		w.expect("login_wrong", "POST", "/login", map[string]any{"username": "admin", "password": "wrong"})
		w.expect("login_missing", "POST", "/login", map[string]any{"username": "admin"})
		w.expect("version", "GET", "/version", nil)

		change := func(old, fresh, confirm string) map[string]any {
			return map[string]any{"old_password": old, "new_password": fresh, "confirm_new_password": confirm}
		}
		w.expect("changepw_old", "POST", "/changepw", change("wrong", "new password", "new password"))
		w.expect("changepw_same", "POST", "/changepw", change(adminPassword, adminPassword, adminPassword))
		w.expect("changepw_confirm", "POST", "/changepw", change(adminPassword, "new password", "other"))
		w.expect("changepw_short", "POST", "/management/changepw", change(adminPassword, "short", "short"))
		w.expect("changepw_missing", "POST", "/changepw", map[string]any{})
		w.expect("changepw", "POST", "/management/changepw", change(adminPassword, "new password", "new password"))

		w.expect("logout", "POST", "/logout", nil)
		w.expect("logout_again", "POST", "/logout", nil)
		w.expect("logged_out", "GET", "/hosts/count", nil)
		w.login("new password")
	})
}

func TestPasswordsAreNotTakenFromTheURL(t *testing.T) {
	each(t, func(w *world) {
		if status, body := w.do("POST", "/login?username=admin&password=correct+horse", nil); status != http.StatusBadRequest {
			t.Errorf("login: %d %s", status, body)
		}
		query := "?old_password=correct+horse&new_password=another+one&confirm_new_password=another+one"
		if status, body := w.do("POST", "/changepw"+query, nil); status != http.StatusBadRequest {
			t.Errorf("changepw: %d %s", status, body)
		}
		w.login(adminPassword)
	})
}

func TestLoginIsThrottled(t *testing.T) {
	each(t, func(w *world) {
		var response *http.Response
		for range 11 {
			if response != nil {
				_ = response.Body.Close()
			}
			response = w.send("POST", "/login", map[string]any{"username": "somebody", "password": "wrong"}, "")
		}
		defer func() { _ = response.Body.Close() }()
		body, _ := io.ReadAll(response.Body)
		w.golden("login_throttled", response.StatusCode, body)
		if response.Header.Get("Retry-After") == "" {
			t.Error("it does not say when to come again")
		}
	})
}

// TestEveryRouteAsksForAToken goes through the routes themselves, so that a new
// one is covered.
func TestEveryRouteAsksForAToken(t *testing.T) {
	each(t, func(w *world) {
		open := []string{base + "/login", base + "/logout", base + "/downloads/certificate.crt", "/downloads/certificate.crt", base + "/downloads/{path...}", "/downloads/{path...}",
			base + "/openapi.json", base + "/docs"}
		idle := login2(w)
		w.clock.pass(13 * time.Hour)
		for _, r := range w.api.routes() {
			if slices.Contains(open, r.pattern()) {
				continue
			}
			path := "//" + strings.NewReplacer("{host}", "1", "{id}", "1", "{session_id}", "X").Replace(strings.TrimPrefix(r.pattern(), "/"))
			for name, token := range map[string]string{"no token": "", "a made-up token": strings.Repeat("A", 43), "an expired token": idle} {
				response := w.send(r.method, path, nil, token)
				body, _ := io.ReadAll(response.Body)
				_ = response.Body.Close()
				var got envelope
				if json.Unmarshal(body, &got) != nil || response.StatusCode != http.StatusUnauthorized || got.Status != "failure" {
					t.Errorf("%s %s with %s: %d %s", r.method, path, name, response.StatusCode, body)
				}
			}
		}
	})
}

func login2(w *world) string {
	token := w.token
	w.token = ""
	defer func() { w.token = token }()
	return w.login(adminPassword)
}

func TestUnknownRoutes(t *testing.T) {
	each(t, func(w *world) {
		w.expect("unknown_route", "GET", "/nothing/here", nil)
		w.expect("unknown_root", "GET", "//downloads/secret.txt", nil)
		for _, path := range []string{"/hosts/", "//downloads/", "/live/abc", "/downloads/certificate.crt/x"} {
			if status, body := w.do("GET", path, nil); status != http.StatusNotFound && status != http.StatusMethodNotAllowed {
				t.Errorf("%s: %d %s", path, status, body)
			}
		}
		w.expect("wrong_verb", "GET", "/login", nil)
		response := w.send("PATCH", "/hosts/1/delete", nil, w.token)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusMethodNotAllowed || response.Header.Get("Allow") != "DELETE, PUT" {
			t.Errorf("%d Allow: %s", response.StatusCode, response.Header.Get("Allow"))
		}
		response = w.send("HEAD", "/hosts/count", nil, w.token)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("HEAD: %d", response.StatusCode)
		}
	})
}

func TestBrokenBodies(t *testing.T) {
	each(t, func(w *world) {
		to := "/hosts"
		post := func(body string) (int, []byte) {
			request, err := http.NewRequestWithContext(t.Context(), "POST", w.url(to), strings.NewReader(body))
			w.ok(err)
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Authorization", "Bearer "+w.token)
			response, err := w.server.Client().Do(request)
			w.ok(err)
			defer func() { _ = response.Body.Close() }()
			content, _ := io.ReadAll(response.Body)
			return response.StatusCode, content
		}
		status, body := post(`{"start":`)
		w.golden("invalid_json", status, body)
		status, body = post(`{"start":"x","limit":-1,"platform":"amiga","status":"perhaps"}`)
		w.golden("wrong_arguments", status, body)
		if status, _ = post(`{"searchterm":"` + strings.Repeat("a", 1<<20) + `"}`); status != http.StatusRequestEntityTooLarge {
			t.Errorf("a body over the limit: %d", status)
		}
		to = "/login"
		status, body = post(`{"username":`)
		w.golden("login_invalid_json", status, body)
		if status, _ = post(`{"username":"` + strings.Repeat("a", 1<<20) + `"}`); status != http.StatusRequestEntityTooLarge {
			t.Errorf("a sign-in over the limit: %d", status)
		}
	})
}

func TestCertificate(t *testing.T) {
	each(t, func(w *world) {
		for _, path := range []string{"/downloads/certificate.crt", "//downloads/certificate.crt"} {
			response := w.send("GET", path, nil, "")
			body, _ := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if response.StatusCode != 200 || !strings.HasPrefix(string(body), "-----BEGIN") || response.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %d %s", path, response.StatusCode, body)
			}
		}
	})
}

func TestOptions(t *testing.T) {
	each(t, func(w *world) {
		w.expect("options_empty", "GET", "/options", nil)
		w.expect("options_add", "POST", "/options/add", map[string]any{"option": map[string]any{
			"custom_plgx_EnableLogging": "true", "schedule_splay_percent": 10, "logger_tls_compress": false,
		}})
		w.expect("options", "GET", "/options", nil)
		w.expect("options_missing", "POST", "/options/add", map[string]any{})
		w.expect("options_wrong", "POST", "/options/add", map[string]any{"option": []string{"x"}})
		w.expect("options_refused", "POST", "/options/add", map[string]any{"option": map[string]any{"a": map[string]any{}}})
		w.expect("options_kept", "GET", "/options", nil)
		w.expect("options_withheld", "POST", "/options/add", map[string]any{"option": map[string]any{"tls_hostname": "elsewhere", "verbose": true}})
	})
}

func TestAuditOfChanges(t *testing.T) {
	each(t, func(w *world) {
		for _, call := range []struct {
			method, path string
			body         any
		}{
			{"POST", "/hosts/1/tags", map[string]any{"tag": " blue "}},
			{"DELETE", "/hosts/1/tags", map[string]any{"tag": "blue"}},
			{"PUT", "/hosts/1/delete", nil},
			{"PUT", "/hosts/1/enable", nil},
			{"POST", "/options/add", map[string]any{"option": map[string]any{"custom_token": "geheim"}}},
			{"POST", "/distributed/add", map[string]any{"query": "select 1"}},
			{"POST", "/live/1/cancel", nil},
			{"DELETE", "/hosts/1/delete", map[string]any{"reenroll": true}},
		} {
			if status, body := w.do(call.method, call.path, call.body); status != http.StatusOK {
				t.Errorf("%s %s: %d %s", call.method, call.path, status, body)
			}
		}
		entries := w.audit()
		var actions []string
		for _, e := range entries {
			actions = append([]string{e.Action}, actions...)
			if e.Action != "user.add" && (e.Username != "admin" || e.Address != "127.0.0.1") {
				t.Errorf("%+v", e)
			}
		}
		want := []string{"user.add", "login", "host.tag.add", "host.tag.remove", "host.remove", "host.enable", "options.set", "live.launch", "live.cancel", "host.delete"}
		if !slices.Equal(actions, want) {
			t.Errorf("got %v", actions)
		}
		if text, _ := json.Marshal(entries); strings.Contains(string(text), "geheim") {
			t.Error("the trail holds a secret")
		}
	})
}
