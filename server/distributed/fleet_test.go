package distributed_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/distributed"
	"muster/server/hosts"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// clock is a time that moves when told.
type clock struct{ micros atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.micros.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) now() time.Time          { return time.UnixMicro(c.micros.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.micros.Add(d.Microseconds()) }

// fleet is a store with hosts 1..n, named host-1 and so on, of which odd ones are
// tagged odd and online.
type fleet struct {
	*distributed.Store
	db    *database.DB
	hosts *hosts.Store
	bus   bus.Bus
	clock *clock
}

func newFleet(t testing.TB, db *database.DB, n int) *fleet {
	t.Helper()
	f := &fleet{db: db, bus: bus.NewMemory(), clock: newClock()}
	f.insertHosts(t, n)
	f.hosts = hosts.New(db, f.bus, quiet, hosts.Options{Now: f.clock.now})
	if err := f.hosts.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Store = distributed.New(db, f.hosts, f.bus, quiet, distributed.Options{
		Now: f.clock.now, PollEvery: 20 * time.Millisecond, Progress: time.Millisecond,
	})
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fleet) insertHosts(t testing.TB, n int) {
	t.Helper()
	f.exec(t, "INSERT INTO tags (id, value, created_at) VALUES (1, 'odd', 1), (2, 'unused', 1)")
	now := f.clock.now().UnixMicro()
	var machines, tagged []string
	for id := 1; id <= n; id++ {
		machines = append(machines, fmt.Sprintf("(%d, 'host-%d', 'name-%d', 'linux', %d, %d, %d)", id, id, id, now, now, int64(id%2)*now))
		if id%2 == 1 {
			tagged = append(tagged, fmt.Sprintf("(%d, 1)", id))
		}
	}
	f.exec(t, "INSERT INTO hosts (id, identifier, hostname, platform, enrolled_on, updated_at, last_checkin) VALUES "+strings.Join(machines, ","))
	f.exec(t, "INSERT INTO host_tags (host_id, tag_id) VALUES "+strings.Join(tagged, ","))
}

func (f *fleet) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if err := f.db.Write(context.Background()).Exec(sql, args...).Error; err != nil {
		t.Fatal(err)
	}
}

// launch starts a query on all hosts.
func (f *fleet) launch(t testing.TB) int64 {
	t.Helper()
	launched, err := f.Launch(t.Context(), distributed.Launch{SQL: "select * from users"})
	if err != nil {
		t.Fatal(err)
	}
	return launched.Query.ID
}

func (f *fleet) claim(t testing.TB, host int64) distributed.Work {
	t.Helper()
	work, err := f.Claim(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	return work
}

func (f *fleet) answer(t testing.TB, host int64, reports ...distributed.Report) {
	t.Helper()
	if err := f.Answer(t.Context(), host, reports); err != nil {
		t.Fatal(err)
	}
}

func (f *fleet) progress(t testing.TB, query int64) distributed.Progress {
	t.Helper()
	found, err := f.Find(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	return found.Progress
}

func (f *fleet) states(t testing.TB, query int64) map[int64]distributed.State {
	t.Helper()
	tasks, _, err := f.Tasks(t.Context(), distributed.TaskFilter{QueryID: query, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	states := map[int64]distributed.State{}
	for _, task := range tasks {
		states[task.HostID] = task.State
	}
	return states
}

func wire(query int64) string { return fmt.Sprintf("m%d", query) }

func rows(query int64, values ...string) distributed.Report {
	list := []map[string]string{}
	for _, value := range values {
		list = append(list, map[string]string{"v": value})
	}
	text, _ := json.Marshal(list)
	return distributed.Report{ID: wire(query), Rows: text}
}

// eventually polls until check holds.
func eventually(t testing.TB, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !check(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

func each(t *testing.T, n int, test func(t *testing.T, f *fleet)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *database.DB) { test(t, newFleet(t, db, n)) })
}
