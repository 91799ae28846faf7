package jobs

import (
	"errors"
	"strings"
	"testing"
	"time"

	"muster/server/database"
	"muster/server/database/dbtest"
)

func TestARunWhoseLeaseRanOutSaysNothingOfTheNextOne(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		for sentence, ended := range map[string]error{"it was done": nil, "it failed": errors.New("late"), "it gave up": GiveUp(errors.New("late"))} {
			r, ctx, w := newRig(t, db), t.Context(), Worker{Kind: "k", Timeout: time.Minute}
			r.ok(r.queue.Add(ctx, NewJob{Kind: "k"}))
			first, err := r.queue.claim(ctx, w, 1)
			r.ok(err)
			r.clock.advance(w.Timeout + leaseGrace)
			second, err := r.queue.claim(ctx, w, 1) // by the same process
			r.ok(err)
			r.ok(r.queue.note(ctx, first[0], ended))
			if running := r.list(Running); len(running) != 1 || running[0].Attempt != 2 {
				t.Errorf("%s: left is %+v", sentence, running)
			}
			r.ok(r.queue.note(ctx, second[0], nil))
			if left := r.list(""); len(left) != 0 {
				t.Errorf("%s: after the second run there is %+v", sentence, left)
			}
		}
	})
}

func TestAThousandJobsAreAddedAtOnceAndClaimedAsManyAsThereIsRoom(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r, ctx, w := newRig(t, db), t.Context(), Worker{Kind: "k", Timeout: time.Minute}
		many := make([]NewJob, 1001)
		for i := range many {
			many[i] = NewJob{Kind: "k", Args: map[string]int{"n": i}}
		}
		many[1000].Key, many[999].Key = "same", "same"
		r.ok(r.queue.Add(ctx, many...))
		for from := 0; from < 9; from += 3 {
			taken, err := r.queue.claim(ctx, w, 3)
			r.ok(err)
			if len(taken) != 3 {
				t.Fatalf("claimed %d", len(taken))
			}
		}
		if counts, err := r.queue.Counts(ctx); err != nil || counts["k"][Waiting] != 991 || counts["k"][Running] != 9 {
			t.Errorf("there are %v, %v", counts, err)
		}
	})
}

// A burst of jobs must not make each look for work a look at all of them.
func TestWhatIsDueIsReadFromTheIndexByKind(t *testing.T) {
	r := newRig(t, dbtest.Open(t, database.SQLite))
	r.queue.Handle(Worker{Kind: "a"})
	r.queue.Handle(Worker{Kind: "b"})
	r.ok(r.queue.Add(t.Context(), NewJob{Kind: "a"}, NewJob{Kind: "nobody's"}))
	due, err := r.queue.due(t.Context())
	if r.ok(err); len(due) != 1 || !due["a"].Equal(r.clock.now()) {
		t.Errorf("due is %v", due)
	}
	sql, args := r.queue.dueSQL()
	var steps []struct{ Detail string }
	r.ok(r.db.Read(t.Context()).Raw("EXPLAIN QUERY PLAN "+sql, args...).Scan(&steps).Error)
	indexed := false
	for _, step := range steps {
		indexed = indexed || strings.Contains(step.Detail, "SEARCH jobs USING INDEX jobs_due (kind=?)")
		if strings.Contains(step.Detail, "SCAN jobs") {
			t.Errorf("it reads them all: %v", steps)
		}
	}
	if !indexed {
		t.Errorf("the plan is %v", steps)
	}
}
