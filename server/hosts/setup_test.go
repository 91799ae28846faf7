package hosts

import (
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

const testSecret = "open sesame"

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// fixture is a loaded store with one secret, on a clock of its own.
type fixture struct {
	*Store
	t     testing.TB
	clock *clock
	bus   *bus.Memory
}

func discard() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func newFixture(t testing.TB, db *database.DB) *fixture {
	t.Helper()
	f := &fixture{t: t, clock: newClock(), bus: bus.NewMemory()}
	f.Store = New(db, f.bus, discard(), Options{Now: f.clock.now})
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.AddSecret(t.Context(), NewSecret{Name: "test", Secret: testSecret, Tags: []string{"new"}}); err != nil {
		t.Fatal(err)
	}
	return f
}

// each runs test on both engines.
func each(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *database.DB) { test(t, newFixture(t, db)) })
}

// afresh empties a database that several tests share.
func afresh(t *testing.T, db *database.DB) *fixture {
	t.Helper()
	for _, table := range []string{"host_tags", "tags", "node_keys", "hosts", "enroll_secrets"} {
		if err := db.Write(t.Context()).Exec("DELETE FROM " + table).Error; err != nil {
			t.Fatal(err)
		}
	}
	return newFixture(t, db)
}

// replica is a second store on the same database, as another process has.
func (f *fixture) replica() *fixture {
	f.t.Helper()
	other := &fixture{t: f.t, clock: f.clock, bus: f.bus}
	other.Store = New(f.db, f.bus, discard(), Options{Now: f.clock.now})
	if err := other.Load(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	return other
}

// agent describes who enrols.
type agent struct {
	identifier, instance, uuid, serial, hostname string
}

func (a agent) enrollment() Enrollment {
	return Enrollment{
		Secret: testSecret, Identifier: a.identifier, PlatformType: "9", Address: "10.0.0.1",
		Details: map[string]map[string]string{
			"os_version":   {"platform": "ubuntu", "name": "Ubuntu", "version": "24.04"},
			"osquery_info": {"instance_id": a.instance, "version": "5.23.1", "uuid": a.uuid},
			"system_info": {"uuid": a.uuid, "hardware_serial": a.serial, "hostname": a.hostname,
				"computer_name": a.hostname, "cpu_type": "x86_64", "cpu_brand": "Fast\x00\x00", "physical_memory": "8589934592"},
		},
	}
}

func web(n string) agent {
	return agent{"web" + n, "instance-" + n, "AAAAAAAA-0000-0000-0000-00000000000" + n, "serial" + n, "web" + n}
}

func (f *fixture) enroll(a agent) (string, *Host) {
	f.t.Helper()
	key, host, err := f.Enroll(f.t.Context(), a.enrollment())
	if err != nil {
		f.t.Fatalf("enrol %s: %v", a.identifier, err)
	}
	return key, host
}

func (f *fixture) refused(a agent) {
	f.t.Helper()
	if key, _, err := f.Enroll(f.t.Context(), a.enrollment()); !fault.Is(err, fault.Unauthenticated) || key != "" {
		f.t.Fatalf("enrol %s: %v, want a refusal", a.identifier, err)
	}
}

// authenticates checks that a key belongs to a host, or with id 0 that it is refused.
func (f *fixture) authenticates(key string, id int64) {
	f.t.Helper()
	host, err := f.Authenticate(f.t.Context(), key)
	switch {
	case id == 0 && !fault.Is(err, fault.Unauthenticated):
		f.t.Fatalf("authenticate: host %v, error %v, want Unauthenticated", host, err)
	case id != 0 && (err != nil || host.ID != id):
		f.t.Fatalf("authenticate: %v %v, want host %d", host, err, id)
	}
}

func (f *fixture) ok(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) want(err error, kind fault.Kind) {
	f.t.Helper()
	if !fault.Is(err, kind) {
		f.t.Fatalf("got %v, want %v", err, kind)
	}
}

func (f *fixture) find(id int64) *Host {
	f.t.Helper()
	host, err := f.FindByID(f.t.Context(), id)
	f.ok(err)
	return host
}

// eventually polls a condition that another goroutine brings about.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("never: " + what)
		}
	}
}
