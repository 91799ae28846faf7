package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"muster/agentapi/agenttest"
	"muster/rules"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/outputs/smtptest"
)

// From the agents' door to a person's mail: simulated hosts are attacked, log what
// they see twice, and others log what only looks like it.
func TestAttacksRaiseAlerts(t *testing.T) {
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			mail := smtptest.Start(t, smtptest.Options{})
			d := newDetectionTest(t, engine, "SSL_CERT_FILE="+savedPEM(t, mail), "MUSTER_CONSOLE_URL=https://console.example.com")
			hook := d.receive()
			d.configureMail(mail)
			d.addRule("nc listens", `{"condition":"AND","rules":[{"field":"path","operator":"ends_with","value":"/nc"},{"field":"cmdline","operator":"contains","value":" -l"}]}`)
			d.rulesAreActive()
			d.attacks()
			d.nearMisses()
			d.ruleOfOurOwn(mail, hook)
			d.indicators()
			d.carves()
			eventually(t, time.Minute, "all alerters are told of indicators and YARA too", func() bool {
				return len(hook.about("bad server")) == 2 && len(hook.about("evil_mark")) == 1
			})
			if err := d.stop(); err != nil {
				t.Errorf("the server did not stop cleanly: %v", err)
			}
		})
	}
}

// detectionTest is a server with its client.
type detectionTest struct {
	*process
	token  string
	agents map[agenttest.Platform]*agenttest.Agent
	lines  int
}

func newDetectionTest(t *testing.T, engine database.Engine, extra ...string) *detectionTest {
	t.Helper()
	p := newProcess(t, dbtest.URL(t, engine), extra...)
	d := &detectionTest{process: p, token: signIn(t, p), agents: map[agenttest.Platform]*agenttest.Agent{}}
	for i, platform := range []agenttest.Platform{agenttest.Linux, agenttest.Darwin, agenttest.Windows} {
		d.agents[platform] = d.enroll(platform, int64(i+1))
	}
	return d
}

func (d *detectionTest) enroll(platform agenttest.Platform, seed int64) *agenttest.Agent {
	d.Helper()
	agent, err := agenttest.New(agenttest.Options{Server: d.url(), RootCAs: d.roots, Secret: testSecret, Seed: seed, Platform: platform})
	for _, step := range []func(context.Context) error{agent.Enroll, agent.FetchConfig} {
		if err == nil {
			err = step(d.Context())
		}
	}
	if err != nil {
		d.Fatal(err)
	}
	return agent
}

// api calls the API and decodes the data of its answer.
func (d *detectionTest) api(method, path, body string, data any) {
	d.Helper()
	status, answer := d.call(method, "/services/api/v1"+path, d.token, body)
	if status != http.StatusOK {
		d.Fatalf("%s %s answers %d %s", method, path, status, answer)
	}
	if data == nil {
		return
	}
	if err := json.Unmarshal([]byte(answer), &struct{ Data any }{data}); err != nil {
		d.Fatalf("%s %s answers %s: %v", method, path, answer, err)
	}
}

// alert is an alert on the wire, as far as the tests look.
type alert struct {
	ID       int64
	Hostname string
	Source   string
	Severity string
	Rule     struct{ Name string }
	Status   string
	Entry    map[string]string `json:"alerted_entry"`
	Events   int               `json:"aggregated_events_count"`
}

func (d *detectionTest) alerts(source string) []alert {
	d.Helper()
	var page struct{ Results []alert }
	d.api("POST", "/alerts", fmt.Sprintf(`{"source":%q,"limit":1000}`, source), &page)
	return page.Results
}

// log sends rows as the agent's query reports them.
func (d *detectionTest) log(agent *agenttest.Agent, query string, rows ...map[string]string) {
	d.Helper()
	for _, row := range rows {
		agent.AddResult(query, row)
	}
	d.flush(agent)
}

func (d *detectionTest) flush(agent *agenttest.Agent) {
	d.Helper()
	for len(agent.Buffered()) > 0 {
		if err := agent.FlushLogs(d.Context()); err != nil {
			d.Fatal(err)
		}
	}
}

// processStarted is a row of the shipped query process_events.
func (d *detectionTest) processStarted(path, cmdline string, pid int) map[string]string {
	d.lines++
	return map[string]string{
		"path": path, "cmdline": cmdline, "pid": fmt.Sprint(pid), "parent": "1", "parent_path": "/usr/bin/bash", "uid": "1000", "auid": "1000",
		"time": fmt.Sprint(time.Now().Unix() - 5), "syscall": "execve", "eid": fmt.Sprint(d.lines),
	}
}

const startedPrograms = "pack/security/process_events"

// rulesAreActive returns when a rule that was added last raises alerts: then those
// added before do too.
func (d *detectionTest) rulesAreActive() {
	d.Helper()
	d.addRule("probe", `{"condition":"AND","rules":[{"field":"path","operator":"equal","value":"/probe"}]}`)
	probe := d.enroll(agenttest.Linux, 99)
	n := 0
	eventually(d.T, 30*time.Second, "rules are compiled", func() bool {
		n++
		d.log(probe, startedPrograms, d.processStarted("/probe", fmt.Sprint("probe ", n), 100+n))
		return slices.ContainsFunc(d.alerts("rule"), func(a alert) bool { return a.Rule.Name == "probe" })
	})
}

func (d *detectionTest) addRule(name, conditions string) {
	d.Helper()
	d.api("POST", "/rules/add", fmt.Sprintf(
		`{"name":%q,"conditions":%s,"severity":"CRITICAL","alerters":"email,hook,nobody","technique_id":"T1095"}`, name, conditions), nil)
}

// titleOf is what a rule that ships is called.
func (d *detectionTest) titleOf(name string) string {
	d.Helper()
	for _, r := range rules.All() {
		if r.Platform+"/"+r.Name == name {
			var text struct{ Title string }
			if err := yaml.Unmarshal([]byte(r.Text), &text); err != nil {
				d.Fatal(err)
			}
			return text.Title
		}
	}
	d.Fatalf("no rule %s ships", name)
	return ""
}

// attacks: every scenario is found by the rules that it is meant for, on its host.
func (d *detectionTest) attacks() {
	d.Helper()
	for platform, agent := range d.agents {
		for _, s := range agenttest.Scenarios(platform) {
			if _, err := agent.Attack(d.Context(), s.Name); err != nil {
				d.Logf("%s: %v", s.Name, err) // a table that the config of this platform does not read
				continue
			}
			d.flush(agent)
			raised := d.alerts("rule")
			for _, name := range s.Rules {
				title := d.titleOf(name)
				if !slices.ContainsFunc(raised, func(a alert) bool { return a.Rule.Name == title && a.Hostname == agent.Hostname() }) {
					d.Errorf("%s on %s does not raise %q", s.Name, platform, title)
				}
			}
		}
	}
}

// nearMisses: what hosts do all day raises nothing, and neither does what looks
// like an attack and is none.
func (d *detectionTest) nearMisses() {
	d.Helper()
	quiet := d.enroll(agenttest.Linux, 50)
	for range 3 {
		if _, err := quiet.RunSchedule(d.Context(), time.Now()); err != nil {
			d.Fatal(err)
		}
	}
	d.log(quiet, startedPrograms, d.processStarted("/usr/bin/nc", "nc -z db 5432", 20), d.processStarted("/usr/bin/rsync", "rsync -l", 21))
	for _, a := range d.alerts("rule") {
		if a.Hostname == quiet.Hostname() {
			d.Errorf("a host that does nothing wrong raised %+v", a)
		}
	}
}

// ruleOfOurOwn: one alert for what is alike, why it was raised, who was told, what
// happened around it and which process it was.
func (d *detectionTest) ruleOfOurOwn(mail *smtptest.Server, hook *receiver) {
	d.Helper()
	host := d.enroll(agenttest.Linux, 60)
	started := d.processStarted("/usr/bin/nc", "nc -l 4444", 4711)
	child := d.processStarted("/bin/sh", "sh -i", 4712)
	child["parent"], child["parent_path"] = "4711", "/usr/bin/nc"
	host.AddResult(startedPrograms, started)
	host.AddResult(startedPrograms, child)
	sent := host.Buffered()
	d.flush(host)
	for _, line := range sent { // the answer was lost, and the agent sends it again
		host.AddLine(line.Status, line.Raw)
	}
	d.flush(host)
	d.log(host, startedPrograms, d.processStarted("/opt/nc", "nc -l 5555", 4800))

	var ours []alert
	for _, a := range d.alerts("rule") {
		if a.Hostname == host.Hostname() {
			ours = append(ours, a)
		}
	}
	if len(ours) != 1 || ours[0].Rule.Name != "nc listens" || ours[0].Events != 2 || ours[0].Entry["cmdline"] != "nc -l 4444" {
		d.Fatalf("the alerts of the host are %+v", ours)
	}
	id := ours[0].ID
	var full struct {
		Why []struct{ Field, Operator, Value, Actual string }
	}
	d.api("GET", fmt.Sprintf("/alerts/%d", id), "", &full)
	if len(full.Why) != 2 || full.Why[0].Field != "path" || full.Why[0].Actual != "/usr/bin/nc" || full.Why[1].Value != " -l" {
		d.Errorf("why: %+v", full.Why)
	}
	d.investigate(host, id)

	eventually(d.T, time.Minute, "a mail and a request are received", func() bool {
		return len(hook.about("nc listens")) > 0 && slices.ContainsFunc(mail.Messages(), func(m smtptest.Message) bool { return strings.Contains(m.Data, "nc listens") })
	})
	eventually(d.T, time.Minute, "nothing is left to tell, though one name is nobody's", func() bool {
		_, dead := d.call("GET", "/services/api/v1/alerters/failed", d.token, "")
		_, waiting := d.call("GET", "/services/api/v1/alerters/failed?state=waiting", d.token, "")
		return strings.Contains(dead, `"count":0`) && strings.Contains(waiting, `"count":0`)
	})
	d.told(host, hook.about("nc listens"), mail.Messages())
}

// told: each alerter heard of the alert once, and what it needs to know.
func (d *detectionTest) told(host *agenttest.Agent, posted []string, mails []smtptest.Message) {
	d.Helper()
	var notice struct {
		Alert struct {
			Columns map[string]string
			Why     []string
		}
		Host struct {
			Identifier string `json:"host_identifier"`
		}
	}
	if len(posted) != 1 {
		d.Fatalf("the webhook was told %d times of one alert: %v", len(posted), posted)
	}
	if err := json.Unmarshal([]byte(posted[0]), &notice); err != nil || notice.Host.Identifier != host.HostIdentifier() ||
		notice.Alert.Columns["cmdline"] != "nc -l 4444" || len(notice.Alert.Why) != 2 {
		d.Errorf("the webhook was told %v %s", err, posted[0])
	}
	mails = slices.DeleteFunc(mails, func(m smtptest.Message) bool { return !strings.Contains(m.Data, "nc listens") })
	if len(mails) != 1 {
		d.Fatalf("%d mails tell of one alert", len(mails))
	}
	for _, text := range []string{"CRITICAL: nc listens on ", host.Hostname(), "https://console.example.com/alerts/"} {
		if !strings.Contains(mails[0].Data, text) {
			d.Errorf("the mail lacks %s:\n%s", text, mails[0].Data)
		}
	}
}

func (d *detectionTest) investigate(host *agenttest.Agent, id int64) {
	d.Helper()
	var around struct {
		List []struct {
			Name string
			Data []map[string]string
		} `json:"schedule_query_data_list_obj"`
	}
	d.api("GET", fmt.Sprintf("/alerts/%d/events", id), "", &around)
	if len(around.List) == 0 || len(around.List[0].Data) != 3 {
		d.Errorf("around the alert happened %+v", around)
	}
	status, tree := d.call("GET", fmt.Sprintf("/services/api/v1/alerts/%d/tree", id), d.token, "")
	if status != http.StatusOK || !strings.Contains(tree, "/usr/bin/nc") || !strings.Contains(tree, "/bin/sh") {
		d.Errorf("the tree of %s is %d %s", host.Hostname(), status, tree)
	}
}

// indicators: a sighting as it comes, and one from before somebody knew.
func (d *detectionTest) indicators() {
	d.Helper()
	host := d.enroll(agenttest.Linux, 70)
	socket := func(address string) map[string]string {
		d.lines++
		return map[string]string{"remote_address": address, "remote_port": "443", "path": "/usr/bin/curl", "pid": "77", "action": "connect", "eid": fmt.Sprint(d.lines)}
	}
	const query = "pack/security/socket_events"
	d.log(host, query, socket("203.0.113.250"), socket("203.0.113.251"))
	d.api("POST", "/iocs/add", `{"data":{"bad server":{"type":"remote_address","severity":"WARNING","values":"203.0.113.250,198.51.100.99"}}}`, nil)
	mine := func(address string) []alert {
		return slices.DeleteFunc(d.alerts("ioc"), func(a alert) bool { return a.Hostname != host.Hostname() || a.Entry["remote_address"] != address })
	}
	eventually(d.T, time.Minute, "a sighting from before raises an alert", func() bool { return len(mine("203.0.113.250")) == 1 })
	d.log(host, query, socket("198.51.100.99"), socket("198.51.100.98"))
	eventually(d.T, 10*time.Second, "a sighting raises an alert", func() bool { return len(mine("198.51.100.99")) == 1 })
	if got := len(mine("203.0.113.251")) + len(mine("198.51.100.98")); got != 0 {
		d.Errorf("%d alerts about addresses that nobody named", got)
	}
}

// carves: what a host hands over is scanned.
func (d *detectionTest) carves() {
	d.Helper()
	agent, err := agenttest.New(agenttest.Options{Server: d.url(), RootCAs: d.roots, Secret: testSecret, Seed: 80,
		Files: map[string][]byte{"/tmp/evil": []byte("MUSTER-EVIL-MARK")}})
	if err != nil || agent.Enroll(d.Context()) != nil {
		d.Fatal("the agent does not enrol", err)
	}
	if status, answer := uploadYARA(d.process, d.token, "evil.yar", `rule evil_mark { strings: $a = "MUSTER-EVIL-MARK" condition: $a }`); status != http.StatusOK {
		d.Fatalf("the upload answers %d %s", status, answer)
	}
	d.api("POST", "/distributed/add", fmt.Sprintf(`{"query":"select * from carves where carve = 1 and path = '/tmp/evil'","nodes":%q}`, agent.HostIdentifier()), nil)
	eventually(d.T, time.Minute, "the carve is scanned and its match an alert", func() bool {
		if err := agent.PollDistributed(d.Context()); err != nil {
			d.Fatal(err)
		}
		if err := agent.RunCarves(d.Context()); err != nil {
			d.Fatal(err)
		}
		found := d.alerts("yara")
		return len(found) == 1 && found[0].Hostname == agent.Hostname() && strings.HasSuffix(found[0].Entry["path"], "evil") && found[0].Entry["yara_rule"] == "evil_mark"
	})
}

func savedPEM(t *testing.T, mail *smtptest.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mail.pem")
	if err := os.WriteFile(file, mail.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (d *detectionTest) configureMail(mail *smtptest.Server) {
	d.Helper()
	d.api("POST", "/email/configure", fmt.Sprintf(
		`{"emalRecipients":"soc@example.com","email":"muster@example.com","smtpAddress":%q,"password":"","smtpPort":%d}`, mail.Host, mail.Port), nil)
}

const hookSecret = "a-secret-of-sixteen"

// receiver is a webhook that checks signatures itself.
type receiver struct {
	mu     sync.Mutex
	bodies []string
	broken []string
}

// receive starts a webhook and makes it the alerter "hook".
func (d *detectionTest) receive() *receiver {
	d.Helper()
	r := &receiver{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		mac := hmac.New(sha256.New, []byte(hookSecret))
		_, _ = fmt.Fprintf(mac, "%s.%s", request.Header.Get("X-Muster-Timestamp"), body)
		r.mu.Lock()
		defer r.mu.Unlock()
		if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); request.Header.Get("X-Muster-Signature") != want {
			r.broken = append(r.broken, request.Header.Get("X-Muster-Signature"))
		}
		r.bodies = append(r.bodies, string(body))
	}))
	d.Cleanup(func() {
		server.Close()
		if len(r.broken) > 0 {
			d.Errorf("signatures that are wrong: %v", r.broken)
		}
	})
	d.api("POST", "/alerters/add", fmt.Sprintf(`{"name":"hook","kind":"webhook","settings":{"url":"%s/alerts","secret":%q}}`, server.URL, hookSecret), nil)
	return r
}

// about are the requests that name something.
func (r *receiver) about(text string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var some []string
	for _, body := range r.bodies {
		if strings.Contains(body, text) {
			some = append(some, body)
		}
	}
	return some
}
