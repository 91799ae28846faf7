package outputs

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"muster/server/alerts"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
	"muster/server/jobs"
	"muster/server/outputs/smtptest"
)

func TestADeliveryIsTriedAgainUntilItArrives(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r := newRig(t, db, MailOptions{})
		var failures atomic.Int32
		failures.Store(3)
		server := startReceiver(t, func(w http.ResponseWriter, _ received) {
			if failures.Add(-1) >= 0 {
				w.WriteHeader(http.StatusBadGateway)
			}
		})
		r.add("hook", "webhook", map[string]any{"url": server.URL})
		r.tell(r.raise("1"), "hook")
		r.run()
		for attempt := 1; attempt <= 3; attempt++ {
			r.until("a failed attempt", func() bool {
				waiting := r.jobs(jobs.Waiting)
				return len(waiting) == 1 && waiting[0].Attempts == attempt
			})
			u := r.jobs(jobs.Waiting)[0]
			if u.Alerter != "hook" || u.AlertID != 1 || u.EventID != 1 || !strings.HasSuffix(u.LastError, "answered 502 Bad Gateway") || !u.RunAt.After(r.clock.Now()) {
				t.Fatalf("%+v", u)
			}
			if n := len(server.requests()); n != attempt {
				t.Fatalf("%d requests after %d attempts", n, attempt)
			}
			r.clock.pass(time.Hour)
		}
		r.until("it arrives", func() bool { return len(r.jobs("")) == 0 })
		got := server.requests()
		if len(got) != 4 || got[0].header.Get(headerDelivery) != got[3].header.Get(headerDelivery) {
			t.Errorf("%d requests", len(got))
		}
		history, count, err := r.alerts.History(t.Context(), 1, alerts.Page{})
		if err != nil || count != 1 || history[0].Action != alerts.WasTold || history[0].Becomes != "hook" {
			t.Errorf("who was told: %+v %v", history, err)
		}
	})
}

func TestADeliveryThatIsRefusedIsDeadAndCanBeReplayed(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r, ctx := newRig(t, db, MailOptions{}), t.Context()
		var good atomic.Bool
		server := startReceiver(t, func(w http.ResponseWriter, _ received) {
			if !good.Load() {
				w.WriteHeader(http.StatusForbidden)
			}
		})
		r.add("hook", "webhook", map[string]any{"url": server.URL})
		for n := range 3 {
			r.tell(r.raise(fmt.Sprint(n)), "hook")
		}
		r.run()
		r.until("all are dead", func() bool { r.clock.pass(time.Millisecond); return len(r.jobs(jobs.Dead)) == 3 })
		dead := r.jobs(jobs.Dead)
		if dead[0].Attempts != 1 || !strings.HasSuffix(dead[0].LastError, "answered 403 Forbidden") {
			t.Errorf("%+v", dead[0])
		}
		good.Store(true)
		if n, err := r.alerters.Replay(ctx, dead[0].JobID); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		r.until("one is delivered", func() bool { r.clock.pass(time.Millisecond); return len(r.jobs("")) == 2 })
		r.ok(r.alerters.Discard(ctx, dead[1].JobID))
		if err := r.alerters.Discard(ctx, dead[1].JobID); !fault.Is(err, fault.NotFound) {
			t.Errorf("discarded again: %v", err)
		}
		if err := r.alerters.Discard(ctx, 0); !fault.Is(err, fault.NotFound) || len(r.jobs(jobs.Dead)) != 1 {
			t.Errorf("an id of nothing discards nothing: %v", err)
		}
		if n, err := r.alerters.Replay(ctx, 0); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		r.until("the rest is delivered", func() bool { r.clock.pass(time.Millisecond); return len(r.jobs("")) == 0 })
		if n := len(server.requests()); n != 5 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestAReceiverThatAsksForTimeGetsIt(t *testing.T) {
	r := sqliteRig(t)
	server := startReceiver(t, status(http.StatusTooManyRequests, "120"))
	r.add("hook", "webhook", map[string]any{"url": server.URL})
	r.tell(r.raise("1"), "hook")
	r.run()
	r.until("it waits", func() bool { return len(r.jobs(jobs.Waiting)) == 1 && len(server.requests()) == 1 })
	if u := r.jobs(jobs.Waiting)[0]; u.RunAt.Sub(r.clock.Now()) != 2*time.Minute || u.Attempts != 0 {
		t.Errorf("%+v", u)
	}
}

// While a receiver is down, one delivery finds out; the others wait and lose
// nothing. Those of another alerter arrive meanwhile.
func TestAReceiverThatIsDownIsLeftAlone(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r := newRig(t, db, MailOptions{})
		var up atomic.Bool
		down := startReceiver(t, func(w http.ResponseWriter, _ received) {
			if !up.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		well := startReceiver(t, nil)
		r.add("down", "webhook", map[string]any{"url": down.URL})
		r.add("well", "webhook", map[string]any{"url": well.URL})
		raised := r.raise("1")
		const each = 20
		for range each {
			r.tell(raised, "down")
		}
		for range each {
			r.tell(raised, "well")
		}
		r.run()
		r.until("the other gets all of its own", func() bool { r.clock.pass(time.Millisecond); return len(well.requests()) == each })
		if n := len(down.requests()); n > 2*alerterAtOnce {
			t.Errorf("%d requests to a receiver that is down", n)
		}
		if n := len(r.jobs(jobs.Dead)); n != 0 {
			t.Errorf("%d are dead", n)
		}
		for range 4 { // a long outage
			r.clock.pass(lastPause)
			before := len(down.requests())
			r.until("somebody tries", func() bool { r.clock.pass(time.Second); return len(down.requests()) > before })
		}
		if n := len(down.requests()); n > 2*alerterAtOnce+8 {
			t.Errorf("%d requests to a receiver that is down", n)
		}
		up.Store(true)
		r.until("everything arrives", func() bool { r.clock.pass(time.Second); return len(r.jobs("")) == 0 })
	})
}

func TestASlowReceiverDelaysNobodyElse(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r := newRig(t, db, MailOptions{})
		hold := make(chan struct{})
		var most, running atomic.Int32
		slow := startReceiver(t, func(http.ResponseWriter, received) {
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			<-hold
			running.Add(-1)
		})
		quick := startReceiver(t, nil)
		r.add("slow", "webhook", map[string]any{"url": slow.URL})
		r.add("quick", "webhook", map[string]any{"url": quick.URL})
		raised := r.raise("1")
		for range 2 * notifyAtOnce {
			r.tell(raised, "slow")
		}
		for range 20 {
			r.tell(raised, "quick")
		}
		r.run()
		r.until("the other gets all of its own", func() bool { r.clock.pass(time.Millisecond); return len(quick.requests()) == 20 })
		if most.Load() > alerterAtOnce {
			t.Errorf("%d at once", most.Load())
		}
		close(hold)
		r.until("everything arrives", func() bool { r.clock.pass(10 * time.Millisecond); return len(r.jobs("")) == 0 })
		if most.Load() > alerterAtOnce || len(slow.requests()) != 2*notifyAtOnce {
			t.Errorf("%d at once, %d in all", most.Load(), len(slow.requests()))
		}
	})
}

func TestWhoIsNotThereIsSkipped(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r := newRig(t, db, MailOptions{})
		server := startReceiver(t, nil)
		r.add("hook", "webhook", map[string]any{"url": server.URL})
		off := false
		_, _, err := r.alerters.Change(t.Context(), "hook", ReceiverChange{Active: &off})
		r.ok(err)
		raised := r.raise("1")
		for _, name := range []string{"nobody", "nobody", "", "no\nbody", "hook", "rsyslog"} {
			r.tell(raised, name)
		}
		r.tell(alerts.Raised{Alert: alerts.Alert{ID: 99}}, "debug") // an alert that was deleted
		r.run()
		r.until("all jobs are done", func() bool { return len(r.jobs("")) == 0 })
		if n := strings.Count(r.log.String(), "a rule names an alerter that does not exist"); n != 3 {
			t.Errorf("warned %d times:\n%s", n, r.log)
		}
		if len(server.requests()) != 0 || strings.Contains(r.log.String(), "msg=alert ") {
			t.Errorf("somebody was told:\n%s", r.log)
		}
	})
}

func TestMailIsTriedAgainOnlyWhereThatHelps(t *testing.T) {
	for sentence, c := range map[string]struct {
		answers map[string]string
		state   jobs.State
		want    string
	}{
		"a server that is full":           {map[string]string{"MAIL": "451 come back later"}, jobs.Waiting, "451 come back later"},
		"a server that refuses":           {map[string]string{"MAIL": "550 go away"}, jobs.Dead, "550 go away"},
		"a sign-in that repeats a secret": {map[string]string{"AUTH": "535 wrong: " + password}, jobs.Dead, "it answered 535"},
	} {
		t.Run(sentence, func(t *testing.T) {
			server := smtptest.Start(t, smtptest.Options{Username: "muster", Password: password, Answers: c.answers})
			r := newRig(t, dbtest.Open(t, database.SQLite), MailOptions{Roots: server.Roots})
			_, _, err := r.mail.Save(t.Context(), settings(server))
			r.ok(err)
			r.tell(r.raise("1"), "email")
			r.run()
			var got string
			r.until("it failed", func() bool {
				found := r.jobs(c.state)
				if len(found) == 1 {
					got = found[0].LastError
				}
				return got != ""
			})
			if !strings.Contains(got, c.want) || strings.Contains(got+r.log.String(), password) {
				t.Errorf("%s\n%s", got, r.log)
			}
		})
	}
	r := sqliteRig(t)
	r.tell(r.raise("1"), "email")
	r.run()
	r.until("mail that is not configured is dead", func() bool { return len(r.jobs(jobs.Dead)) == 1 })
	if got := r.jobs(jobs.Dead)[0].LastError; got != "Mail is not configured" {
		t.Error(got)
	}
	if err := r.alerters.Test(t.Context(), "email"); !fault.Is(err, fault.Unprocessable) || fault.Public(err) != "Mail is not configured" {
		t.Error(err)
	}
}

// Receivers that say everything back, in every way in which they can fail: none of
// it is in an error, in the log or with the job.
func TestNoSecretIsTold(t *testing.T) {
	const secret = "s3cretTokenOfThatReceiver0000abc" // 32 characters, as PagerDuty wants them
	failures := map[string]func(http.ResponseWriter, received){
		"refuses": status(400, ""), "fails": status(500, ""), "asks for time": status(429, "5"), "redirects": moved, "hangs up": hangUp,
	}
	for kind, settings := range map[string]map[string]any{
		"webhook":   {"url": "http://HOST/in/" + secret + "?token=" + secret, "secret": secret, "authorization": "Bearer " + secret},
		"slack":     {"url": "http://HOST/services/" + secret},
		"pagerduty": {"url": "http://HOST/v2/enqueue", "routing_key": secret},
		"shoutrrr":  {"url": "generic://HOST/" + secret + "?disabletls=yes&@Authorization=" + secret},
		"gotify":    {"url": "gotify://HOST/A" + secret[:14] + "?disabletls=yes"},
		"ntfy":      {"url": "ntfy://me:" + secret + "@HOST/" + secret + "?scheme=http"},
		"rsyslog":   {"address": "HOST", "tls": true, "service_key": secret}, // what answers there speaks no TLS
	} {
		for sentence, answer := range failures {
			t.Run(kind+" that "+sentence, func(t *testing.T) {
				r, server := sqliteRig(t), startReceiver(t, answer)
				filled := map[string]any{}
				for name, value := range settings {
					if text, ok := value.(string); ok {
						value = strings.Replace(text, "HOST", strings.TrimPrefix(server.URL, "http://"), 1)
					}
					filled[name] = value
				}
				name := kind
				if kind == "gotify" || kind == "ntfy" {
					name = "shoutrrr"
				}
				r.add("trial", name, filled)
				err := r.alerters.Test(t.Context(), "trial")
				if err == nil {
					t.Fatal("it was taken")
				}
				r.tell(r.raise("1"), "trial")
				r.run()
				r.until("the job failed", func() bool {
					all := r.jobs("")
					return len(all) == 1 && all[0].State != jobs.Running && all[0].LastError != ""
				})
				shown, findErr := r.alerters.Find(t.Context(), "trial")
				r.ok(findErr)
				told := err.Error() + fault.Public(err) + r.jobs("")[0].LastError + r.log.String() + string(shown.Settings)
				if strings.Contains(told, secret[:14]) {
					t.Errorf("the secret is told:\n%s", told)
				}
			})
		}
	}
}
