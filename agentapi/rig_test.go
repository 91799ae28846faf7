package agentapi_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"muster/agentapi"
	"muster/server/bus"
	"muster/server/carves"
	"muster/server/database"
	"muster/server/distributed"
	"muster/server/hosts"
	"muster/server/pipeline"
	"muster/server/results"
	"muster/server/schedule"
	"muster/yara"
)

const secret = "the-enrol-secret"

// rig is the door over real stores.
type rig struct {
	*testing.T
	db          *database.DB
	hosts       *hosts.Store
	results     *results.Store
	distributed *distributed.Store
	carves      *carves.Store
	yara        *yara.Store
	door        *agentapi.Door
	server      *httptest.Server
}

func newRig(t *testing.T, db *database.DB, limits agentapi.Limits) *rig {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	b := bus.NewMemory()
	r := &rig{T: t, db: db}
	r.hosts = hosts.New(db, b, log, hosts.Options{})
	plans := schedule.New(db, b, log, schedule.Options{})
	r.results = results.New(db, b, log, results.Options{})
	r.distributed = distributed.New(db, r.hosts, b, log, distributed.Options{})
	r.carves = carves.New(db, t.TempDir(), log, carves.Options{})
	r.yara = yara.New(db, b, log, yara.Options{})
	for _, load := range []func(context.Context) error{r.results.EnsurePartitions, r.hosts.Load, plans.Load, r.distributed.Load, r.yara.Load} {
		if err := load(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.hosts.AddSecret(t.Context(), hosts.NewSecret{Name: "default", Secret: secret}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var working sync.WaitGroup
	for _, run := range []func(context.Context){r.hosts.Run, plans.Run, r.results.Run, r.distributed.Run, r.carves.Run, r.yara.Run} {
		working.Go(func() { run(ctx) })
	}
	r.door = agentapi.New(agentapi.Deps{
		Hosts: r.hosts, Schedule: plans, Carves: r.carves, YARA: r.yara, Log: log,
		Pipeline: &pipeline.Pipeline{Hosts: r.hosts, Results: r.results, Distributed: r.distributed, Carves: r.carves, Log: log},
		Address:  func(*http.Request) string { return "192.0.2.1" },
	}, limits)
	r.server = httptest.NewServer(r.door.Handler())
	t.Cleanup(func() {
		r.server.Close()
		stop()
		working.Wait()
	})
	return r
}

// request is what an agent sends.
type request struct {
	path, key, body string
	method          string
	gzip            bool
}

// send returns the status and the body; the connection must not break.
func (r *rig) send(q request) (int, string) {
	r.Helper()
	body := []byte(q.body)
	if q.gzip {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(body)
		_ = z.Close()
		body = b.Bytes()
	}
	if q.method == "" {
		q.method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(r.Context(), q.method, r.server.URL+q.path, bytes.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	if q.key != "" {
		request.Header.Set("Authorization", "NodeKey "+q.key)
	}
	if q.gzip {
		request.Header.Set("Content-Encoding", "gzip")
	}
	response, err := r.server.Client().Do(request)
	if err != nil {
		r.Fatalf("%s: %v", q.path, err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		r.Fatalf("%s: %v", q.path, err)
	}
	if int64(len(answer)) != response.ContentLength {
		r.Errorf("%s: Content-Length %d for %d bytes", q.path, response.ContentLength, len(answer))
	}
	return response.StatusCode, string(answer)
}

// enroll returns the node key and the host of an agent called name.
func (r *rig) enroll(name string) (string, *hosts.Host) {
	r.Helper()
	_, answer := r.send(request{path: "/enroll", body: enrollBody(secret, name)})
	var got struct {
		NodeKey string `json:"node_key"`
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil || got.NodeKey == "" {
		r.Fatalf("enrolment answered %s", answer)
	}
	host, err := r.hosts.Find(r.Context(), name)
	if err != nil {
		r.Fatal(err)
	}
	return got.NodeKey, host
}

func enrollBody(secret, name string) string {
	return strings.NewReplacer("SECRET", secret, "NAME", name).Replace(`{"enroll_secret":"SECRET","host_identifier":"NAME","platform_type":"9",
		"host_details":{"os_version":{"platform":"ubuntu","name":"Ubuntu"},"osquery_info":{"instance_id":"i-NAME","version":"5.23.1"},
		"system_info":{"hostname":"NAME","uuid":"u-NAME","cpu_brand":"Xeon\u0000","hardware_serial":"s-NAME"}}}`)
}

// rows returns the stored rows of a query as JSON texts, newest first.
func (r *rig) rows(host *hosts.Host, name string) []string {
	r.Helper()
	found, _, _, err := r.results.Activity(r.Context(), results.ActivityFilter{HostID: host.ID, Name: name, Limit: 1000})
	if err != nil {
		r.Fatal(err)
	}
	var texts []string
	for _, row := range found {
		texts = append(texts, row.Action+" "+string(row.Columns))
	}
	return texts
}

// agentTakes is what an agent makes of an answer (osquery-tls 0): "success",
// "keeps" (fails and tries again) or "enrols anew".
func agentTakes(endpoint, body string) string {
	if strings.TrimSpace(body) == "" {
		return "success"
	}
	var parsed any
	if json.Unmarshal([]byte(body), &parsed) != nil {
		return "keeps"
	}
	object, _ := parsed.(map[string]any)
	switch {
	case strings.HasPrefix(endpoint, "carve"):
		return "success"
	case endpoint == "enroll":
		if key, _ := object["node_key"].(string); key != "" {
			return "success"
		}
		return "keeps"
	case object["node_invalid"] == true:
		return "enrols anew"
	case object["error"] != nil:
		return "keeps"
	}
	return "success"
}

// sendGzip posts a gzip log body without its last cut bytes, or with damage inside.
func (r *rig) sendGzip(key, body string, cut int, damaged bool) (int, string) {
	r.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(body))
	_ = z.Close()
	if damaged {
		for i := 12; i < b.Len()-8; i++ {
			b.Bytes()[i] = 0xff
		}
	}
	request, _ := http.NewRequestWithContext(r.Context(), http.MethodPost, r.server.URL+"/log", bytes.NewReader(b.Bytes()[:b.Len()-cut]))
	request.Header.Set("Authorization", "NodeKey "+key)
	request.Header.Set("Content-Encoding", "gzip")
	response, err := r.server.Client().Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(answer)
}
