package agentapi_test

import (
	"bytes"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"muster/agentapi"
	"muster/agentapi/agenttest"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/hosts"
	"muster/yara"
)

// rules stores a file for the hosts with the tags and returns the path of its address.
func (r *rig) rules(name string, tags ...string) string {
	r.Helper()
	f, err := r.yara.Add(r.Context(), yara.NewFile{Name: name, Content: "rule of_" + strings.TrimSuffix(name, ".yar") + " { condition: true }", Tags: tags})
	if err != nil {
		r.Fatal(err)
	}
	return "/yara/" + f.Token + "/" + f.Name
}

// tagged enrols an agent whose host has the tag.
func (r *rig) tagged(name, tag string) (string, *hosts.Host) {
	r.Helper()
	key, host := r.enroll(name)
	if err := r.hosts.AddTag(r.Context(), host.ID, tag); err != nil {
		r.Fatal(err)
	}
	return key, host
}

func TestYARARulesAreForHostsThatGetThem(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r := newRig(t, db, agentapi.Limits{})
		path := r.rules("web.yar", "web")
		_ = r.rules("db.yar", "db")
		key, _ := r.tagged("web-1", "web")
		other, _ := r.tagged("db-1", "db")
		removedKey, removed := r.tagged("web-2", "web")
		if err := r.hosts.Remove(t.Context(), removed.ID); err != nil {
			t.Fatal(err)
		}
		body := func(key string) string { return `{"node_key":"` + key + `"}` }
		for sentence, c := range map[string]struct {
			q      request
			status int
			has    string
			hasNot string
		}{
			"the address is enough":          {request{method: "GET", path: path}, 200, "rule of_web", ""},
			"a host with the tag":            {request{path: path, body: body(key)}, 200, "rule of_web", ""},
			"the key in the header":          {request{path: path, key: key}, 200, "rule of_web", ""},
			"a host without the tag":         {request{path: path, body: body(other)}, 404, "no such rules", "rule of"},
			"a wrong key":                    {request{path: path, body: body("wrong")}, 401, "unknown", "rule of"},
			"a removed host":                 {request{path: path, body: body(removedKey)}, 401, "removed", "rule of"},
			"no key":                         {request{path: path, body: "{}"}, 400, "node_key", "rule of"},
			"no body":                        {request{path: path}, 400, "node_key", "rule of"},
			"a body that is no JSON":         {request{path: path, body: "<"}, 400, "JSON", "rule of"},
			"a body that is too large":       {request{path: path, body: body(strings.Repeat("x", 20000))}, 413, "large", "rule of"},
			"another verb":                   {request{method: "DELETE", path: path}, 405, "method", "rule of"},
			"a wrong token":                  {request{method: "GET", path: "/yara/ABC/web.yar"}, 404, "no such rules", ""},
			"another file's name":            {request{method: "GET", path: strings.Replace(path, "web.yar", "db.yar", 1)}, 404, "no such rules", ""},
			"no token":                       {request{method: "GET", path: "/yara/web.yar"}, 404, "not found", ""},
			"the set of a host":              {request{path: "/yara/set.yar", body: body(key)}, 200, "rule of_web", "rule of_db"},
			"the set of another":             {request{path: "/yara/set.yar", body: body(other)}, 200, "rule of_db", "rule of_web"},
			"a set for nobody":               {request{path: "/yara/set.yar", body: body("wrong")}, 401, "unknown", "rule"},
			"a set for who does not say who": {request{path: "/yara/set.yar", body: "{}"}, 400, "node_key", "rule"},
			"a set by GET":                   {request{method: "GET", path: "/yara/set.yar"}, 405, "method", "rule"},
		} {
			t.Run(sentence, func(t *testing.T) {
				r := *r
				r.T = t
				status, answer := r.send(c.q)
				if status != c.status || !strings.Contains(answer, c.has) || (c.hasNot != "" && strings.Contains(answer, c.hasNot)) {
					t.Errorf("answered %d %s", status, answer)
				}
				if status != 200 && agentTakes("", answer) == "success" {
					t.Errorf("%q looks like success", answer)
				}
			})
		}
	})
}

// The address of a file is a secret.
func TestNoLogShowsTheAddressOfRules(t *testing.T) {
	r := newRig(t, dbtest.Open(t, database.SQLite), agentapi.Limits{})
	path := r.rules("a.yar")
	var log bytes.Buffer
	var outcomes []string
	door := agentapi.New(agentapi.Deps{
		Hosts: r.hosts, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), // no YARA: it panics
		Address: func(*http.Request) string { return "192.0.2.1" },
		Observe: func(endpoint, outcome string, _ time.Duration) { outcomes = append(outcomes, endpoint+" "+outcome) },
	}, agentapi.Limits{})
	get := func() int {
		answer := httptest.NewRecorder()
		door.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
		return answer.Code
	}
	if status := get(); status != 500 {
		t.Errorf("a panic is answered %d", status)
	}
	door.Drain()
	if status := get(); status != 503 {
		t.Errorf("a shutdown is answered %d", status)
	}
	token := strings.Split(path, "/")[2]
	if text := log.String(); !strings.Contains(text, "yara") || strings.Contains(text, token) {
		t.Errorf("the log says %s", text)
	}
	if got := strings.Join(outcomes, ", "); got != "yara internal, yara busy" {
		t.Errorf("observed %s", got)
	}
}

// The simulated agent asks as osquery does, over TLS, without headers of its own.
func TestAnAgentFetchesYARARules(t *testing.T) {
	r := newRig(t, dbtest.Open(t, database.SQLite), agentapi.Limits{})
	server := httptest.NewTLSServer(r.door.Handler())
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	path := r.rules("web.yar", "web")
	agent := func(seed int64, authenticate string) *agenttest.Agent {
		a, err := agenttest.New(agenttest.Options{Server: server.URL, RootCAs: roots, Secret: secret, Seed: seed,
			Flags: map[string]string{"yara_sigurl_authenticate": authenticate}})
		if err == nil {
			err = a.Enroll(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	plain, known := agent(1, "false"), agent(2, "true")
	if rules, err := plain.FetchYARA(t.Context(), server.URL+path); err != nil || !strings.Contains(string(rules), "rule of_web") {
		t.Errorf("GET: %s %v", rules, err)
	}
	if rules, err := known.FetchYARA(t.Context(), server.URL+path); err == nil {
		t.Errorf("a host without the tag gets %s", rules)
	}
	all, _, _, err := r.hosts.List(t.Context(), hosts.Filter{Limit: 10})
	if err != nil || len(all) != 2 {
		t.Fatal(len(all), err)
	}
	for _, host := range all {
		if err := r.hosts.AddTag(t.Context(), host.ID, "web"); err != nil {
			t.Fatal(err)
		}
	}
	for _, address := range []string{path, "/yara/set.yar"} {
		if rules, err := known.FetchYARA(t.Context(), server.URL+address); err != nil || !strings.Contains(string(rules), "rule of_web") {
			t.Errorf("POST %s: %s %v", address, rules, err)
		}
	}
	for _, host := range all {
		if err := r.hosts.Remove(t.Context(), host.ID); err != nil {
			t.Fatal(err)
		}
	}
	if rules, err := known.FetchYARA(t.Context(), server.URL+path); err == nil {
		t.Errorf("a removed host gets %s", rules)
	}
}
