package detect

import (
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"muster/server/bus"
	"muster/server/condition"
	"muster/server/database"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock is a time that tests move by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// none is what ships where a test does not care.
var none fs.FS = fstest.MapFS{}

// loaded returns a store with a clock that stands at noon.
func newLoaded(t *testing.T, db *database.DB) (*Store, *clock) {
	t.Helper()
	c := &clock{at: noon}
	s := New(db, bus.NewMemory(), quiet(t), Options{Now: c.now, Shipped: none})
	ok(t, s.Load(t.Context()))
	return s, c
}

func quiet(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, nil))
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(line []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(line)))
	return len(line), nil
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// where are conditions of one leaf.
func where(field, operator string, value any) json.RawMessage {
	text, err := json.Marshal(map[string]any{"condition": "AND", "rules": []any{map[string]any{"field": field, "operator": operator, "value": value}}})
	if err != nil {
		panic(err)
	}
	return text
}

func added(t *testing.T, s *Store, name string, conditions json.RawMessage) Rule {
	t.Helper()
	r, err := s.Add(t.Context(), Rule{Name: name, Conditions: conditions})
	ok(t, err)
	return r
}

// event is a row of process_events on a Linux host.
func event(t testing.TB, columns string) Event {
	t.Helper()
	var row condition.Object
	if err := row.Load(columns); err != nil {
		t.Fatal(err)
	}
	return Event{
		HostID: 7, HostIdentifier: "web-1", Platform: "linux", Query: "process_events", Action: "added", UnixTime: noon.Unix(),
		Tables: []string{"process_events"}, Row: &row, Within: time.Minute,
	}
}

// names are the rules that the event meets.
func names(t testing.TB, s *Store, e Event) string {
	t.Helper()
	matches, complete := s.Evaluate(e)
	if !complete {
		t.Error("the evaluation is not complete")
	}
	var all []string
	for _, m := range matches {
		all = append(all, m.Name)
	}
	return strings.Join(all, " ")
}

// until waits for what another goroutine does.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("in vain: ", what)
		}
	}
}

// running runs a store until the test ends.
func running(t *testing.T, s *Store) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

func sortedWords(text string) []string { return sorted(strings.Fields(text)) }

func sorted(texts []string) []string {
	slices.Sort(texts)
	return texts
}
