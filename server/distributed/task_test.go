package distributed_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/distributed"
	"muster/server/fault"
)

func TestLaunch(t *testing.T) {
	each(t, 4, func(t *testing.T, f *fleet) {
		tests := []struct {
			name    string
			launch  distributed.Launch
			targets []int64
			online  int
		}{
			{"on all hosts", distributed.Launch{SQL: "select 1"}, []int64{4, 3, 2, 1}, 2},
			{"on named and tagged ones, each once", distributed.Launch{SQL: "select 1;", Identifiers: []string{"host-1", "host-2"}, Tags: []string{"odd"}}, []int64{3, 2, 1}, 2},
		}
		for _, test := range tests {
			launched, err := f.Launch(t.Context(), test.launch)
			if err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
			var targets []int64
			for _, host := range launched.Targets {
				targets = append(targets, host.ID)
			}
			if !cmp.Equal(targets, test.targets) || len(launched.Online) != test.online || launched.Query.Progress.Targeted != len(targets) {
				t.Errorf("%s: %v, %d online, %+v", test.name, targets, len(launched.Online), launched.Query)
			}
			found, err := f.Find(t.Context(), launched.Query.ID)
			if diff := cmp.Diff(launched.Query, found); err != nil || diff != "" {
				t.Errorf("%s: %v %s", test.name, err, diff)
			}
			if want := f.clock.now().Add(time.Hour); !found.ExpiresAt.Equal(want) {
				t.Errorf("expires at %v", found.ExpiresAt)
			}
		}
	})
}

func TestLaunchRefuses(t *testing.T) {
	each(t, 2, func(t *testing.T, f *fleet) {
		const sql = "select 1"
		tests := []struct {
			name   string
			launch distributed.Launch
			kind   fault.Kind
			public string
		}{
			{"SQL that agents would not take", distributed.Launch{SQL: "select * from userss"}, fault.Unprocessable,
				"Field must contain valid SQL to be run against osquery tables: line 1, column 15: no such table: userss (did you mean users?)"},
			{"names that no host has", distributed.Launch{SQL: sql, Identifiers: []string{"host-1", "nobody"}, Tags: []string{"nothing"}}, fault.NotFound,
				"No active node or tag is called nobody, nothing"},
			{"a tag that is on no host", distributed.Launch{SQL: sql, Tags: []string{"unused"}}, fault.NotFound, "No active node present"},
			{"an expiry too short", distributed.Launch{SQL: sql, Expires: time.Second}, fault.Invalid, "Input payload validation failed"},
			{"an expiry too long", distributed.Launch{SQL: sql, Expires: 8 * 24 * time.Hour}, fault.Invalid, "Input payload validation failed"},
		}
		for _, test := range tests {
			_, err := f.Launch(t.Context(), test.launch)
			if !fault.Is(err, test.kind) || fault.Public(err) != test.public {
				t.Errorf("%s: %v", test.name, err)
			}
		}
		if _, count, _ := f.List(t.Context(), distributed.Filter{}); count != 0 {
			t.Errorf("%d refused queries are stored", count)
		}
	})
}

func TestClaim(t *testing.T) {
	each(t, 3, func(t *testing.T, f *fleet) {
		launched, err := f.Launch(t.Context(), distributed.Launch{SQL: " select 1 ", Identifiers: []string{"host-1"}})
		if err != nil {
			t.Fatal(err)
		}
		id := launched.Query.ID
		want := distributed.Work{Queries: map[string]string{wire(id): "select 1"}, Accelerate: 60}
		if diff := cmp.Diff(want, f.claim(t, 1)); diff != "" {
			t.Error("a target gets", diff)
		}
		if diff := cmp.Diff(distributed.Work{}, f.claim(t, 2)); diff != "" {
			t.Error("another host gets", diff)
		}
		if diff := cmp.Diff(distributed.Work{Accelerate: 60}, f.claim(t, 1)); diff != "" {
			t.Error("a target that is at work gets", diff)
		}
		if p := f.progress(t, id); p.Sent != 1 || p.Open() != 1 {
			t.Errorf("%+v", p)
		}
		f.answer(t, 1, rows(id, "x"))
		if diff := cmp.Diff(distributed.Work{}, f.claim(t, 1)); diff != "" {
			t.Error("a target that is done gets", diff)
		}
	})
}

func TestResending(t *testing.T) {
	each(t, 1, func(t *testing.T, f *fleet) {
		id := f.launch(t)
		sent := func() bool { return len(f.claim(t, 1).Queries) == 1 }
		if !sent() {
			t.Fatal("not sent")
		}
		f.clock.advance(2*time.Minute - time.Microsecond)
		if sent() {
			t.Error("sent again before two minutes are over")
		}
		f.clock.advance(time.Microsecond)
		if !sent() || sent() {
			t.Error("not sent again, once, after two minutes")
		}
		if p := f.progress(t, id); p.Sent != 1 {
			t.Errorf("a host that was sent the query twice counts twice: %+v", p)
		}
		tasks, _, err := f.Tasks(t.Context(), distributed.TaskFilter{QueryID: id})
		if err != nil || tasks[0].Sends != 2 || !tasks[0].SentAt.Equal(f.clock.now()) || tasks[0].State != distributed.Sent {
			t.Errorf("%+v %v", tasks, err)
		}
		f.clock.advance(time.Hour)
		if sent() {
			t.Error("sent after it expired")
		}
	})
}

func TestResendingAfterARestart(t *testing.T) {
	each(t, 2, func(t *testing.T, f *fleet) {
		id := f.launch(t)
		f.claim(t, 1)
		again := distributed.New(f.db, f.hosts, f.bus, quiet, distributed.Options{Now: f.clock.now})
		if err := again.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		for host, want := range map[int64]int{1: 0, 2: 1} {
			if work, err := again.Claim(t.Context(), host); err != nil || len(work.Queries) != want {
				t.Errorf("host %d: %v %v", host, work, err)
			}
		}
		if p := f.progress(t, id); p.Sent != 2 {
			t.Errorf("%+v", p)
		}
	})
}

func TestClaimTakesFew(t *testing.T) {
	each(t, 1, func(t *testing.T, f *fleet) {
		for range 40 {
			f.launch(t)
		}
		if first, second := len(f.claim(t, 1).Queries), len(f.claim(t, 1).Queries); first != 32 || second != 8 {
			t.Errorf("%d queries, then %d", first, second)
		}
	})
}

func TestIdleReadsNeedNoDatabase(t *testing.T) {
	each(t, 2, func(t *testing.T, f *fleet) {
		f.launch(t)
		f.claim(t, 1)
		_ = f.db.Close()
		if work := f.claim(t, 99); len(work.Queries) != 0 {
			t.Errorf("%v", work)
		}
		if work := f.claim(t, 1); len(work.Queries) != 0 {
			t.Errorf("%v", work)
		}
		if _, err := f.Claim(t.Context(), 2); err == nil {
			t.Error("a query is handed out that cannot be marked")
		}
	})
}

func TestOutcomes(t *testing.T) {
	tests := []struct {
		name   string
		report distributed.Report
		want   distributed.Task
	}{
		{"rows", distributed.Report{Rows: []byte(` [{"a":"1"}, {"a":"x,]\""}] `), Stats: []byte(`{"wall_time_ms":1}`)},
			distributed.Task{State: distributed.Answered, RowCount: 2, Rows: []byte(`[{"a":"1"}, {"a":"x,]\""}]`), Stats: []byte(`{"wall_time_ms":1}`)}},
		{"no rows", distributed.Report{Rows: []byte(`[ ]`)}, distributed.Task{State: distributed.Empty}},
		{"the empty text of old agents", distributed.Report{Rows: []byte(`""`)}, distributed.Task{State: distributed.Empty}},
		{"nothing", distributed.Report{Stats: []byte(`"x"`)}, distributed.Task{State: distributed.Empty}},
		{"an error", distributed.Report{Status: 1, Message: "no such table: x\x00\xff", Rows: []byte("[]")},
			distributed.Task{State: distributed.Failed, Error: "no such table: x\ufffd"}},
		{"an error of an old agent", distributed.Report{Status: 2}, distributed.Task{State: distributed.Failed, Error: "the agent gives no reason (status 2)"}},
		{"a denylisted query", distributed.Report{Status: 1, Message: "distributed query is denylisted"},
			distributed.Task{State: distributed.Denylisted, Error: "distributed query is denylisted"}},
		{"bytes that no database stores", distributed.Report{Rows: []byte("[{\"a\":\"\xff\"}]")},
			distributed.Task{State: distributed.Answered, RowCount: 1, Rows: []byte("[{\"a\":\"\ufffd\"}]")}},
		{"what is no list", distributed.Report{Rows: []byte(`{"a":1}`)},
			distributed.Task{State: distributed.Failed, Error: "the agent's answer is no array of rows"}},
	}
	each(t, len(tests), func(t *testing.T, f *fleet) {
		id := f.launch(t)
		for i, test := range tests {
			host := int64(i + 1)
			f.claim(t, host)
			test.report.ID = wire(id)
			f.answer(t, host, test.report)
		}
		tasks, count, err := f.Tasks(t.Context(), distributed.TaskFilter{QueryID: id})
		if err != nil || count != len(tests) {
			t.Fatal(count, err)
		}
		for i, test := range tests {
			want, got := test.want, tasks[i]
			if got.Host == nil || got.Host.ID != int64(i+1) || got.Seq != int64(i+1) || !got.FinishedAt.Equal(f.clock.now()) {
				t.Errorf("%s: %+v", test.name, got)
			}
			if want.Rows == nil {
				want.Rows = []byte("[]")
			}
			if want.Stats == nil {
				want.Stats = []byte("{}")
			}
			got = distributed.Task{State: got.State, RowCount: got.RowCount, Rows: got.Rows, Error: got.Error, Stats: got.Stats}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", test.name, diff)
			}
		}
		query, err := f.Find(t.Context(), id)
		want := distributed.Progress{Targeted: 9, Sent: 9, Answered: 2, Empty: 3, Failed: 4}
		if diff := cmp.Diff(want, query.Progress); err != nil || diff != "" || !query.Finished() {
			t.Error(query, err, diff)
		}
	})
}

func TestAnswersThatCountForNothing(t *testing.T) {
	each(t, 3, func(t *testing.T, f *fleet) {
		id := f.launch(t)
		named, err := f.Launch(t.Context(), distributed.Launch{SQL: "select 1", Identifiers: []string{"host-1"}})
		if err != nil {
			t.Fatal(err)
		}
		f.claim(t, 1)
		f.answer(t, 1, rows(id, "first"))
		f.answer(t, 1, rows(id, "second"), rows(999, "x"), distributed.Report{ID: "other"}, distributed.Report{ID: "m-1"})
		f.answer(t, 2, rows(named.Query.ID, "not asked"))
		tasks, count, err := f.Tasks(t.Context(), distributed.TaskFilter{QueryID: id, States: []distributed.State{distributed.Answered}})
		if err != nil || count != 1 || string(tasks[0].Rows) != `[{"v":"first"}]` {
			t.Errorf("%+v %v", tasks, err)
		}
		if p := f.progress(t, named.Query.ID); p.Open() != 1 {
			t.Errorf("another host's query: %+v", p)
		}
		if _, _, err := f.Tasks(t.Context(), distributed.TaskFilter{QueryID: 999}); !fault.Is(err, fault.NotFound) {
			t.Errorf("tasks of an unknown query: %v", err)
		}
	})
}

func TestCancel(t *testing.T) {
	each(t, 3, func(t *testing.T, f *fleet) {
		id := f.launch(t)
		f.claim(t, 1)
		f.answer(t, 1, rows(id, "x"))
		f.claim(t, 2)
		for range 2 {
			if err := f.Cancel(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		f.answer(t, 2, rows(id, "too late"))
		if work := f.claim(t, 3); len(work.Queries) != 0 {
			t.Error("sent after it was cancelled")
		}
		want := map[int64]distributed.State{1: distributed.Answered, 2: distributed.Cancelled, 3: distributed.Cancelled}
		if diff := cmp.Diff(want, f.states(t, id)); diff != "" {
			t.Error(diff)
		}
		query, _ := f.Find(t.Context(), id)
		if query.Progress.Cancelled != 2 || query.CancelledAt.IsZero() || !query.Finished() {
			t.Errorf("%+v", query)
		}
		if err := f.Cancel(t.Context(), 999); !fault.Is(err, fault.NotFound) {
			t.Errorf("an unknown query: %v", err)
		}
	})
}

func TestExpiry(t *testing.T) {
	each(t, 3, func(t *testing.T, f *fleet) {
		id := f.launch(t)
		f.claim(t, 1)
		f.answer(t, 1, rows(id, "x"))
		f.claim(t, 2)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		over := make(chan struct{})
		go func() { defer close(over); f.Run(ctx) }()
		f.clock.advance(time.Hour)
		eventually(t, "the end of the query", func() bool { return f.progress(t, id).Open() == 0 })
		want := map[int64]distributed.State{1: distributed.Answered, 2: distributed.Expired, 3: distributed.Expired}
		if diff := cmp.Diff(want, f.states(t, id)); diff != "" {
			t.Error(diff)
		}
		// The host that had it answers late; the one that had not makes it up.
		f.answer(t, 2, rows(id, "late"))
		f.answer(t, 2, rows(id, "late again"))
		f.answer(t, 3, rows(id, "never asked"))
		want[2] = distributed.Answered
		if diff := cmp.Diff(want, f.states(t, id)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(distributed.Progress{Targeted: 3, Sent: 2, Answered: 2, Expired: 1}, f.progress(t, id)); diff != "" {
			t.Error(diff)
		}
		cancel()
		<-over
	})
}

func TestListAndPurge(t *testing.T) {
	each(t, 2, func(t *testing.T, f *fleet) {
		old := f.launch(t)
		if err := f.Cancel(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		f.clock.advance(time.Hour)
		second, third := f.launch(t), f.launch(t)
		if err := f.Cancel(t.Context(), third); err != nil {
			t.Fatal(err)
		}
		ids := func(filter distributed.Filter) (ids []int64, count int) {
			queries, count, err := f.List(t.Context(), filter)
			if err != nil {
				t.Fatal(err)
			}
			for _, query := range queries {
				ids = append(ids, query.ID)
			}
			return ids, count
		}
		if got, count := ids(distributed.Filter{Start: 1, Limit: 1}); count != 3 || !cmp.Equal(got, []int64{second}) {
			t.Errorf("a page: %v of %d", got, count)
		}
		if got, _ := ids(distributed.Filter{Open: true}); !cmp.Equal(got, []int64{second}) {
			t.Errorf("open: %v", got)
		}
		if err := f.Purge(t.Context(), f.clock.now()); err != nil {
			t.Fatal(err)
		}
		if got, _ := ids(distributed.Filter{}); !cmp.Equal(got, []int64{third, second}) {
			t.Errorf("after the purge: %v", got)
		}
		var left int
		f.db.Read(t.Context()).Raw("SELECT count(*) FROM live_tasks").Scan(&left)
		if left != 4 {
			t.Errorf("%d tasks are left", left)
		}
	})
}

func TestBusyWhenTooMuchWaits(t *testing.T) {
	f := newFleet(t, dbtest.Open(t, database.SQLite), 3)
	small := distributed.New(f.db, f.hosts, f.bus, quiet, distributed.Options{Now: f.clock.now, MaxQueue: 2})
	id := f.launch(t)
	release, held := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		_ = f.db.Tx(t.Context(), func(*database.DB) error {
			close(held)
			<-release
			return nil
		})
	})
	<-held
	refused := make(chan error, 16)
	for host := range int64(16) {
		group.Go(func() { refused <- small.Answer(t.Context(), host+1, []distributed.Report{rows(id, "x")}) })
	}
	// At most two wait for their transaction and two in the queue: the rest is refused at once.
	for range 12 {
		if err := <-refused; !fault.Is(err, fault.Busy) {
			t.Errorf("refused with %v", err)
		}
	}
	close(release)
	group.Wait()
	if err := small.Answer(t.Context(), 1, []distributed.Report{rows(id, "x")}); err != nil {
		t.Errorf("still refused: %v", err)
	}
}

func TestManyTargets(t *testing.T) {
	each(t, 2500, func(t *testing.T, f *fleet) {
		id := f.launch(t)
		if p := f.progress(t, id); p.Targeted != 2500 {
			t.Errorf("%+v", p)
		}
		tasks, count, err := f.Tasks(t.Context(), distributed.TaskFilter{QueryID: id, Start: 2499, WithoutRows: true})
		if err != nil || count != 2500 || len(tasks) != 1 || tasks[0].Host.Identifier != fmt.Sprintf("host-%d", 2500) {
			t.Errorf("%v of %d, %v", tasks, count, err)
		}
		if err := f.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		f.clock.advance(time.Second)
		if err := f.Purge(t.Context(), f.clock.now()); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Find(t.Context(), id); !fault.Is(err, fault.NotFound) {
			t.Errorf("found after the purge: %v", err)
		}
	})
}
