package agenttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const lifeConfig = `{"schedule":{"hosts":{"query":"select * from etc_hosts","interval":60},"busy":{"query":"select pid, cmdline from process_events","interval":1}}}`

func TestAKillKeepsWhatADatabaseKeeps(t *testing.T) {
	server := newReference(t)
	directory := t.TempDir()
	for name, kill := range map[string]func(*Agent) *Agent{
		"in memory": func(a *Agent) *Agent { a.Kill(); a.Restart(); return a },
		"on disk": func(a *Agent) *Agent {
			again, err := New(a.opt)
			must(t, err)
			a.Kill()
			return again
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := server.agent(t, func(o *Options) {
				o.StateDir, o.Chaos = directory, Chaos{Backlog: 5, InvalidUTF8: true}
				if name == "in memory" {
					o.StateDir = ""
				}
			})
			must(t, a.Enroll(t.Context()))
			must(t, a.ApplyConfig([]byte(lifeConfig)))
			_, err := a.RunQueries(t.Context())
			must(t, err)
			server.on("/distributed/read", once(answer{body: `{"accelerate":600}`}))
			must(t, a.PollDistributed(t.Context()))
			key, host, lines, splayed := a.NodeKey(), a.HostIdentifier(), a.Buffered(), a.splay("hosts", 60)

			b := kill(a)
			defer b.Kill()
			wantEqual(t, "key", b.NodeKey(), key)
			wantEqual(t, "instance", b.HostIdentifier(), host)
			wantEqual(t, "lines", fmt.Sprint(b.Buffered()), fmt.Sprint(lines))
			wantEqual(t, "splay", b.splay("hosts", 60), splayed)
			wantEqual(t, "accelerated", b.distributedWait(), 5*time.Second)
			if b.currentConfig() != nil {
				t.Error("the config outlived the process")
			}
			must(t, b.ApplyConfig([]byte(lifeConfig)))
			_, err = b.RunQueries(t.Context(), "hosts")
			must(t, err)
			wantEqual(t, "lines after the same rows again", len(b.Buffered()), len(lines))
			_, err = b.RunQueries(t.Context(), "busy")
			must(t, err)
			counters := map[int64]bool{}
			for _, r := range results(t, b) {
				counters[r.Counter] = r.Name == "busy" || counters[r.Counter]
			}
			wantEqual(t, "counter of the second run", counters[2], true)
		})
	}
}

func TestAStateFileThatIsBrokenIsAnError(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, func(o *Options) { o.StateDir = t.TempDir() })
	must(t, os.WriteFile(a.statePath(), []byte("{"), 0o600))
	if _, err := New(a.opt); err == nil || !strings.Contains(err.Error(), "state") {
		t.Errorf("got %v", err)
	}
}

func TestAWipedAgentIsANewInstance(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, nil)
	must(t, a.Enroll(t.Context()))
	before, name := a.HostIdentifier(), a.Hostname()
	a.Kill()
	a.Wipe()
	a.Restart()
	wantEqual(t, "key", a.NodeKey(), "")
	wantEqual(t, "name", a.Hostname(), name)
	if a.HostIdentifier() == before {
		t.Error("the same instance")
	}
}

func TestAnImagedDiskIsTheSameInstanceOnAnotherMachine(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, nil)
	must(t, a.Enroll(t.Context()))
	twin, err := a.CloneDisk(99)
	must(t, err)
	defer twin.Kill()
	wantEqual(t, "key", twin.NodeKey(), a.NodeKey())
	wantEqual(t, "instance", twin.HostIdentifier(), a.HostIdentifier())
	if twin.Hostname() == a.Hostname() {
		t.Error("the same machine")
	}
	a.AddResult("q", map[string]string{"n": "1"})
	wantEqual(t, "lines of the twin", len(twin.Buffered()), 0)
}

func TestWhatCallsItselfHow(t *testing.T) {
	server := newReference(t)
	for flag, want := range map[string]func(a *Agent) string{
		"hostname": func(a *Agent) string { return a.machine.hostname },
		"uuid":     func(a *Agent) string { return a.machine.uuid },
		"instance": func(a *Agent) string { return a.machine.instance },
	} {
		a, _ := server.agent(t, func(o *Options) { o.Flags = map[string]string{"host_identifier": flag} })
		wantEqual(t, flag, a.HostIdentifier(), want(a))
	}
	a, _ := server.agent(t, func(o *Options) {
		o.Flags = map[string]string{"host_identifier": "specified", "specified_identifier": "me"}
	})
	wantEqual(t, "specified", a.HostIdentifier(), "me")
}

func TestRunIsAnAgentsWholeLife(t *testing.T) {
	server := newReference(t)
	server.always("/config", answer{body: lifeConfig})
	server.on("/distributed/read", once(answer{body: `{"queries":{"a":"select * from carves where carve=1 and path='/etc/hosts'"}}`}))
	clock := NewManualClock(start)
	a, err := New(Options{Server: server.URL, RootCAs: server.roots(), Seed: 1, Clock: clock, Chaos: Chaos{Backlog: 1}})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error)
	go func() { ended <- a.Run(ctx) }()
	// Config, log, distributed and schedule loop sleep; the carver waits for the grid.
	for ; len(server.seen("/upload_blocks")) == 0 || a.Stats().LinesAccepted < 8; clock.Advance(time.Second) {
		if err := clock.BlockUntil(ctx, 4); err != nil {
			t.Fatal(err)
		}
	}
	stats := a.Stats()
	wantEqual(t, "enrolled", stats.Enrolls, 1)
	wantEqual(t, "answers", stats.Answers, 1)
	if taken := clock.Now().Sub(start); taken < 55*time.Second || taken > 90*time.Second {
		t.Errorf("the carve began after %s", taken)
	}
	stop()
	must(t, <-ended)
}

func TestRunEndsWithAKillAndGoesOnAfterARestart(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, func(o *Options) { o.Clock = NewManualClock(start) })
	for range 2 {
		ended := make(chan error)
		reads := len(server.seen("/distributed/read"))
		go func() { ended <- a.Run(t.Context()) }()
		waitFor(t, func() bool { return len(server.seen("/distributed/read")) > reads })
		a.Kill()
		if err := <-ended; !errors.Is(err, ErrKilled) {
			t.Errorf("got %v", err)
		}
		if err := a.Enroll(t.Context()); err == nil {
			t.Error("a dead agent enrolls")
		}
		a.Restart()
	}
	wantEqual(t, "enrolments", a.Stats().Enrolls, 1)
}

func TestAnAgentWithoutAKeyStartsAgain(t *testing.T) {
	server := newReference(t)
	clock := NewSkippingClock(start)
	a, _ := server.agent(t, func(o *Options) {
		o.Clock = clock
		o.Flags = map[string]string{"tls_enroll_max_attempts": "2"}
	})
	var refused atomic.Int32
	server.on("/enroll", func(r request) answer {
		if refused.Add(1) <= 20 {
			return answer{body: `{"node_invalid":true}`}
		}
		return server.standard(r)
	})
	ctx, stop := context.WithCancel(t.Context())
	server.on("/distributed/read", func(request) answer {
		stop()
		return answer{body: `{}`}
	})
	must(t, a.Run(ctx))
	stats := a.Stats()
	wantEqual(t, "starts given up", stats.Keyless, 2)
	wantEqual(t, "restarts", stats.Restarts, 2)
	wantEqual(t, "wiped", stats.ConfigWiped, 0)
}

// The invariant that this package exists to prove, against a server that keeps
// its word while everything around it fails.
func TestNoLineThatAnAgentDeletedIsMissing(t *testing.T) {
	server := newReference(t)
	var dice atomic.Pointer[rand.Rand]
	var rolling sync.Mutex
	dice.Store(rand.New(rand.NewPCG(1, 2)))
	server.on("/log", func(r request) answer {
		rolling.Lock()
		roll := dice.Load().IntN(8)
		rolling.Unlock()
		switch roll {
		case 0:
			return answer{hangUp: true}
		case 1:
			return answer{status: 503, body: `{"error":"busy"}`}
		case 2:
			return answer{status: 502, body: "<html>"}
		case 3:
			server.store(r)
			return answer{hangUp: true}
		case 4:
			return answer{body: `{"node_invalid":true}`}
		}
		return server.standard(r)
	})
	ledger := NewLedger(true)
	a, _ := server.agent(t, func(o *Options) {
		o.Ledger = ledger
		o.Flags = map[string]string{"logger_tls_max_lines": "50"}
		o.Chaos = Chaos{Backlog: 1000, LoseAnswer: 0.1, DuplicateBatch: 0.1, OldKeyAfterReenroll: true, GiantLine: 2 << 20}
	})
	must(t, a.ApplyConfig([]byte(lifeConfig)))
	var crashing atomic.Int32
	a.opt.Chaos.Crash = func(step Step) bool { return step == StepLogPosted && crashing.Add(1)%7 == 0 }
	for round := 0; len(a.Buffered()) > 0; round++ {
		_, _ = a.RunQueries(t.Context(), "busy")
		if err := a.FlushLogs(t.Context()); errors.Is(err, ErrCrashed) {
			a.Restart()
		}
	}
	if missing := ledger.Missing(server.stored); len(missing) > 0 {
		t.Errorf("%d of %d lines are missing", len(missing), ledger.Count())
	}
	stats := a.Stats()
	if stats.Crashes == 0 || stats.Failures == 0 || ledger.Count() < 1000 {
		t.Errorf("nothing went wrong: %d crashes, %d failures, %d lines", stats.Crashes, stats.Failures, ledger.Count())
	}
	line := ledger.Lines()[0]
	if !ledger.Has(line.Host, line.Raw) || ledger.Has("another", line.Raw) {
		t.Error("the ledger does not know its own lines")
	}
	server.lines = map[string]int{}
	wantEqual(t, "missing once the server forgets", len(ledger.Missing(server.stored)), ledger.Count())
}

// waitFor polls with a deadline for something that another goroutine does.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for tick := time.NewTicker(10 * time.Millisecond); !done(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("it did not happen")
		}
	}
}
