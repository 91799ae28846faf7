package outputs

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/jobs"
	"muster/server/outputs/smtptest"
)

func TestADigestGathersAlertsAndIsSentOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		server := smtptest.Start(t, smtptest.Options{Username: "muster", Password: password})
		r := newRig(t, db, MailOptions{Roots: server.Roots})
		_, _, err := r.mail.Save(t.Context(), settings(server))
		r.ok(err)
		r.add("daily", "email", map[string]any{"recipients": []string{"soc@example.com"}, "digest": true, "digest_hour": 7})
		first := r.raise("1")
		r.tell(first, "daily")
		r.tell(first, "daily") // done twice, gathered once
		r.tell(r.raise("2"), "daily")
		r.run()
		r.until("both are gathered", func() bool {
			r.clock.pass(time.Millisecond) // two at a time are told: the third waits a moment
			waiting := r.jobs("")
			return len(waiting) == 1 && waiting[0].Digest && rows(r, "alerter_digests") == 2
		})
		if at, want := r.jobs("")[0].RunAt, time.Date(2026, 3, 2, 7, 0, 0, 0, time.UTC); !at.Equal(want) {
			t.Errorf("it is sent at %v", at)
		}
		if len(server.Messages()) != 0 {
			t.Fatal("it was sent at once")
		}
		r.clock.pass(19 * time.Hour)
		r.until("it is sent", func() bool { return len(r.jobs("")) == 0 && rows(r, "alerter_digests") == 0 })
		got := server.Messages()
		if len(got) != 1 {
			t.Fatalf("%d mails", len(got))
		}
		text := strings.ReplaceAll(strings.ReplaceAll(got[0].Data, "=\r\n", ""), "\r\n", "\n")
		for _, want := range []string{"Subject: [Muster] 2 alerts on 1 host\n", "\nCRITICAL Reverse shell on web-1: 2 times, the last 2026-03-01 11:59:00 UTC\n", "/alerts/2\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing:\n%s", want, text)
			}
		}
		r.ok(r.alerters.Test(t.Context(), "daily"))
		if n := len(server.Messages()); n != 2 {
			t.Errorf("a sample does not wait for the digest: %d mails", n)
		}
	})
}

func TestADigestThatCannotBeSentKeepsItsAlerts(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r := newRig(t, db, MailOptions{}) // mail is not configured
		r.add("often", "email", map[string]any{"digest": true, "digest_minutes": 15})
		r.tell(r.raise("1"), "often")
		r.run()
		r.until("it is gathered", func() bool { return rows(r, "alerter_digests") == 1 && len(r.jobs("")) == 1 })
		r.clock.pass(15 * time.Minute)
		r.until("it is dead", func() bool { return len(r.jobs(jobs.Dead)) == 1 })
		server := smtptest.Start(t, smtptest.Options{Username: "muster", Password: password})
		r.mail.o.Roots = server.Roots
		_, _, err := r.mail.Save(t.Context(), settings(server))
		r.ok(err)
		r.tell(r.raise("2"), "often")
		r.until("the next is gathered", func() bool { return rows(r, "alerter_digests") == 2 && len(r.jobs(jobs.Waiting)) == 1 })
		r.clock.pass(15 * time.Minute)
		r.until("both are sent", func() bool { return rows(r, "alerter_digests") == 0 })
		if got := server.Messages(); len(got) != 1 || !strings.Contains(got[0].Data, "2 alerts on 1 host") {
			t.Errorf("%+v", got)
		}
		_, err = r.alerters.Replay(t.Context(), 0) // there is nothing left to send
		r.ok(err)
		r.until("the other ends", func() bool { return len(r.jobs("")) == 0 })
		if n := len(server.Messages()); n != 1 {
			t.Errorf("%d mails", n)
		}
	})
}

func TestADigestGoesWithItsAlerter(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r := newRig(t, db, MailOptions{})
		r.add("often", "email", map[string]any{"digest": true, "digest_minutes": 15})
		r.tell(r.raise("1"), "often")
		r.run()
		r.until("it is gathered", func() bool { return rows(r, "alerter_digests") == 1 && len(r.jobs("")) == 1 })
		_, err := r.alerters.Delete(t.Context(), "often")
		r.ok(err)
		r.clock.pass(15 * time.Minute)
		r.until("the job ends", func() bool { return len(r.jobs("")) == 0 })
		if rows(r, "alerter_digests") != 0 {
			t.Error("something is left")
		}
	})
}

func TestADigestIsBounded(t *testing.T) {
	r := sqliteRig(t)
	r.add("daily", "email", map[string]any{"digest": true})
	row, err := findReceiver(t.Context(), r.db, "daily")
	r.ok(err)
	for n := range digestLines + 20 {
		r.ok(r.db.Write(t.Context()).Exec(`INSERT INTO alerter_digests (alerter_id, alert_id, event_id, severity, name, host, seen_at) VALUES (?, ?, 0, ?, ?, ?, 0)`,
			row.ID, n, []string{"INFO", "CRITICAL"}[n%2], "rule", strings.Repeat("h", n+1)).Error)
	}
	d, err := r.alerters.gathered(t.Context(), row.ID)
	r.ok(err)
	text := r.alerters.digestText("title", d)
	if d.alerts != digestLines+20 || len(d.lines) != digestLines || !strings.HasSuffix(text, "\nand 20 alerts more\n") || len(text) > maxText {
		t.Errorf("%d alerts, %d lines, %d bytes", d.alerts, len(d.lines), len(text))
	}
	if d.lines[0].Severity != "CRITICAL" || d.lines[digestLines-1].Severity != "INFO" {
		t.Error("the worst are not first")
	}
}

func TestWhatWaitsForDigestsIsBounded(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r := newRig(t, db, MailOptions{})
		r.ok(r.alerters.PurgeDigests(t.Context())) // of nothing
		r.add("daily", "email", map[string]any{"recipients": []string{"soc@example.com"}, "digest": true})
		for n := range 12 {
			r.ok(db.Write(t.Context()).Exec(`INSERT INTO alerter_digests (alerter_id, alert_id, event_id, severity, name, host, seen_at)
				SELECT id, ?, 1, 'LOW', 'x', 'h', 1 FROM alerters WHERE name = 'daily'`, n).Error)
		}
		r.ok(r.alerters.PurgeDigests(t.Context()))
		if n := rows(r, "alerter_digests"); n != 12 {
			t.Fatalf("%d are left of a few", n)
		}
		r.ok(r.alerters.purgeDigests(t.Context(), 5))
		if n := rows(r, "alerter_digests"); n != 5 {
			t.Errorf("%d are left", n)
		}
	})
}

func TestTimesOfDigests(t *testing.T) {
	for settings, want := range map[string]string{
		`{}`:                      "2026-03-02T08:00:00Z",
		`{"digest_hour":13}`:      "2026-03-01T13:00:00Z",
		`{"digest_hour":12}`:      "2026-03-02T12:00:00Z", // not at the very moment
		`{"digest_hour":0}`:       "2026-03-02T00:00:00Z",
		`{"digest_minutes":90}`:   "2026-03-01T13:30:00Z",
		`{"digest_minutes":1}`:    "2026-03-01T12:01:00Z",
		`{"digest_minutes":1440}`: "2026-03-02T12:00:00Z",
	} {
		var s emailSettings
		if err := json.Unmarshal([]byte(settings), &s); err != nil || s.check() != nil {
			t.Fatal(settings)
		}
		if diff := cmp.Diff(want, s.nextDigest(noon.In(time.FixedZone("", -5*3600))).UTC().Format(time.RFC3339)); diff != "" {
			t.Errorf("%s: %s", settings, diff)
		}
	}
}

func rows(r *rig, table string) int {
	r.t.Helper()
	var n int
	r.ok(r.db.Read(r.t.Context()).Raw("SELECT count(*) FROM " + table).Scan(&n).Error)
	return n
}
