package jobs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"time"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/fault"
)

// Topic is the bus topic of hints that jobs were added.
const Topic = "jobs"

// State says what becomes of a job. One that is done is deleted.
type State string

// The states.
const (
	Waiting State = "waiting"
	Running State = "running"
	Dead    State = "dead" // failed for good, until somebody replays or deletes it
)

// Job is a piece of work that must not be lost.
type Job struct {
	ID          int64
	Kind        string
	Args        json.RawMessage // as it was added; an object
	State       State
	Attempt     int // the first is 1; 0 before it
	MaxAttempts int
	RunAt       time.Time // not before
	LastError   string    // of the last attempt, fit to be shown
	Created     time.Time
	Updated     time.Time
}

// NewJob is a job to be added.
type NewJob struct {
	Kind string
	Args any // becomes JSON; no secrets: jobs can be listed
	// Key, unless it is empty, keeps a second job of the kind with the same key from
	// being added while one waits.
	Key   string
	RunAt time.Time // zero: at once
	// MaxAttempts is how often it is tried before it is dead; 0 means 12, which with
	// the usual waits takes about a day.
	MaxAttempts int
}

const defaultAttempts = 12

// Worker does the jobs of one kind.
type Worker struct {
	Kind string
	// Run does a job. Jobs are done at least once: it may be called again for what
	// it did already. nil means done. Any error means that it is tried again later,
	// longer and longer, but for those that GiveUp and Later make. A panic is an error.
	Run func(ctx context.Context, job Job) error
	// AtOnce is how many run at a time in one process; 0 means one.
	AtOnce int
	// Timeout ends the context of a run; 0 means a minute.
	Timeout time.Duration
}

// QueueOptions are for tests; the zero value of each means its default.
type QueueOptions struct {
	Now func() time.Time
	// Poll is the longest time between two looks for jobs (5 s).
	Poll time.Duration
}

// Queue keeps jobs in the table jobs and runs them, on every replica. It is safe
// for concurrent use.
type Queue struct {
	db      *database.DB
	bus     bus.Bus
	log     *slog.Logger
	o       QueueOptions
	holder  string
	workers map[string]Worker
	said    *failures
}

// NewQueue returns a queue without workers.
func NewQueue(db *database.DB, b bus.Bus, log *slog.Logger, o QueueOptions) *Queue {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Poll <= 0 {
		o.Poll = 5 * time.Second
	}
	return &Queue{db: db, bus: b, log: log, o: o, holder: rand.Text(), workers: map[string]Worker{}, said: &failures{}}
}

// With returns the queue inside a transaction: what it adds is there when the
// transaction commits. Call Hint afterwards, or the jobs start a few seconds late.
func (q *Queue) With(tx *database.DB) *Queue {
	inside := *q
	inside.db = tx
	return &inside
}

// Handle registers who does the jobs of a kind. It is called before Run.
func (q *Queue) Handle(w Worker) {
	w.AtOnce = max(w.AtOnce, 1)
	if w.Timeout <= 0 {
		w.Timeout = time.Minute
	}
	q.workers[w.Kind] = w
}

// Hint tells every replica that there is something to do.
func (q *Queue) Hint() { q.bus.Publish(Topic) }

// addAtOnce is how many jobs one statement stores.
const addAtOnce = 100

// Add stores jobs. Those whose key waits already are left out. Outside of a
// transaction it hints as well. Faults: those of the database.
func (q *Queue) Add(ctx context.Context, jobs ...NewJob) error {
	for some := range slices.Chunk(jobs, addAtOnce) {
		if err := q.add(ctx, some); err != nil {
			return err
		}
	}
	if !q.db.InTx() && len(jobs) > 0 {
		q.Hint()
	}
	return nil
}

// add stores some of them with one statement: a commit that agents wait for may add
// many.
func (q *Queue) add(ctx context.Context, jobs []NewJob) error {
	now := q.o.Now()
	var values []any
	for _, n := range jobs {
		args, err := json.Marshal(n.Args)
		if err != nil {
			return fault.Wrap(err, fault.Internal, "The job cannot be stored")
		}
		if n.Args == nil {
			args = []byte("{}")
		}
		if n.RunAt.IsZero() {
			n.RunAt = now
		}
		if n.MaxAttempts <= 0 {
			n.MaxAttempts = defaultAttempts
		}
		values = append(values, n.Kind, string(args), n.Key, n.MaxAttempts, database.Micros(n.RunAt), database.Micros(now), database.Micros(now))
	}
	return database.Fault(q.db.Write(ctx).Exec("INSERT INTO jobs (kind, args, unique_key, max_attempts, run_at, created_at, updated_at) VALUES "+
		listOf("(?, ?, ?, ?, ?, ?, ?)", len(jobs))+" ON CONFLICT DO NOTHING", values...).Error)
}

// listOf repeats a part of a statement, with commas between.
func listOf(part string, times int) string {
	return strings.TrimSuffix(strings.Repeat(part+", ", times), ", ")
}
