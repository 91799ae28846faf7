package intel

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/server/bus"
	"muster/server/condition"
	"muster/server/database"
	"muster/server/seal"
)

// testWriter shows the log of a failing test.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(line []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(line)))
	return len(line), nil
}

func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func newStore(t testing.TB, db *database.DB, box *seal.Box) *Store {
	return New(db, box, bus.NewMemory(), testLog(t), Options{})
}

// newStoreAt is a store with a clock that the test moves.
func newStoreAt(t testing.TB, db *database.DB, now *clock) *Store {
	return New(db, newBox(t, 1), bus.NewMemory(), testLog(t), Options{Now: now.Now})
}

// clock is a time that tests move by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

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

// found is what a row holds, as "type value (threat) in column" of each.
func found(t testing.TB, s *Store, columns string) []string {
	t.Helper()
	var row condition.Object
	if err := row.Load(columns); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, h := range s.Check(&row) {
		texts = append(texts, string(h.Indicator.Type)+" "+h.Indicator.Value+" ("+h.Indicator.ThreatName+") in "+h.Column)
	}
	return texts
}
