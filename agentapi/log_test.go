package agentapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/agentapi"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/results"
)

func event(unixTime int, columns string) string {
	return fmt.Sprintf(`{"name":"q","hostIdentifier":"somebody else","unixTime":%d,"epoch":0,"counter":1,"columns":%s,"action":"added"}`, unixTime, columns)
}

func TestLogBodies(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r := newRig(t, db, agentapi.Limits{})
		many := make([]string, 5000)
		for i := range many {
			many[i] = event(1000+i, fmt.Sprintf(`{"n":"%d","pad":"%s"}`, i, strings.Repeat("x", 300)))
		}
		tests := []struct {
			name   string
			header bool
			gzip   bool
			body   string // KEY stands for the key
			want   []string
			count  int
		}{
			{name: "key after the data", body: `{"data":[` + event(1, `{"a":"1"}`) + `],"log_type":"result","node_key":"KEY"}`, want: []string{`added {"a":"1"}`}},
			{name: "key before the data, gzip", gzip: true, body: `{"node_key":"KEY","log_type":"result","data":[` + event(2, `{"a":"2"}`) + `]}`, want: []string{`added {"a":"2"}`}},
			{name: "key in the header", header: true, body: `{"data":[` + event(3, `{"a":"3"}`) + `],"log_type":"result","node_key":"ignored"}`, want: []string{`added {"a":"3"}`}},
			{name: "no data", header: true, body: `{"data":[],"log_type":"result"}`},
			{name: "data of the wrong kind", header: true, body: `{"data":"","log_type":"result"}`},
			{name: "an empty body", header: true, body: ``},
			{name: "a poison line between good ones", header: true, body: `{"data":[` + event(4, `{"a":"4"}`) + `,{"name":tru},7,"x",` + event(5, `{"a":"5"}`) + `]}`, want: []string{`added {"a":"5"}`, `added {"a":"4"}`}},
			{name: "a body that breaks off", header: true, body: `{"data":[` + event(6, `{"a":"6"}`) + `,{"name":`, want: []string{`added {"a":"6"}`}},
			{name: "a body that is broken before its key", body: `{"data":[` + event(7, `{"a":"7"}`) + `} ,,],"log_type":"result","node_key":"KEY"}`, want: []string{`added {"a":"7"}`}},
			{name: "more than fits in memory, key last", body: `{"data":[` + strings.Join(many, ",") + `],"node_key":"KEY"}`, count: 5000},
			{name: "more than fits in memory, gzip, key last", gzip: true, body: `{"data":[` + strings.ReplaceAll(strings.Join(many, ","), `"n"`, `"m"`) + `],"node_key":"KEY"}`, count: 5000},
		}
		for n, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				r := *r
				r.T = t
				key, host := r.enroll(fmt.Sprint("agent", n))
				q := request{path: "/log", body: strings.Replace(test.body, "KEY", key, 1), gzip: test.gzip}
				if test.header {
					q.key = key
				}
				for range 2 { // an agent whose answer was lost sends again
					if _, answer := r.send(q); answer != "{}" {
						t.Fatalf("answered %s", answer)
					}
				}
				if test.count > 0 {
					counts, err := r.results.ActivityCounts(t.Context(), host.ID)
					if err != nil || len(counts) != 1 || counts[0].Count != test.count {
						t.Errorf("stored %+v, %v, want %d", counts, err, test.count)
					}
					return
				}
				if diff := cmp.Diff(test.want, r.rows(host, "q")); diff != "" {
					t.Error(diff)
				}
			})
		}
	})
}

func TestUnreadableLinesAreShownToPeople(t *testing.T) {
	r := newRig(t, dbtest.Open(t, database.SQLite), agentapi.Limits{Line: 100})
	key, host := r.enroll("agent")
	body := `{"data":[{"bad":` + strings.Repeat(`[`, 3) + strings.Repeat(`]`, 3) + `},{"name":"q","columns":{"a":"` + strings.Repeat("x", 500) + `"}},{"name":"q` + "\x00" + `}]}`
	if _, answer := r.send(request{path: "/log", key: key, body: body}); answer != "{}" {
		t.Fatalf("answered %s", answer)
	}
	logs, _, _, err := r.results.StatusLogs(t.Context(), results.StatusFilter{HostID: host.ID, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	var messages []string
	for _, log := range logs {
		messages = append(messages, log.Message)
	}
	text := strings.Join(messages, "\n")
	for _, want := range []string{"neither a result nor a status", "larger than this server takes", "could not be read to its end"} {
		if !strings.Contains(text, want) {
			t.Errorf("nothing says %q:\n%s", want, text)
		}
	}
}

// What a database refuses, or nobody should hold in memory, must not come again
// for ever, and must not keep the lines beside it.
func TestHostileLinesDrain(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		r := newRig(t, db, agentapi.Limits{})
		key, host := r.enroll("agent")
		var random strings.Builder // does not compress, as an index would try
		for i := range 9000 {
			random.WriteByte(byte('a' + (i*i*31+i*7+i/13)%26))
		}
		body := `{"data":[` + event(1, `{"a":"1"}`) + `,
			{"name":"` + random.String() + `","unixTime":2,"columns":{"a":"2"}},
			{"name":"rows","unixTime":3,"snapshot":[` + strings.Repeat(`{},`, 200_000) + `{}]},` + event(4, `{"a":"4"}`) + `]}`
		if _, answer := r.send(request{path: "/log", key: key, body: body}); answer != "{}" {
			t.Fatalf("answered %s", answer)
		}
		if diff := cmp.Diff([]string{`added {"a":"4"}`, `added {"a":"1"}`}, r.rows(host, "q")); diff != "" {
			t.Error(diff)
		}
		logs, _, _, err := r.results.StatusLogs(t.Context(), results.StatusFilter{HostID: host.ID, Limit: 10})
		if err != nil || len(logs) != 1 || !strings.Contains(logs[0].Message, "200001 rows") {
			t.Errorf("noted %+v, %v", logs, err)
		}
	})
}

func TestABodyOverTheLimitDrainsWhoeverSendsIt(t *testing.T) {
	r := newRig(t, dbtest.Open(t, database.SQLite), agentapi.Limits{Body: 2000})
	key, host := r.enroll("agent")
	long := event(1, `{"a":"1"}`) + `,` + event(2, `{"a":"`+strings.Repeat("x", 4000)+`"}`)
	if _, answer := r.send(request{path: "/log", key: key, body: `{"data":[` + long + `]}`}); answer != "{}" {
		t.Errorf("with the key in the header: %s", answer)
	}
	if _, answer := r.send(request{path: "/log", body: `{"data":[` + long + `],"log_type":"result","node_key":"` + key + `"}`}); answer != "{}" {
		t.Errorf("with the key at the end: %s", answer)
	}
	if _, answer := r.send(request{path: "/log", body: `{"data":[` + long + `],"node_key":"` + strings.Repeat("x", 43) + `"}`}); agentTakes("log", answer) != "enrols anew" {
		t.Errorf("with an unknown key at the end: %s", answer)
	}
	if diff := cmp.Diff([]string{`added {"a":"1"}`}, r.rows(host, "q")); diff != "" {
		t.Error(diff)
	}
}

func TestABrokenConnectionKeepsTheAgentsData(t *testing.T) {
	r := newRig(t, dbtest.Open(t, database.SQLite), agentapi.Limits{})
	key, _ := r.enroll("agent")
	full := `{"data":[` + event(1, `{"a":"1"}`) + `]}`
	for _, cut := range []int{1, 10, 40} {
		if status, answer := r.sendGzip(key, full, cut, false); agentTakes("log", answer) != "keeps" {
			t.Errorf("a gzip body without its last %d bytes is answered %d %q", cut, status, answer)
		}
	}
	if status, answer := r.sendGzip(key, full, 0, true); agentTakes("log", answer) != "keeps" {
		t.Errorf("a gzip body that does not unpack is answered %d %q", status, answer)
	}
}
