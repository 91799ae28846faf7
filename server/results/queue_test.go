package results

import (
	"testing"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

func ask(n, bytes int) *request {
	return &request{lines: make([]Line, n), bytes: bytes, done: make(chan outcome, 1)}
}

func TestAFullQueueIsBusyAtOnce(t *testing.T) {
	tests := []struct {
		name        string
		first, then *request
		refused     bool
	}{
		{"room for both", ask(5, 50), ask(5, 50), false},
		{"too many lines", ask(5, 10), ask(6, 10), true},
		{"too many bytes", ask(1, 60), ask(1, 41), true},
		{"one that is beyond the limits alone is taken, and fills the queue", ask(50, 500), ask(1, 1), true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			q := newQueue(Options{QueueLines: 10, QueueBytes: 100}.withDefaults())
			if err := q.push(test.first); err != nil {
				t.Fatal(err)
			}
			if err := q.push(test.then); fault.Is(err, fault.Busy) != test.refused {
				t.Errorf("got %v", err)
			}
			taken, _ := q.take(nil) // what is being written counts still
			if err := q.push(ask(9, 99)); !fault.Is(err, fault.Busy) {
				t.Errorf("while writing: %v", err)
			}
			for _, r := range taken {
				q.finish(r)
			}
			if err := q.push(ask(10, 100)); err != nil {
				t.Errorf("the room was not given back: %v", err)
			}
		})
	}
}

func TestAFullStoreDoesNoWork(t *testing.T) {
	db := dbtest.Open(t, database.SQLite)
	s, _ := running(t, db, Options{QueueLines: 10})
	release := hold(t, db)
	done := make(chan error, 1)
	go func() { _, err := s.Append(t.Context(), lines(1, 0, 8)); done <- err }()
	eventually(t, "the first is queued", func() bool { return s.Stats().QueuedLines == 8 })
	if _, err := s.Append(t.Context(), lines(1, 8, 11)); !fault.Is(err, fault.Busy) {
		t.Errorf("got %v", err)
	}
	if s.Stats().Refused != 1 {
		t.Errorf("%+v", s.Stats())
	}
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestABatchIsWhatFits(t *testing.T) {
	q := newQueue(Options{BatchLines: 10, BatchBytes: 100}.withDefaults())
	for _, r := range []*request{ask(4, 10), ask(6, 10), ask(1, 10), ask(1, 95), ask(500, 900), ask(1, 1)} {
		if err := q.push(r); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []int{2, 1, 1, 1, 1, 0} {
		taken, open := q.take(nil)
		if len(taken) != want || !open {
			t.Errorf("batch %d has %d requests, open %v", i, len(taken), open)
		}
	}
	q.close()
	if _, open := q.take(nil); open {
		t.Error("a closed and empty queue is open")
	}
}
