package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"muster/server/alerts"
	"muster/server/bus"
	"muster/server/carves"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/detect"
	"muster/server/hosts"
	"muster/server/intel"
	"muster/server/jobs"
	"muster/server/results"
	"muster/server/seal"
)

// rig is the pipeline over real stores, with one Linux host.
type rig struct {
	*testing.T
	db       *database.DB
	bus      bus.Bus
	host     *hosts.Host
	detect   *detect.Store
	intel    *intel.Store
	alerts   *alerts.Store
	results  *results.Store
	jobs     *jobs.Queue
	carves   *carves.Store
	pipeline *Pipeline
	lines    int
}

type rigOptions struct {
	detect   detect.Options
	everyone []string
}

func each(t *testing.T, o rigOptions, test func(r *rig)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *database.DB) { test(newRig(t, db, o)) })
}

func newRig(t *testing.T, db *database.DB, o rigOptions) *rig {
	t.Helper()
	log, ctx := slog.New(slog.NewTextHandler(testWriter{t}, nil)), t.Context()
	r := &rig{T: t, db: db, bus: bus.NewMemory(), alerts: alerts.New(db)}
	register := hosts.New(db, r.bus, log, hosts.Options{})
	r.ok(register.Load(ctx))
	r.ok(register.EnsureSecret(ctx, hosts.NewSecret{Name: "test", Secret: "enrol-me-please"}))
	_, host, err := register.Enroll(ctx, hosts.Enrollment{
		Secret: "enrol-me-please", Identifier: "11111111-AAAA-4AAA-8AAA-111111111111", PlatformType: "9", Address: "192.0.2.10",
		Details: map[string]map[string]string{
			"os_version": {"platform": "ubuntu", "name": "Ubuntu"}, "system_info": {"hostname": "web-1"}, "osquery_info": {"version": "5.23.1", "instance_id": "one"},
		},
	})
	r.ok(err)
	r.host = host
	r.detect = detect.New(db, r.bus, log, o.detect)
	r.ok(r.detect.Load(ctx))
	box, err := seal.New(make([]byte, seal.KeySize))
	r.ok(err)
	r.intel = intel.New(db, box, r.bus, log, intel.Options{})
	r.ok(r.intel.Load(ctx))
	r.jobs = jobs.NewQueue(db, r.bus, log, jobs.QueueOptions{Poll: 20 * time.Millisecond})
	raiser := &Raiser{DB: db, Alerts: r.alerts, Jobs: r.jobs, Bus: r.bus, Everyone: func(context.Context) ([]string, error) { return o.everyone, nil }}
	d := &Detection{Raiser: raiser, Hosts: register, Detect: r.detect, Intel: r.intel, Log: log,
		Tables: func(_ *hosts.Host, name string) []string { return []string{name} }}
	r.results = results.New(db, r.bus, log, results.Options{Found: d.Found, FoundCommitted: d.Committed})
	d.Results = r.results
	r.ok(r.results.EnsurePartitions(ctx))
	r.carves = carves.New(db, t.TempDir(), log, carves.Options{})
	r.pipeline = &Pipeline{Hosts: register, Results: r.results, Carves: r.carves, Detection: d, Log: log}
	r.background(r.results.Run)
	return r
}

// testWriter shows the log of a failing test.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(line []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(line)))
	return len(line), nil
}

func (r *rig) ok(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// background runs a part until the test ends.
func (r *rig) background(run func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); run(ctx) }()
	r.Cleanup(func() { cancel(); <-done })
}

// until waits for a state of affairs.
func (r *rig) until(what string, holds func() bool) {
	r.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.Fatalf("not in time: %s", what)
		}
	}
}

// rule stores a rule of one condition.
func (r *rig) rule(name, field, operator, value string) detect.Rule {
	r.Helper()
	rule, err := r.detect.Add(r.Context(), detect.Rule{
		Name: name, Severity: detect.Critical, Alerters: []string{"hook"}, TechniqueIDs: []string{"T1059"},
		Conditions: encoded(map[string]any{"condition": "AND", "rules": []any{map[string]any{"field": field, "operator": operator, "value": value}}}),
	})
	r.ok(err)
	r.ok(r.detect.Refresh(r.Context()))
	return rule
}

// line is a log line of one row.
func (r *rig) line(columns map[string]string) results.Line {
	r.lines++
	return results.Line{
		Key:     results.LineKey(r.host.ID, 1_700_000_000, fmt.Append(nil, r.lines), 0),
		Entries: []results.Entry{{HostID: r.host.ID, Name: "process_events", Action: "added", Columns: encoded(columns), UnixTime: 1_700_000_000}},
	}
}

func (r *rig) accept(lines ...results.Line) {
	r.Helper()
	if _, err := r.pipeline.Accept(r.Context(), r.host, lines); err != nil {
		r.Fatal(err)
	}
}

// raised are the alerts, the newest first.
func (r *rig) raised() []alerts.Alert {
	r.Helper()
	list, _, _, err := r.alerts.List(r.Context(), alerts.Filter{Limit: 1000})
	r.ok(err)
	return list
}

func (r *rig) count(from string) int {
	r.Helper()
	var n int
	r.ok(r.db.Read(r.Context()).Raw("SELECT count(*) FROM " + from).Scan(&n).Error)
	return n
}

// waiting are the jobs of a kind.
func (r *rig) waiting(kind string) []jobs.Job {
	r.Helper()
	list, _, err := r.jobs.List(r.Context(), jobs.Filter{Kind: kind, State: jobs.Waiting, Limit: 1000})
	r.ok(err)
	return list
}

func decoded[T any](r *rig, raw json.RawMessage) T {
	r.Helper()
	var value T
	r.ok(json.Unmarshal(raw, &value))
	return value
}
