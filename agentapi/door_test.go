package agentapi_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"muster/agentapi"
	"muster/server/carves"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/distributed"
)

// endpoints with a request that is right but for the key.
var endpoints = map[string]request{
	"enroll":      {path: "/enroll", body: enrollBody(secret, "somebody")},
	"config":      {path: "/config", body: `{"node_key":"KEY"}`},
	"log":         {path: "/log", body: `{"data":[{"name":"q","unixTime":1,"columns":{"a":"1"},"action":"added"}],"log_type":"result","node_key":"KEY"}`},
	"read":        {path: "/distributed/read", body: `{"node_key":"KEY"}`},
	"write":       {path: "/distributed/write", body: `{"queries":{"m1":[]},"statuses":{"m1":0},"node_key":"KEY"}`},
	"carve_start": {path: "/start_uploads", body: `{"block_count":1,"block_size":10,"carve_size":5,"carve_id":"g","request_id":"r","node_key":"KEY"}`},
	"carve_block": {path: "/upload_blocks", body: `{"block_id":0,"session_id":"nobody","request_id":"r","data":"aGVsbG8="}`},
}

// keyed returns a request of endpoint with its key in the body.
func keyed(endpoint, key string) request {
	q := endpoints[endpoint]
	q.body = strings.ReplaceAll(q.body, "KEY", key)
	return q
}

// Whatever goes wrong, no agent may take the answer for success: it would delete
// its logs or its config.
func TestNoFailureLooksLikeSuccess(t *testing.T) {
	type failure struct {
		name   string
		limits agentapi.Limits
		breakS func(*rig, *request)
		status int
		want   string // "" keeps, or "enrols anew" where that is a fact
		// harmless endpoints may say {}: there is nothing to lose.
		harmless string
	}
	failures := []failure{
		{name: "a wrong method", breakS: func(_ *rig, q *request) { q.method = http.MethodDelete }, status: 405},
		{name: "GET", breakS: func(_ *rig, q *request) { q.method = http.MethodGet; q.body = "" }, status: 405},
		{name: "a path below the endpoint", breakS: func(_ *rig, q *request) { q.path += "/x" }, status: 404},
		{name: "shutdown", breakS: func(r *rig, _ *request) { r.door.Drain() }, status: 503, harmless: "read"},
		{name: "a body that is no JSON", breakS: func(_ *rig, q *request) { q.body = "<html>" }, status: 400, harmless: "log write"},
		{name: "a body that ends early", breakS: func(_ *rig, q *request) { q.body = q.body[:len(q.body)-12] }, status: 400, harmless: "log write"},
		{name: "a body nested without end", breakS: func(_ *rig, q *request) { q.body = strings.Repeat("[", 100000) }, status: 400, harmless: "log write"},
		{name: "a body that is too large", limits: agentapi.Limits{Request: 10, Block: 10, Body: 10}, status: 413, harmless: "log write"},
		{name: "something that only claims to be gzip", breakS: func(r *rig, q *request) { q.method = "POST"; q.path += "#gzip" }, status: 400},
		{name: "storage that is gone", breakS: func(r *rig, q *request) {
			q.body = strings.ReplaceAll(q.body, "somebody", "somebody-else")
			_ = r.db.Close()
		}, status: 0, harmless: "read config write"},
	}
	for _, engine := range []database.Engine{database.SQLite} { // what happens before storage is one for both
		for _, f := range failures {
			for endpoint := range endpoints {
				t.Run(fmt.Sprintf("%s, %s", f.name, endpoint), func(t *testing.T) {
					r := newRig(t, dbtest.Open(t, engine), f.limits)
					key := "none"
					if f.limits.Request == 0 {
						key, _ = r.enroll("agent")
					}
					q := keyed(endpoint, key)
					if f.breakS != nil {
						f.breakS(r, &q)
					}
					path, claims, _ := strings.Cut(q.path, "#")
					q.path = path
					var status int
					var answer string
					if claims == "gzip" {
						status, answer = r.sendRaw(q, "gzip")
					} else {
						status, answer = r.send(q)
					}
					takes := agentTakes(endpoint, answer)
					allowed := takes == "keeps" || takes == f.want && f.want != ""
					if strings.Contains(f.harmless, endpoint) {
						return
					}
					if !allowed {
						t.Errorf("answered %d %q, which the agent takes as %s", status, answer, takes)
					}
					if f.status != 0 && status != f.status {
						t.Errorf("status %d, want %d: %q", status, f.status, answer)
					}
				})
			}
		}
	}
}

// sendRaw sends a body with a Content-Encoding that it does not have.
func (r *rig) sendRaw(q request, encoding string) (int, string) {
	r.Helper()
	request, _ := http.NewRequestWithContext(r.Context(), q.method, r.server.URL+q.path, strings.NewReader(q.body))
	request.Header.Set("Content-Encoding", encoding)
	response, err := r.server.Client().Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var b strings.Builder
	buffer := make([]byte, 4096)
	for {
		n, err := response.Body.Read(buffer)
		b.Write(buffer[:n])
		if err != nil {
			return response.StatusCode, b.String()
		}
	}
}

func TestNodeInvalidIsOnlySaidWhenItIsAFact(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r := newRig(t, db, agentapi.Limits{})
		key, host := r.enroll("agent")
		removedKey, removed := r.enroll("removed")
		if err := r.hosts.Remove(t.Context(), removed.ID); err != nil {
			t.Fatal(err)
		}
		tests := []struct {
			name, endpoint string
			q              func(request) request
			want           string
		}{
			{"an unknown key in the body", "config", func(q request) request { q.body = `{"node_key":"unknown"}`; return q }, "enrols anew"},
			{"an unknown key in the header", "log", func(q request) request { q.key = "unknown"; return q }, "enrols anew"},
			{"a removed host", "read", func(q request) request { q.key = removedKey; return q }, "enrols anew"},
			{"a removed host's log", "log", func(q request) request { q.key = removedKey; return q }, "enrols anew"},
			{"no key at all", "config", func(q request) request { q.body = `{}`; return q }, "keeps"},
			{"no key at all, log", "log", func(q request) request { q.body = `{"data":[]}`; return q }, "keeps"},
			{"the right key in the header wins over the body's", "config", func(q request) request { q.key = key; q.body = `{"node_key":"unknown"}`; return q }, "success"},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				r := *r
				r.T = t
				_, answer := r.send(test.q(keyed(test.endpoint, key)))
				if got := agentTakes(test.endpoint, answer); got != test.want {
					t.Errorf("answered %q: the agent %s, want %s", answer, got, test.want)
				}
			})
		}
		if _, answer := r.send(request{path: "/enroll", body: enrollBody("wrong", "new")}); answer != `{"node_invalid":true}` {
			t.Errorf("a wrong secret is answered %q", answer)
		}
		if _, answer := r.send(request{path: "/enroll", body: enrollBody(secret, "removed")}); answer != `{"node_invalid":true}` {
			t.Errorf("a removed host is answered %q", answer)
		}
		_ = host
		_ = db.Close()
		for _, endpoint := range []string{"config", "log", "read", "write"} {
			if _, answer := r.send(keyed(endpoint, strings.Repeat("x", 43))); agentTakes(endpoint, answer) == "enrols anew" {
				t.Errorf("%s: storage is down and the agent is told %q", endpoint, answer)
			}
		}
	})
}

func TestEveryPathOfEveryFleet(t *testing.T) {
	r := newRig(t, dbtest.Open(t, database.SQLite), agentapi.Limits{})
	key, _ := r.enroll("agent")
	for _, prefix := range []string{"", "/v1", "/api/osquery", "/api/v1/osquery"} {
		for _, path := range []string{"/config", "/log", "/distributed/read", "/distributed/write"} {
			for _, method := range []string{http.MethodPost, http.MethodPut} {
				status, answer := r.send(request{path: prefix + path, method: method, key: key, body: `{}`})
				if status != 200 || agentTakes("x", answer) != "success" {
					t.Errorf("%s %s%s: %d %q", method, prefix, path, status, answer)
				}
			}
		}
	}
	for _, path := range []string{"/start_uploads", "/v1/start_uploads", "/api/osquery/carve/begin", "/api/v1/osquery/carve/begin"} {
		q := keyed("carve_start", key)
		q.path = path
		if status, answer := r.send(q); status != 200 || !strings.Contains(answer, `"session_id":"`) {
			t.Errorf("%s: %d %q", path, status, answer)
		}
	}
}

func TestBusyBeforeAnyWork(t *testing.T) {
	r := newRig(t, dbtest.Open(t, database.SQLite), agentapi.Limits{InFlight: map[string]int{"log": 1}})
	key, _ := r.enroll("agent")
	slow, release := newSlowBody()
	defer release()
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		request, _ := http.NewRequestWithContext(context.Background(), http.MethodPost, r.server.URL+"/log", slow)
		request.Header.Set("Authorization", "NodeKey "+key)
		if response, err := r.server.Client().Do(request); err == nil {
			_ = response.Body.Close()
		}
	}()
	slow.wait(t)
	status, answer := r.send(keyed("log", key))
	if status != http.StatusServiceUnavailable || agentTakes("log", answer) != "keeps" {
		t.Errorf("a second log request is answered %d %q", status, answer)
	}
	release()
	<-waiting
}

func TestFailedSecretsOfAnAddressAreLimited(t *testing.T) {
	r := newRig(t, dbtest.Open(t, database.SQLite), agentapi.Limits{})
	var status int
	for n := range 150 {
		status, _ = r.send(request{path: "/enroll", body: enrollBody("wrong", fmt.Sprint("x", n))})
	}
	if status != http.StatusTooManyRequests {
		t.Errorf("the 150th wrong secret is answered %d", status)
	}
	if _, answer := r.send(request{path: "/enroll", body: enrollBody(secret, "x")}); agentTakes("enroll", answer) != "keeps" {
		t.Errorf("then: %q", answer)
	}
}

func TestLiveQueryThroughTheDoor(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r := newRig(t, db, agentapi.Limits{Answer: 2000})
		key, host := r.enroll("agent")
		launched, err := r.distributed.Launch(t.Context(), distributed.Launch{SQL: "select * from users", Identifiers: []string{"agent"}})
		if err != nil {
			t.Fatal(err)
		}
		id := fmt.Sprintf("m%d", launched.Query.ID)
		_, answer := r.send(request{path: "/distributed/read", key: key, body: `{}`})
		if !strings.Contains(answer, fmt.Sprintf(`"%s":"select * from users"`, id)) || !strings.Contains(answer, `"accelerate":`) || !strings.Contains(answer, `"detail:system_info":`) {
			t.Fatalf("read answered %s", answer)
		}
		body := `{"queries":{"` + id + `":[{"uid":"0","name":"x\u0000\ud800"}],"detail:system_info":[{"hostname":"renamed","cpu_type":"arm64"}],"m999":[],"junk":""},
			"statuses":{"` + id + `":"0","detail:system_info":0,"m999":1},"messages":{"m999":"no such table: x"},"stats":{"` + id + `":{}}}`
		if _, answer := r.send(request{path: "/distributed/write", key: key, body: body}); answer != "{}" {
			t.Fatalf("write answered %s", answer)
		}
		tasks, _, err := r.distributed.Tasks(t.Context(), distributed.TaskFilter{QueryID: launched.Query.ID})
		if err != nil || len(tasks) != 1 || tasks[0].State != distributed.Answered || string(tasks[0].Rows) != `[{"uid":"0","name":"x\ufffd"}]` {
			t.Fatalf("stored %+v, %v", tasks, err)
		}
		if host, err = r.hosts.FindByID(t.Context(), host.ID); err != nil || host.Arch != "arm64" {
			t.Errorf("the host's details are not kept: %+v %v", host, err)
		}
		launched, err = r.distributed.Launch(t.Context(), distributed.Launch{SQL: "select * from processes", Identifiers: []string{"agent"}})
		if err != nil {
			t.Fatal(err)
		}
		big := fmt.Sprintf(`{"queries":{"m%d":[{"x":"%s"}]},"statuses":{"m%[1]d":0},"messages":{"m%[1]d":""}}`, launched.Query.ID, strings.Repeat("y", 3000))
		if _, answer := r.send(request{path: "/distributed/write", key: key, body: big}); answer != "{}" {
			t.Errorf("an answer that is too large is refused and would come for ever: %s", answer)
		}
		tasks, _, _ = r.distributed.Tasks(t.Context(), distributed.TaskFilter{QueryID: launched.Query.ID})
		if len(tasks) != 1 || tasks[0].State != distributed.Failed || !strings.Contains(tasks[0].Error, "larger than") {
			t.Errorf("stored %+v", tasks)
		}
	})
}

func TestUnknownAndMalformedWritesAreAccepted(t *testing.T) {
	r := newRig(t, dbtest.Open(t, database.SQLite), agentapi.Limits{})
	key, _ := r.enroll("agent")
	for _, body := range []string{``, `{}`, `{"queries":""}`, `{"queries":{"gone":[{}]},"statuses":{"gone":0}}`, `{"queries":{"m1":`, `[]`, `{"queries":{"m1":{"a":1}},"statuses":{"m1":"x"}}`} {
		if _, answer := r.send(request{path: "/distributed/write", key: key, body: body}); answer != "{}" {
			t.Errorf("%s is answered %s", body, answer)
		}
	}
}

func TestCarveThroughTheDoor(t *testing.T) {
	r := newRig(t, dbtest.Open(t, database.SQLite), agentapi.Limits{})
	key, host := r.enroll("agent")
	_, answer := r.send(keyed("carve_start", key))
	session := strings.TrimSuffix(strings.TrimPrefix(answer, `{"session_id":"`), `"}`)
	otherKey, _ := r.enroll("other")
	block := fmt.Sprintf(`{"block_id":0,"session_id":%q,"request_id":"r","data":"aGVsbG8="}`, session)
	if _, answer := r.send(request{path: "/upload_blocks", key: otherKey, body: block}); agentTakes("carve_block", answer) != "keeps" {
		t.Errorf("another host's block is answered %q", answer)
	}
	for range 2 { // agents repeat a block whose answer was lost
		if _, answer := r.send(request{path: "/upload_blocks", body: block}); answer != "{}" {
			t.Errorf("a block is answered %q", answer)
		}
	}
	carve, err := r.carves.Find(t.Context(), session)
	if err != nil || carve.HostID != host.ID || carve.Status != carves.Completed {
		t.Errorf("the carve is %+v, %v", carve, err)
	}
}

// inFlightBytes is more than the buffers between a client and a handler hold: who
// has written it knows that the handler reads.
const inFlightBytes = 16 << 20

// slowBody is a request body of white space that stays open until released.
type slowBody struct {
	reading chan struct{}
	more    chan struct{}
	sent    int
}

func newSlowBody() (*slowBody, func()) {
	s := &slowBody{reading: make(chan struct{}), more: make(chan struct{})}
	released := false
	return s, func() {
		if !released {
			released = true
			close(s.more)
		}
	}
}

func (s *slowBody) Read(p []byte) (int, error) {
	if s.sent < inFlightBytes {
		for i := range p {
			p[i] = ' '
		}
		s.sent += len(p)
		return len(p), nil
	}
	select {
	case <-s.reading:
	default:
		close(s.reading)
	}
	<-s.more
	return 0, context.Canceled
}

func (s *slowBody) wait(t *testing.T) {
	t.Helper()
	select {
	case <-s.reading:
	case <-time.After(time.Minute):
		t.Fatal("the body was never read")
	}
}
