package hosts

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

func TestAHostThatEnrolledOnOneReplicaAuthenticatesOnAnother(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		other := f.replica()
		key, host := f.enroll(web("1"))
		other.authenticates(key, host.ID) // without any hint
		f.authenticates(newNodeKey(), 0)
		f.authenticates("", 0)
		f.authenticates("short", 0)
		f.authenticates(key+key, 0)
	})
}

func TestStorageFailureIsNeverUnauthenticated(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		key, host := f.enroll(web("1"))
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		// The lookup outlives its caller, so that this is a definite answer.
		_, err := f.Authenticate(cancelled, newNodeKey())
		f.want(err, fault.Unauthenticated)
		f.ok(f.db.Close())
		_, err = f.Authenticate(t.Context(), newNodeKey())
		if err == nil || fault.Is(err, fault.Unauthenticated) {
			t.Errorf("an unknown key with storage down: %v", err)
		}
		f.authenticates(key, host.ID)
	})
}

func TestUnknownKeysAreRememberedForAWhile(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, host := f.enroll(web("1"))
		late := newNodeKey()
		f.authenticates(late, 0)
		hash := hashKey(late)
		f.ok(f.db.Write(t.Context()).Exec("INSERT INTO node_keys (host_id, key_hash, created_at) VALUES (?, ?, 1)", host.ID, hash[:]).Error)
		f.authenticates(late, 0) // the database was not asked
		f.clock.advance(missMemory)
		f.authenticates(late, host.ID)
	})
}

func TestConcurrentCallersShareOneCall(t *testing.T) {
	f := newFlights[string, int]()
	var calls atomic.Int32
	release, entered := make(chan struct{}), make(chan struct{})
	fn := func(context.Context) (int, error) {
		if calls.Add(1) == 1 {
			close(entered)
		}
		<-release
		return 7, nil
	}
	var wait sync.WaitGroup
	wait.Go(func() { _, _ = f.do(t.Context(), "k", time.Minute, fn) })
	<-entered
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.do(gone, "k", time.Minute, fn); !fault.Is(err, fault.Busy) || !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that left got %v", err)
	}
	for range 10 {
		wait.Go(func() {
			if value, err := f.do(t.Context(), "k", time.Minute, fn); value != 7 || err != nil {
				t.Errorf("got %d %v", value, err)
			}
		})
	}
	close(release)
	wait.Wait()
	if n := calls.Load(); n < 1 || n > 11 || len(f.calls) != 0 {
		t.Errorf("%d calls, %d kept", n, len(f.calls))
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = f.do(t.Context(), "panics", time.Minute, func(context.Context) (int, error) { panic("x") })
	}()
	if len(f.calls) != 0 {
		t.Error("a panic blocks its key for ever")
	}
}

func TestRecentForgetsTheOldAndTheTooMany(t *testing.T) {
	now := time.Unix(1000, 0)
	r := newRecent[int, string](2, time.Minute)
	r.put(1, "a", now)
	r.put(2, "b", now.Add(time.Second))
	r.put(1, "A", now.Add(2*time.Second))
	r.put(3, "c", now.Add(3*time.Second)) // pushes 2 out
	for key, want := range map[int]string{1: "A", 2: "", 3: "c"} {
		if got, found := r.get(key, now.Add(4*time.Second)); got != want || found != (want != "") {
			t.Errorf("%d is %q", key, got)
		}
	}
	r.drop(3)
	r.drop(3)
	if _, found := r.get(1, now.Add(62*time.Second)); found || len(r.items) != 0 || r.order.Len() != 0 {
		t.Error("it never forgets")
	}
}

func TestEverythingAtOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, cancel := context.WithCancel(t.Context())
		other := f.replica()
		var background, work sync.WaitGroup
		background.Go(func() { f.Run(ctx) })
		background.Go(func() { other.Run(ctx) })
		for n := range 4 {
			a := web(fmt.Sprint(n + 1))
			work.Go(func() {
				for range 5 {
					key, host, err := f.Enroll(ctx, a.enrollment())
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := other.Authenticate(ctx, key); err != nil {
						t.Error(err)
					}
					other.Seen(host.ID, ContactResult, "10.0.0.2")
					if err := other.AddTag(ctx, host.ID, "busy"); err != nil {
						t.Error(err)
					}
					f.DueDetails(host)
					if err := f.SaveDetail(ctx, host.ID, "os_version", []map[string]string{{"platform": "rhel"}}); err != nil {
						t.Error(err)
					}
					if _, _, _, err := f.List(ctx, Filter{Search: "web"}); err != nil {
						t.Error(err)
					}
					f.clock.advance(2 * time.Second)
				}
			})
		}
		work.Wait()
		cancel()
		background.Wait()
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	f := newFixture(b, dbtest.Open(b, database.SQLite))
	key, host := f.enroll(web("1"))
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if got, err := f.Authenticate(ctx, key); err != nil || got.ID != host.ID {
				b.Fatal(err)
			}
			f.Seen(host.ID, ContactConfig, "10.0.0.1")
		}
	})
}

func TestAuthenticateAllocatesNothing(t *testing.T) {
	f := newFixture(t, dbtest.Open(t, database.SQLite))
	key, host := f.enroll(web("1"))
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		_, _ = f.Authenticate(ctx, key)
		f.Seen(host.ID, ContactConfig, "10.0.0.1")
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
