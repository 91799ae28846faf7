package jobs

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"muster/server/database"
	"muster/server/database/dbtest"
)

// clock is a time that only the test moves.
type clock struct{ micros atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.micros.Store(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) now() time.Time          { return time.UnixMicro(c.micros.Load()) }
func (c *clock) advance(d time.Duration) { c.micros.Add(d.Microseconds()) }

func counting(name string, interval time.Duration) (Work, *atomic.Int64) {
	runs := &atomic.Int64{}
	return Work{Name: name, Interval: interval, Run: func(context.Context) error { runs.Add(1); return nil }}, runs
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestOnlyOneReplicaLeads(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, c := t.Context(), newClock()
		one, two := New(db, quiet(), c.now), New(db, quiet(), c.now)
		work, runs := counting("purge", time.Hour)

		if wait := one.attempt(ctx, work); runs.Load() != 1 || wait != time.Hour {
			t.Fatalf("the first ran %d times and waits %v", runs.Load(), wait)
		}
		if wait := two.attempt(ctx, work); runs.Load() != 1 || wait != poll {
			t.Fatalf("the second ran beside the first (%d) or waits %v", runs.Load(), wait)
		}
		c.advance(time.Hour)
		if two.attempt(ctx, work); runs.Load() != 1 {
			t.Fatal("the second was faster than the holder when the next run was due")
		}
		if one.attempt(ctx, work); runs.Load() != 2 {
			t.Fatal("the holder did not run again")
		}
		c.advance(time.Hour + grace) // the first has died
		if two.attempt(ctx, work); runs.Load() != 3 {
			t.Fatal("the second did not take over")
		}
		if one.attempt(ctx, work); runs.Load() != 3 {
			t.Fatal("the first came back and ran beside the new leader")
		}
		two.release(ctx, work.Name)
		if one.attempt(ctx, work); runs.Load() != 4 {
			t.Fatal("a released lease could not be taken at once")
		}
	})
}

func TestReplicasThatStartTogetherElectOne(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		c := newClock()
		work, runs := counting("purge", time.Hour)
		var all sync.WaitGroup
		for range 8 {
			r := New(db, quiet(), c.now)
			all.Go(func() { r.attempt(t.Context(), work) })
		}
		all.Wait()
		if runs.Load() != 1 {
			t.Errorf("%d replicas ran the work", runs.Load())
		}
	})
}

func TestAReplicaThatDiesWhileWorkingIsReplacedAfterOneTerm(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, c := t.Context(), newClock()
		dead, two := New(db, quiet(), c.now), New(db, quiet(), c.now)
		if ours, err := dead.acquire(ctx, "purge", c.now().Add(term)); !ours || err != nil {
			t.Fatalf("%v %v", ours, err)
		}
		work, runs := counting("purge", 24*time.Hour)
		if two.attempt(ctx, work); runs.Load() != 0 {
			t.Fatal("a live lease was taken")
		}
		c.advance(term)
		if two.attempt(ctx, work); runs.Load() != 1 {
			t.Fatal("a dead replica's lease was not taken")
		}
	})
}

func TestALeaseIsRenewedWhileTheWorkRuns(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		c := newClock()
		one, two := New(db, quiet(), c.now), New(db, quiet(), c.now)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if ours, err := one.acquire(ctx, "purge", c.now().Add(term)); !ours || err != nil {
			t.Fatalf("%v %v", ours, err)
		}
		ticks, lost, ended := make(chan time.Time), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			one.renew(ctx, "purge", ticks, func() { close(lost) })
		}()
		for range 5 {
			c.advance(term / 3)
			ticks <- c.now()
			waitForExpiry(t, db, c.now().Add(term))
		}
		if ours, err := two.acquire(ctx, "purge", c.now().Add(term)); ours || err != nil {
			t.Fatalf("a renewed lease was taken: %v %v", ours, err)
		}
		// The first is paused for longer than a term, and the second takes over.
		c.advance(2 * term)
		if ours, err := two.acquire(ctx, "purge", c.now().Add(term)); !ours || err != nil {
			t.Fatalf("an old lease was not taken: %v %v", ours, err)
		}
		ticks <- c.now()
		<-lost
		<-ended
	})
}

// waitForExpiry returns once the one lease lasts until at.
func waitForExpiry(t *testing.T, db *database.DB, at time.Time) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		var expires int64
		if err := db.Read(t.Context()).Raw("SELECT expires_at FROM leases").Scan(&expires).Error; err != nil {
			t.Fatal(err)
		}
		if expires == database.Micros(at) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the lease was not renewed")
		}
	}
}

func TestFailuresAreLoggedAndTriedAgainSoon(t *testing.T) {
	tests := []struct {
		name string
		run  func(context.Context) error
		want string
	}{
		{"an error", func(context.Context) error { return errors.New("disk full") }, "disk full"},
		{"a panic", func(context.Context) error { panic("no such thing") }, "no such thing"},
		{"a run that is too long", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, "deadline exceeded"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, db *database.DB) {
				var out bytes.Buffer
				c := newClock()
				r := New(db, slog.New(slog.NewTextHandler(&out, nil)), c.now)
				wait := r.attempt(t.Context(), Work{Name: "w", Interval: 24 * time.Hour, Timeout: 10 * time.Millisecond, Run: test.run})
				if wait != retry {
					t.Errorf("tried again after %v", wait)
				}
				if !strings.Contains(out.String(), test.want) || !strings.Contains(out.String(), "work=w") {
					t.Errorf("the log says %q", out.String())
				}
			})
		})
	}
}

func TestRunEndsWithItsContextAndReleasesTheLeases(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan string, 2)
		hold := func(name string) Work {
			return Work{Name: name, Interval: time.Millisecond, Run: func(ctx context.Context) error {
				ran <- name
				<-ctx.Done()
				return ctx.Err()
			}}
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			New(db, quiet(), time.Now).Run(ctx, hold("a"), hold("b"))
		}()
		<-ran
		<-ran
		cancel()
		<-ended
		var left int64
		if err := db.Read(context.Background()).Raw("SELECT count(*) FROM leases").Scan(&left).Error; err != nil || left != 0 {
			t.Errorf("%d leases are left, %v", left, err)
		}
	})
}

func TestADatabaseThatIsGoneIsWaitedFor(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		_ = db.Close()
		work, runs := counting("purge", time.Hour)
		if wait := New(db, quiet(), time.Now).attempt(t.Context(), work); wait != retry || runs.Load() != 0 {
			t.Errorf("waits %v, ran %d times", wait, runs.Load())
		}
	})
}
