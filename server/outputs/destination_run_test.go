package outputs

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"muster/server/alerts"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/results"
)

// hook is a webhook that keeps the lines it took, and can be told to refuse.
type hook struct {
	t        *testing.T
	server   *receiver
	refusing atomic.Bool
	hanging  chan struct{} // requests wait until it is closed, if it is not nil

	mu  sync.Mutex
	all []sent
}

func newHook(t *testing.T) *hook {
	h := &hook{t: t}
	h.server = startReceiver(t, func(w http.ResponseWriter, r received) {
		if h.hanging != nil {
			<-h.hanging
		}
		if h.refusing.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		lines := parse(t, r.body)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.all = append(h.all, lines...)
	})
	return h
}

func (h *hook) settings() map[string]any { return map[string]any{"url": h.server.URL + "/in"} }

// took are the lines taken of a stream.
func (h *hook) took(stream Stream) (lines []sent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.all {
		if s.Stream == stream {
			lines = append(lines, s)
		}
	}
	return lines
}

func (h *hook) waitFor(id int64) {
	h.t.Helper()
	soon(h.t, "the last row", func() bool {
		return slices.ContainsFunc(h.took(StreamResults), func(s sent) bool { return s.ID == id })
	})
}

func TestStreamsAreForwarded(t *testing.T) {
	eachYard(t, func(y *yard) {
		h, d := newHook(y.t), y.replica()
		y.add(d, NewDestination{Name: "siem", Kind: "webhook", Streams: Streams(), Settings: h.settings()})
		y.background(d.Run)
		y.report(20)
		_, err := y.results.Append(y.t.Context(), []results.Line{{Key: results.LineKey(1, 5, []byte("status"), 0), Status: &results.Status{HostID: 1, Severity: 2, Message: "m"}}})
		y.ok(err)
		_, err = y.alerts.Raise(y.t.Context(), []alerts.Finding{{HostID: 2, Source: alerts.Rule, RuleID: 7, Name: "A shell", Group: "rule:7", Severity: "WARNING", Columns: json.RawMessage(`{"pid":"4"}`)}})
		y.ok(err)
		y.bus.Publish(alerts.Topic)
		h.waitFor(20)
		soon(y.t, "the status message and the alert", func() bool { return len(h.took(StreamStatus)) == 1 && len(h.took(StreamAlerts)) == 1 })
		wantAll(y.t, h.took(StreamResults), 20)
		if got := h.took(StreamResults)[0]; got.Host.Identifier != "host-2" {
			y.t.Errorf("%+v", got)
		}
		soon(y.t, "the cursor", func() bool {
			p := y.progress(d, "siem", StreamResults)
			return p.Position == 20 && p.Delivered == 20 && !p.DeliveredAt.IsZero() && p.BehindRows == 0 && p.Missed == 0 && p.LastError == ""
		})
	})
}

// TestAReceiverThatIsDown: rows wait for it, it is seen to be behind and why, nobody
// else waits, and it gets everything when it is back.
func TestAReceiverThatIsDown(t *testing.T) {
	eachYard(t, func(y *yard) {
		down, up, d := newHook(y.t), newHook(y.t), y.replica()
		down.refusing.Store(true)
		y.add(d, NewDestination{Name: "down", Kind: "webhook", Settings: map[string]any{"url": down.server.URL + "/in?token=abc", "secret": password, "authorization": password}})
		y.add(d, NewDestination{Name: "up", Kind: "webhook", Settings: up.settings()})
		stop := y.background(d.Run)
		y.report(30)
		up.waitFor(30)
		soon(y.t, "the failure", func() bool {
			p := y.progress(d, "down", StreamResults)
			return p.LastError != "" && !p.FailingSince.IsZero() && p.BehindRows == 30 && p.Behind > 0 && p.Position == 0 && p.Delivered == 0
		})
		if p := y.progress(d, "down", StreamResults); !strings.Contains(p.LastError, "answered 503") {
			y.t.Errorf("%q", p.LastError)
		}
		since := y.progress(d, "down", StreamResults).FailingSince
		soon(y.t, "some attempts", func() bool { return len(down.server.requests()) > 4 })
		if again := y.progress(d, "down", StreamResults).FailingSince; again != since {
			y.t.Errorf("it fails since %v, not %v", since, again)
		}
		y.report(30)
		up.waitFor(60)
		down.refusing.Store(false)
		down.waitFor(60)
		soon(y.t, "the end of the failure", func() bool {
			p := y.progress(d, "down", StreamResults)
			return p.Position == 60 && p.LastError == "" && p.FailingSince.IsZero()
		})
		stop()
		for _, h := range []*hook{down, up} {
			wantAll(y.t, h.took(StreamResults), 60)
		}
		if log := y.log.String(); strings.Contains(log, password) || strings.Contains(log, "token=abc") || !strings.Contains(log, "503") {
			y.t.Errorf("the log: %s", log)
		}
	})
}

// TestAReceiverThatHangs holds up neither what hosts report nor another destination,
// nor the end of the server.
func TestAReceiverThatHangs(t *testing.T) {
	eachYard(t, func(y *yard) {
		hung, up := newHook(y.t), newHook(y.t)
		hung.hanging = make(chan struct{})
		free := sync.OnceFunc(func() { close(hung.hanging) })
		y.t.Cleanup(free)
		d := y.replica()
		y.add(d, NewDestination{Name: "hung", Kind: "webhook", Settings: hung.settings()})
		y.add(d, NewDestination{Name: "up", Kind: "webhook", Settings: up.settings()})
		stop := y.background(d.Run)
		y.report(10)
		soon(y.t, "a request that hangs", func() bool { return len(hung.server.requests()) > 0 })
		for range 5 {
			y.report(10)
		}
		up.waitFor(60)
		began := time.Now()
		stop()
		if took := time.Since(began); took > 10*time.Second {
			y.t.Errorf("stopping took %v", took)
		}
		free()
		y.background(y.replica().Run)
		hung.waitFor(60)
		wantAll(y.t, hung.took(StreamResults), 60)
	})
}

// TestAnAnswerThatComesTooLate ends the attempt, and another is made.
func TestAnAnswerThatComesTooLate(t *testing.T) {
	eachYard(t, func(y *yard) {
		y.o.SendTimeout = 50 * time.Millisecond
		var attempts atomic.Int64
		late := make(chan struct{})
		server := startReceiver(y.t, func(http.ResponseWriter, received) {
			if attempts.Add(1) == 1 {
				<-late
			}
		})
		y.t.Cleanup(func() { close(late) })
		d := y.replica()
		y.add(d, NewDestination{Name: "slow", Kind: "webhook", Settings: map[string]any{"url": server.URL}})
		y.background(d.Run)
		y.report(1)
		soon(y.t, "the second attempt", func() bool { return y.progress(d, "slow", StreamResults).Position == 1 })
		if attempts.Load() < 2 || !strings.Contains(y.log.String(), "did not answer in time") {
			y.t.Errorf("%d attempts: %s", attempts.Load(), y.log.String())
		}
	})
}

// TestReplicas: one of them forwards, and another goes on when it stops.
func TestReplicas(t *testing.T) {
	eachYard(t, func(y *yard) {
		h, first, second := newHook(y.t), y.replica(), y.replica()
		y.add(first, NewDestination{Name: "siem", Kind: "webhook", Settings: h.settings()})
		stopFirst := y.background(first.Run)
		y.report(5)
		h.waitFor(5)
		y.background(second.Run)
		for n := range 20 {
			y.report(5)
			h.waitFor(int64(10 + 5*n))
		}
		if got := h.took(StreamResults); len(got) != 105 {
			y.t.Errorf("105 rows came as %d", len(got))
		}
		stopFirst()
		y.report(15)
		h.waitFor(120)
		wantAll(y.t, h.took(StreamResults), 120)
	})
}

// TestKilledBetweenSendingAndNoting: what was sent and not noted comes again, as the
// same batch, and nothing is lost.
func TestKilledBetweenSendingAndNoting(t *testing.T) {
	eachYard(t, func(y *yard) {
		h := newHook(y.t)
		h.hanging = make(chan struct{})
		d := y.replica()
		y.add(d, NewDestination{Name: "siem", Kind: "webhook", Settings: h.settings()})
		stop := y.background(d.Run)
		y.report(5)
		soon(y.t, "a request under way", func() bool { return len(h.server.requests()) == 1 })
		killed := make(chan struct{})
		go func() { defer close(killed); stop() }()
		<-killed
		close(h.hanging) // the receiver takes it all the same, when nobody listens any more
		soon(y.t, "the first delivery", func() bool { return len(h.took(StreamResults)) == 5 })
		if p := y.progress(d, "siem", StreamResults); p.Position != 0 || p.Delivered != 0 {
			y.t.Fatalf("it was noted: %+v", p)
		}
		y.report(5) // more has come before the server is there again
		y.background(y.replica().Run)
		h.waitFor(10)
		wantAll(y.t, h.took(StreamResults), 10)
		requests := h.server.requests()
		if a, b := requests[0], requests[1]; a.header.Get(headerDelivery) != "siem/results/1-5/0" || b.header.Get(headerDelivery) != a.header.Get(headerDelivery) || string(a.body) != string(b.body) {
			y.t.Errorf("it came again as another batch: %q %s, then %q %s", a.header.Get(headerDelivery), a.body, b.header.Get(headerDelivery), b.body)
		}
	})
}

// TestChangesWhileForwarding: a destination that is switched off stops, and goes on
// where it was; one that is rewound repeats; one that is deleted ends.
func TestChangesWhileForwarding(t *testing.T) {
	eachYard(t, func(y *yard) {
		h, d, ctx := newHook(y.t), y.replica(), y.t.Context()
		y.add(d, NewDestination{Name: "siem", Kind: "webhook", Settings: h.settings()})
		y.background(d.Run)
		y.report(5)
		h.waitFor(5)
		soon(y.t, "the cursor", func() bool { return y.progress(d, "siem", StreamResults).Position == 5 })
		on, off := true, false
		_, _, err := d.Change(ctx, "siem", DestinationChange{Active: &off})
		y.ok(err)
		soon(y.t, "the lease to be free", func() bool {
			var n int
			y.ok(y.db.Read(ctx).Raw("SELECT count(*) FROM leases").Scan(&n).Error)
			return n == 0
		})
		y.report(5)
		if p := y.progress(d, "siem", StreamResults); p.Active || p.BehindRows != 5 || p.Position != 5 {
			y.t.Errorf("%+v", p)
		}
		_, _, err = d.Change(ctx, "siem", DestinationChange{Active: &on})
		y.ok(err)
		h.waitFor(10)
		wantAll(y.t, h.took(StreamResults), 10)
		soon(y.t, "the cursor", func() bool { return y.progress(d, "siem", StreamResults).Position == 10 })
		_, _, err = d.Rewind(ctx, "siem", StreamResults, RewindBeginning)
		y.ok(err)
		soon(y.t, "everything again", func() bool { return len(h.took(StreamResults)) == 20 })
		_, err = d.Delete(ctx, "siem")
		y.ok(err)
		soon(y.t, "the lease to be free", func() bool {
			var n int
			y.ok(y.db.Read(ctx).Raw("SELECT count(*) FROM leases").Scan(&n).Error)
			return n == 0
		})
		y.report(5)
		if got := h.took(StreamResults); len(got) != 20 {
			y.t.Errorf("%d rows came", len(got))
		}
	})
}

// TestRetentionGoesOn: what is deleted before it was taken is counted, and the rest
// follows.
func TestRetentionGoesOn(t *testing.T) {
	eachYard(t, func(y *yard) {
		h, d := newHook(y.t), y.replica()
		y.add(d, NewDestination{Name: "siem", Kind: "webhook", Settings: h.settings()})
		y.report(20)
		y.ok(y.db.Write(y.t.Context()).Exec("DELETE FROM results WHERE id <= 12").Error)
		y.background(d.Run)
		h.waitFor(20)
		soon(y.t, "the cursor", func() bool {
			p := y.progress(d, "siem", StreamResults)
			return p.Position == 20 && p.Missed == 12 && p.Delivered == 8
		})
	})
}

func TestATestLine(t *testing.T) {
	eachYard(t, func(y *yard) {
		h, d, ctx := newHook(y.t), y.replica(), y.t.Context()
		_, err := d.Add(ctx, NewDestination{Name: "siem", Kind: "webhook", Streams: []Stream{StreamResults}, Settings: h.settings()})
		y.ok(err)
		y.ok(d.Test(ctx, "siem"))
		if got := h.server.requests(); len(got) != 1 || !strings.Contains(string(got[0].body), `"stream":"test","destination":"siem"`) {
			y.t.Errorf("%+v", got)
		}
		nobody, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		y.ok(err)
		y.ok(nobody.Close())
		gone := map[string]any{"url": "http://" + nobody.Addr().String() + "/?token=" + password}
		_, _, err = d.Change(ctx, "siem", DestinationChange{Settings: &gone})
		y.ok(err)
		if err := d.Test(ctx, "siem"); err == nil || !strings.Contains(err.Error(), "connection was refused") || strings.Contains(err.Error(), password) {
			y.t.Errorf("%v", err)
		}
	})
}

// panics is a sender with a fault of its own.
type panics struct{}

func (panics) send(context.Context, batch) error { panic("index out of range: " + password) }
func (panics) close()                            {}

func TestAPanicIsAFailure(t *testing.T) {
	err := guardedSend(t.Context(), panics{}, batch{})
	if err == nil || strings.Contains(err.Error(), password) {
		t.Errorf("%v", err)
	}
}

// TestFailuresDoNotHammer: waits grow, and never beyond the longest.
func TestFailuresDoNotHammer(t *testing.T) {
	y := newYard(t, dbtest.Open(t, database.SQLite))
	y.o.RetryMin, y.o.RetryMax = time.Second, time.Minute
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	y.o.Now = func() time.Time { return now }
	f := &forwarding{d: y.replica(), settings: &forwardSettings{}}
	s, last := &streaming{}, time.Duration(0)
	for n := range 100 {
		f.failed(t.Context(), s, context.DeadlineExceeded, false)
		wait := s.notUntil.Sub(now)
		if n < 6 && wait <= last || n >= 6 && (wait < 45*time.Second || wait > time.Minute) {
			t.Errorf("after %d failures %v, before %v", n+1, wait, last)
		}
		last = wait
	}
	f.failed(t.Context(), s, &sendError{wait: time.Hour}, false)
	if wait := s.notUntil.Sub(now); wait != time.Hour {
		t.Errorf("the receiver asked for an hour and gets %v", wait)
	}
}
