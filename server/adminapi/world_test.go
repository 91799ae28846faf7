package adminapi

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/accounts"
	"muster/server/alerts"
	"muster/server/bus"
	"muster/server/carves"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/detect"
	"muster/server/distributed"
	"muster/server/hosts"
	"muster/server/intel"
	"muster/server/jobs"
	"muster/server/outputs"
	"muster/server/pipeline"
	"muster/server/results"
	"muster/server/schedule"
	"muster/server/seal"
	"muster/yara"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const adminPassword = "correct horse"

// clock is a time that tests move by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is the API over real stores on a real database, at a fixed time, with
// two hosts: id 1, a Linux machine that is online, and id 2, a Windows machine
// that is not.
type world struct {
	t       *testing.T
	clock   *clock
	deps    Deps
	queue   *jobs.Queue
	api     *api
	server  *httptest.Server
	closing chan struct{}
	token   string
	scrub   []string // pairs of what differs between runs, and what stands for it
	lines   int64    // of result logs, so far
	alerts  []int64  // those of alerted
}

// each runs test on both engines.
func each(t *testing.T, test func(w *world)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *database.DB) { test(newWorld(t, db)) })
}

func newWorld(t *testing.T, db *database.DB) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)}, closing: make(chan struct{})}
	log := slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	hints := bus.NewMemory()
	w.deps = Deps{
		Accounts: accounts.New(db, accounts.Options{Now: w.clock.Now}),
		Hosts:    hosts.New(db, hints, log, hosts.Options{Now: w.clock.Now}),
		Schedule: schedule.New(db, hints, log, schedule.Options{Now: w.clock.Now}),
		Results:  results.New(db, hints, log, results.Options{Now: w.clock.Now}),
		Carves:   carves.New(db, t.TempDir(), log, carves.Options{Now: w.clock.Now}),
		YARA:     yara.New(db, hints, log, yara.Options{Now: w.clock.Now}), AgentURL: "https://fleet.example.com:8443",
		Mail: outputs.NewMail(db, newBox(t), outputs.MailOptions{Now: w.clock.Now}), Intel: intel.New(db, newBox(t), hints, log, intel.Options{Now: w.clock.Now}), Alerts: alerts.New(db),
		Detect: detect.New(db, hints, log, detect.Options{Now: w.clock.Now}),
		Keep:   results.Keep{ResultsDays: 30, StatusDays: 7, LiveDays: 30}, Downloads: t.TempDir(),
		Version: "test", CACert: func() []byte { return []byte("-----BEGIN CERTIFICATE-----\n") },
		Origins: []string{"https://console.example"}, Log: log, Closing: w.closing, Now: w.clock.Now,
	}
	w.deps.Alerts.Now = w.clock.Now
	w.queue = jobs.NewQueue(db, hints, log, jobs.QueueOptions{Now: w.clock.Now, Poll: 5 * time.Millisecond})
	w.deps.Jobs = w.queue
	w.deps.Alerters = outputs.NewAlerters(outputs.AlerterDeps{
		DB: db, Box: newBox(t), Mail: w.deps.Mail, Queue: w.queue, Hosts: w.deps.Hosts, Alerts: w.deps.Alerts, Rules: w.deps.Detect, Log: log, Now: w.clock.Now,
	})
	w.deps.Trials = &pipeline.RuleTrials{Hosts: w.deps.Hosts, Results: w.deps.Results, Detect: w.deps.Detect, Alerts: w.deps.Alerts, Tables: w.deps.Schedule.Tables, Now: w.clock.Now}
	w.deps.Destinations = outputs.NewDestinations(outputs.DestinationDeps{
		DB: db, Box: newBox(t), Hosts: w.deps.Hosts, Results: w.deps.Results, Alerts: w.deps.Alerts, Bus: hints, Log: log,
	}, outputs.DestinationOptions{Folder: t.TempDir(), Now: w.clock.Now})
	w.deps.Distributed = distributed.New(db, w.deps.Hosts, hints, log, distributed.Options{Now: w.clock.Now})
	ctx := t.Context()
	w.ok(w.deps.Results.EnsurePartitions(ctx))
	w.ok(w.deps.Hosts.Load(ctx))
	w.ok(w.deps.Schedule.Load(ctx))
	w.ok(w.deps.Distributed.Load(ctx))
	w.ok(w.deps.YARA.Load(ctx))
	w.ok(w.deps.Detect.Load(ctx))
	w.ok(w.deps.Intel.Load(ctx))
	w.background(w.deps.Results.Run)
	w.ok(w.deps.Accounts.AddUser(ctx, "admin", adminPassword))
	w.api = newAPI(w.deps)
	w.server = httptest.NewTLSServer(w.api.handler())
	t.Cleanup(func() { w.server.Close(); w.noSockets() })
	w.seed(ctx)
	w.token = w.login(adminPassword)
	return w
}

// newBox seals with a key that is the same in every run.
func newBox(t *testing.T) *seal.Box {
	t.Helper()
	box, err := seal.New(make([]byte, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return box
}

// testWriter shows the log of a failing test.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(line []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(line)))
	return len(line), nil
}

// noSockets waits until every WebSocket has given its place back.
func (w *world) noSockets() {
	for deadline := time.Now().Add(10 * time.Second); ; {
		w.api.sockets.mu.Lock()
		open := len(w.api.sockets.open)
		w.api.sockets.mu.Unlock()
		if open == 0 {
			return
		}
		if time.Now().After(deadline) {
			w.t.Error("WebSockets stay open")
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// background runs a part of a store until the test ends.
func (w *world) background(run func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); run(ctx) }()
	w.t.Cleanup(func() { cancel(); <-done })
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) seed(ctx context.Context) {
	_, err := w.deps.Hosts.AddSecret(ctx, hosts.NewSecret{Name: "test", Secret: "enrol-me-please", Tags: []string{"lab"}})
	w.ok(err)
	w.enroll("11111111-AAAA-4AAA-8AAA-111111111111", "ubuntu", map[string]string{
		"hostname": "web-1", "computer_name": "web-1", "hardware_vendor": "QEMU", "hardware_model": "Standard PC", "physical_memory": "8362713088", "cpu_type": "x86_64",
	})
	w.clock.pass(time.Minute)
	w.enroll("22222222-BBBB-4BBB-8BBB-222222222222", "windows", map[string]string{"hostname": "desk-2", "computer_name": "DESK-2", "cpu_type": "x86_64"})
	w.clock.pass(10 * time.Minute)
	for _, contact := range []hosts.Contact{hosts.ContactConfig, hosts.ContactStatus, hosts.ContactQueryRead} {
		w.deps.Hosts.Seen(1, contact, "192.0.2.10")
	}
}

func (w *world) enroll(identifier, platform string, system map[string]string) {
	w.t.Helper()
	mask := map[string]string{"ubuntu": "9", "windows": "2"}[platform]
	system["uuid"] = identifier
	key, host, err := w.deps.Hosts.Enroll(w.t.Context(), hosts.Enrollment{
		Secret: "enrol-me-please", Identifier: identifier, PlatformType: mask, Address: "192.0.2.10",
		Details: map[string]map[string]string{
			"os_version":   {"name": map[string]string{"ubuntu": "Ubuntu", "windows": "Microsoft Windows 11"}[platform], "platform": platform, "major": "24"},
			"osquery_info": {"version": "5.23.1", "instance_id": "instance-" + identifier, "build_platform": platform},
			"system_info":  system,
		},
	})
	w.ok(err)
	w.scrub = append(w.scrub, key, "NODE-KEY", host.Identifier, host.Identifier)
}

func (w *world) login(password string) string {
	w.t.Helper()
	status, body := w.do("POST", "/login", map[string]any{"username": "admin", "password": password})
	var got struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(body, &got); err != nil || status != http.StatusOK || got.Token == "" {
		w.t.Fatalf("login: %d %s", status, body)
	}
	w.scrub = append(w.scrub, got.Token, "TOKEN")
	return got.Token
}

// do calls a path below the base (or, with "//", from the root) with a JSON body.
func (w *world) do(method, path string, body any) (int, []byte) {
	w.t.Helper()
	response := w.send(method, path, body, w.token)
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	w.ok(err)
	w.described(response, content)
	return response.StatusCode, content
}

func (w *world) send(method, path string, body any, token string) *http.Response {
	w.t.Helper()
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		w.ok(err)
		content = bytes.NewReader(raw)
	}
	request, err := http.NewRequestWithContext(w.t.Context(), method, w.url(path), content)
	w.ok(err)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("x-access-token", token)
	}
	response, err := w.server.Client().Do(request)
	w.ok(err)
	return response
}

func (w *world) url(path string) string {
	if root, ok := strings.CutPrefix(path, "//"); ok {
		return w.server.URL + "/" + root
	}
	return w.server.URL + base + path
}

// golden compares an answer with testdata/NAME.json; both engines give the same.
func (w *world) golden(name string, status int, body []byte) {
	w.t.Helper()
	text := string(body)
	for i := 0; i+1 < len(w.scrub); i += 2 {
		text = strings.ReplaceAll(text, w.scrub[i], w.scrub[i+1])
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(strings.TrimSpace(text)), "", "  "); err != nil {
		w.t.Fatalf("%s is no JSON: %s", name, text)
	}
	got := fmt.Sprintf("// %d\n%s\n", status, pretty.String())
	file := filepath.Join("testdata", name+".json")
	if *update {
		w.ok(os.MkdirAll(filepath.Dir(file), 0o755))
		w.ok(os.WriteFile(file, []byte(got), 0o600))
	}
	want, err := os.ReadFile(file)
	w.ok(err)
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		w.t.Errorf("%s: %s", name, diff)
	}
}

// expect calls and compares.
func (w *world) expect(name, method, path string, body any) {
	w.t.Helper()
	status, content := w.do(method, path, body)
	w.golden(name, status, content)
}
