package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"muster/server/accounts"
)

// fakeAPI is the part of the API that the query command talks to.
type fakeAPI struct {
	t   *testing.T
	url string
	ca  string
	// stream plays connection n of a live query, from 1, and ends it by returning.
	stream func(n int, send func(messages ...string))
	// known says whether a token is good; by default "good" is.
	known func(token string) bool

	mu      sync.Mutex
	asked   map[string]any // the last query
	streams int
	ended   []string // tokens that were signed out
}

func newFakeAPI(t *testing.T, stream func(n int, send func(...string))) *fakeAPI {
	f := &fakeAPI{t: t, stream: stream, known: func(token string) bool { return token == "good" }}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /services/api/v1/login", f.login)
	mux.HandleFunc("POST /services/api/v1/logout", f.logout)
	mux.HandleFunc("POST /services/api/v1/hosts", f.signedIn(f.hosts))
	mux.HandleFunc("GET /services/api/v1/hosts/{name}", f.signedIn(f.host))
	mux.HandleFunc("POST /services/api/v1/distributed/add", f.signedIn(f.add))
	mux.HandleFunc("GET /services/api/v1/live/{id}", f.signedIn(f.live))
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	f.url = server.URL
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	f.ca = write(t, t.TempDir(), "ca.pem", string(certificate))
	return f
}

func reply(w http.ResponseWriter, status int, body string) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func bearer(r *http.Request) string {
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}

func (f *fakeAPI) signedIn(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !f.known(bearer(r)) {
			reply(w, 401, `{"status":"failure","message":"API key passed is invalid"}`)
			return
		}
		next(w, r)
	}
}

func (f *fakeAPI) login(w http.ResponseWriter, r *http.Request) {
	var body map[string]string
	_ = json.NewDecoder(r.Body).Decode(&body)
	if body["username"] != "ada" || body["password"] != "correct horse" {
		reply(w, 401, `{"status":"failure","message":"Invalid username and/or password"}`)
		return
	}
	reply(w, 200, `{"status":"success","message":"in","token":"good"}`)
}

func (f *fakeAPI) logout(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = append(f.ended, bearer(r))
	reply(w, 200, `{"status":"success","message":"out"}`)
}

// host knows one by its identifier, which is many others' name, and another by its number.
func (f *fakeAPI) host(w http.ResponseWriter, r *http.Request) {
	body := map[string]string{
		"many/i 1": `{"status":"success","data":{"display_name":"other","host_identifier":"many/i 1"}}`,
		"12":       `{"status":"success","data":{"display_name":"other","host_identifier":"i12"}}`,
	}[r.PathValue("name")]
	if body == "" {
		reply(w, 404, `{"status":"failure","message":"Host with this identifier does not exist"}`)
		return
	}
	reply(w, 200, body)
}

// page is one of 25000 hosts called many1, many2 and so on.
func page(start, limit int) string {
	var rows []string
	for i := start + 1; i <= min(start+limit, 25_000); i++ {
		rows = append(rows, fmt.Sprintf(`{"display_name":"many%d","host_identifier":"m%d"}`, i, i))
	}
	return `{"status":"success","data":{"results":[` + strings.Join(rows, ",") + `]}}`
}

// hosts finds two machines called twin and one called web1.
func (f *fakeAPI) hosts(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	_ = json.NewDecoder(r.Body).Decode(&body)
	start, _ := body["start"].(float64)
	limit, _ := body["limit"].(float64)
	reply(w, 200, map[any]string{
		"twin": `{"status":"success","data":{"results":[{"display_name":"twin","host_identifier":"t1"},{"display_name":"Twin","host_identifier":"t2"}]}}`,
		"web1": `{"status":"success","data":{"results":[{"display_name":"web10","host_identifier":"i10"},{"display_name":"web1","host_identifier":"i1"}]}}`,
		"12":   `{"status":"success","data":{"results":[{"display_name":"12","host_identifier":"n12"}]}}`,
		"a":    `{"status":"success","data":{"results":[]}}`,
		"..":   `{"status":"success","data":{"results":[]}}`,

		"many24000": page(int(start), int(limit)),
	}[body["searchterm"]])
}

func (f *fakeAPI) add(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = map[string]any{}
	_ = json.NewDecoder(r.Body).Decode(&f.asked)
	if strings.Contains(f.asked["query"].(string), "wrong") {
		reply(w, 422, `{"status":"failure","message":"line 1, column 8: there is no column wrong"}`)
		return
	}
	reply(w, 200, `{"status":"success","message":"sent","data":{"query_id":7}}`)
}

func (f *fakeAPI) live(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("id") != "7" {
		reply(w, 404, `{"status":"failure","message":"Live query with this id does not exist"}`)
		return
	}
	if !websocket.IsWebSocketUpgrade(r) {
		reply(w, 200, `{"status":"success","message":"","data":{"id":7,"query":"select uid, shell from users"}}`)
		return
	}
	conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
	if err != nil {
		f.t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	f.mu.Lock()
	f.streams++
	n := f.streams
	f.mu.Unlock()
	f.stream(n, func(messages ...string) {
		for _, m := range messages {
			if conn.WriteMessage(websocket.TextMessage, []byte(m)) != nil {
				return // the client left
			}
		}
	})
}

// Messages as adminapi/live.go sends them.
func result(id int, name, rows string) string {
	return fmt.Sprintf(`{"type":"result","query_id":7,"node":{"id":%d,"name":%q,"host_identifier":"i%d"},"data":%s,"row_count":1}`, id, name, id, rows)
}

func failure(id int, name, message string) string {
	text, _ := json.Marshal(message)
	return fmt.Sprintf(`{"type":"error","query_id":7,"node":{"id":%d,"name":%q},"state":"error","message":%s}`, id, name, text)
}

func counters(kind string, targeted, answered, empty, failed int) string {
	return fmt.Sprintf(`{"type":%q,"query_id":7,"targeted":%d,"sent":%d,"open":0,"answered":%d,"empty":%d,"failed":%d,"expired":0,"cancelled":0}`,
		kind, targeted, targeted, answered, empty, failed)
}

// ask runs the query command with a good token.
func (f *fakeAPI) ask(ctx context.Context, s *session, args ...string) int {
	s.environ = append(s.environ, "MUSTER_SERVER="+f.url, "MUSTER_CA="+f.ca, "MUSTER_DATA="+f.t.TempDir())
	return s.run(ctx, append([]string{"query"}, args...)...)
}

var goodToken = []string{"MUSTER_TOKEN=good"}

// twoHosts answer at once; the second has no rows.
func twoHosts(_ int, send func(...string)) {
	send(counters("progress", 2, 0, 0, 0), result(1, "h1", `[{"uid":"0","shell":"/bin/sh"}]`),
		result(2, "h2", `[]`), counters("done", 2, 1, 1, 0))
}

func TestQueryFormats(t *testing.T) {
	for name, want := range map[string]string{
		"table": "host  uid  shell\n----  ---  -------\nh1    0    /bin/sh\n",
		"csv":   "host,uid,shell\nh1,0,/bin/sh\n",
		"jsonl": `{"host":"h1","row":{"uid":"0","shell":"/bin/sh"}}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			f, s := newFakeAPI(t, twoHosts), session{environ: goodToken}
			status := f.ask(t.Context(), &s, "select uid, shell from users", "--format", name, "--host", "a,web1", "--host=a", "--tag", "x",
				"--expires", "2m", "--description", "why")
			if status != exitOK || s.out.String() != want || !strings.Contains(s.err.String(), "answered 2 of 2, 0 errors") {
				t.Errorf("exit %d\n%s\n%s", status, s.out.String(), s.err.String())
			}
			asked := map[string]any{"query": "select uid, shell from users", "nodes": []any{"a", "i1", "a"}, "tags": []any{"x"},
				"expires": float64(120), "description": "why"}
			if diff := cmp.Diff(asked, f.asked); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestQueryFollowsAnEarlierOne(t *testing.T) {
	f, s := newFakeAPI(t, twoHosts), session{environ: goodToken}
	if status := f.ask(t.Context(), &s, "--follow", "7", "--format", "csv"); status != exitOK || s.out.String() != "host,uid,shell\nh1,0,/bin/sh\n" {
		t.Errorf("exit %d\n%s\n%s", status, s.out.String(), s.err.String())
	}
	if f.asked != nil {
		t.Errorf("it asked again: %v", f.asked)
	}
}

func TestHostsAreFoundByWhatPeopleCallThem(t *testing.T) {
	for sentence, c := range map[string]struct{ name, asked string }{
		"an identifier needs no search":           {"many/i 1", "many/i 1"},
		"a name behind more than a page of hits":  {"many24000", "m24000"},
		"a number that is another host's name":    {"12", "n12"},
		"what nobody knows is left to the server": {"a", "a"},
		"a step in a path is none":                {"..", ".."},
	} {
		t.Run(sentence, func(t *testing.T) {
			f, s := newFakeAPI(t, twoHosts), session{environ: goodToken}
			status := f.ask(t.Context(), &s, "select 1", "--host", c.name)
			if diff := cmp.Diff([]any{c.asked}, f.asked["nodes"]); status != exitOK || diff != "" {
				t.Errorf("exit %d: %s\n%s", status, s.err.String(), diff)
			}
		})
	}
}

func TestTokensOutliveTheirQuery(t *testing.T) {
	for sentence, c := range map[string]struct {
		q     query
		least time.Duration
	}{
		"the server's default":            {query{}, time.Hour},
		"a query that waits":              {query{expires: 48 * time.Hour}, 48 * time.Hour},
		"an earlier one, however long":    {query{follow: 7}, 7 * 24 * time.Hour},
		"an earlier one, left in time":    {query{follow: 7, timeout: time.Minute}, time.Minute},
		"one that is left before it ends": {query{expires: 48 * time.Hour, timeout: time.Minute}, time.Minute},
	} {
		if got := c.q.tokenLifetime(); got <= c.least || got > c.least+10*time.Minute {
			t.Errorf("%s: %v", sentence, got)
		}
	}
}

func TestQueryReadsSQLFromTheStandardInput(t *testing.T) {
	f, s := newFakeAPI(t, twoHosts), session{environ: goodToken}
	s.in.WriteString("select 1\n")
	if status := f.ask(t.Context(), &s, "-"); status != exitOK || f.asked["query"] != "select 1" {
		t.Errorf("exit %d, asked %v, %s", status, f.asked, s.err.String())
	}
}

func TestQueryEndsOtherwise(t *testing.T) {
	someFailed := func(_ int, send func(...string)) {
		send(result(1, "h1", `[{"a":"1"}]`), failure(2, "h2", "no such table: x\x1b[2J"), counters("done", 2, 1, 0, 1))
	}
	signedOut := func(int, func(...string)) {}
	for sentence, c := range map[string]struct {
		stream  func(int, func(...string))
		environ []string
		args    []string
		status  int
		says    string
	}{
		"some failed":           {someFailed, goodToken, []string{"select 1"}, exitIncomplete, "h2: no such table: x\uFFFD[2J\n"},
		"failures are counted":  {someFailed, goodToken, []string{"select 1"}, exitIncomplete, "answered 1 of 2, 1 errors"},
		"the SQL is wrong":      {twoHosts, goodToken, []string{"select wrong"}, exitFailed, "line 1, column 8"},
		"the token is wrong":    {twoHosts, []string{"MUSTER_TOKEN=bad"}, []string{"select 1"}, exitFailed, "invalid"},
		"an unknown query":      {signedOut, goodToken, []string{"--follow", "8"}, exitFailed, "does not exist"},
		"nobody is signed in":   {twoHosts, nil, []string{"select 1", "--server", "https://muster.example"}, exitFailed, "say who you are"},
		"no database here":      {twoHosts, nil, []string{"select 1"}, exitFailed, "there is no database"},
		"no password":           {twoHosts, []string{"MUSTER_USERNAME=ada"}, []string{"select 1"}, exitFailed, "MUSTER_PASSWORD"},
		"a wrong password":      {twoHosts, []string{"MUSTER_USERNAME=ada", "MUSTER_PASSWORD=x"}, []string{"select 1"}, exitFailed, "Invalid username"},
		"no SQL":                {twoHosts, goodToken, nil, exitUsage, "SQL"},
		"SQL without quotes":    {twoHosts, goodToken, []string{"select", "1"}, exitUsage, "quotes"},
		"empty SQL":             {twoHosts, goodToken, []string{" "}, exitUsage, "empty"},
		"an unknown format":     {twoHosts, goodToken, []string{"select 1", "--format", "xml"}, exitUsage, "xml"},
		"an ambiguous name":     {twoHosts, goodToken, []string{"select 1", "--host", "twin"}, exitFailed, "2 hosts are called twin: name one by its identifier, t1 or t2"},
		"all and some":          {twoHosts, goodToken, []string{"select 1", "--all", "--host", "a"}, exitUsage, "--all"},
		"both old and new":      {twoHosts, goodToken, []string{"select 1", "--follow", "7"}, exitUsage, "--follow"},
		"a negative time":       {twoHosts, goodToken, []string{"select 1", "--timeout", "-1s"}, exitUsage, "negative"},
		"no Muster":             {func(_ int, send func(...string)) { send("hello") }, goodToken, []string{"select 1"}, exitFailed, "cannot be read"},
		"an unreachable server": {twoHosts, goodToken, []string{"select 1", "--server", "https://127.0.0.1:1"}, exitFailed, "cannot be reached"},
	} {
		t.Run(sentence, func(t *testing.T) {
			f, s := newFakeAPI(t, c.stream), session{environ: c.environ}
			if status := f.ask(t.Context(), &s, c.args...); status != c.status || !strings.Contains(s.err.String(), c.says) {
				t.Errorf("exit %d, want %d: %q does not say %q", status, c.status, s.err.String(), c.says)
			}
		})
	}
}

func TestQuerySignsInAndOut(t *testing.T) {
	f, s := newFakeAPI(t, twoHosts), session{environ: []string{"MUSTER_PASSWORD=correct horse"}}
	if status := f.ask(t.Context(), &s, "select 1", "--username", "ada"); status != exitOK {
		t.Fatalf("exit %d: %s", status, s.err.String())
	}
	if diff := cmp.Diff([]string{"good"}, f.ended); diff != "" {
		t.Errorf("signed out: %s", diff)
	}
}

func TestQueryOnTheServersOwnMachine(t *testing.T) {
	eachEngine(t, func(t *testing.T, m machine) {
		store := accounts.New(m.db, accounts.Options{})
		if err := store.AddUser(t.Context(), "admin", "correct horse"); err != nil {
			t.Fatal(err)
		}
		f := newFakeAPI(t, twoHosts)
		f.known = func(token string) bool {
			account, err := store.Authenticate(context.Background(), token)
			return err == nil && account.Username == "admin"
		}
		s := session{environ: []string{"MUSTER_DATABASE_URL=" + m.url}}
		if status := f.ask(t.Context(), &s, "select 1"); status != exitOK || len(f.ended) != 1 {
			t.Errorf("exit %d, ended %v: %s", status, f.ended, s.err.String())
		}
	})
}

func TestQueryGoesOnAfterABreak(t *testing.T) {
	f := newFakeAPI(t, func(n int, send func(...string)) {
		send(counters("progress", 2, 0, 0, 0), result(1, "h1", `[{"a":"1"}]`))
		if n > 1 {
			send(result(2, "h2", `[{"a":"2"}]`), counters("done", 2, 2, 0, 0))
		}
	})
	s := session{environ: goodToken}
	if status := f.ask(t.Context(), &s, "select 1 as a", "--format", "csv"); status != exitOK || s.out.String() != "host,a\nh1,1\nh2,2\n" {
		t.Errorf("exit %d\n%s\n%s", status, s.out.String(), s.err.String())
	}
	if f.streams != 2 {
		t.Errorf("%d streams", f.streams)
	}
}

// hangs sends one answer and then nothing until the client leaves.
func hangs(t *testing.T, sent chan<- struct{}) func(int, func(...string)) {
	left := make(chan struct{})
	t.Cleanup(func() { close(left) })
	return func(_ int, send func(...string)) {
		send(counters("progress", 2, 0, 0, 0), result(1, "h1", `[{"a":"1"}]`))
		close(sent)
		<-left
	}
}

func TestCtrlC(t *testing.T) {
	sent := make(chan struct{})
	f, s := newFakeAPI(t, hangs(t, sent)), session{environ: []string{"MUSTER_PASSWORD=correct horse"}}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-sent
		cancel() // what main does on SIGINT
	}()
	status := f.ask(ctx, &s, "select 1 as a", "--username", "ada", "--format", "csv")
	if status != exitInterrupted || !strings.Contains(s.err.String(), "query 7 goes on") || !strings.Contains(s.err.String(), "--follow 7") {
		t.Errorf("exit %d: %s", status, s.err.String())
	}
	if len(f.ended) != 1 {
		t.Error("it did not sign out")
	}
}

func TestTimeout(t *testing.T) {
	f, s := newFakeAPI(t, hangs(t, make(chan struct{}))), session{environ: goodToken}
	status := f.ask(t.Context(), &s, "select 1 as a", "--timeout", "300ms")
	if status != exitIncomplete || !strings.Contains(s.err.String(), "query 7 goes on") {
		t.Errorf("exit %d: %s", status, s.err.String())
	}
}

// closedPipe is a standard output that nobody reads any more.
type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestAClosedOutputEndsTheQuery(t *testing.T) {
	f, s := newFakeAPI(t, twoHosts), session{}
	at := s.terminal()
	at.out = closedPipe{}
	environ := []string{"MUSTER_TOKEN=good", "MUSTER_SERVER=" + f.url, "MUSTER_CA=" + f.ca}
	status := run(t.Context(), at, []string{"query", "select uid, shell from users"}, environ)
	if status != exitFailed || !strings.Contains(s.err.String(), "broken pipe") || f.streams != 1 {
		t.Errorf("exit %d after %d streams: %s", status, f.streams, s.err.String())
	}
}

func TestReconnectingHasAnEnd(t *testing.T) {
	f := newFakeAPI(t, func(int, func(...string)) {})
	c, err := newClient(Config{Server: f.url, CA: f.ca})
	if err != nil {
		t.Fatal(err)
	}
	c.token = "good"
	var s session
	w := newWatcher(s.terminal(), lineFormat{out: io.Discard}, 7)
	var waits []time.Duration
	w.pause = func(_ context.Context, d time.Duration) { waits = append(waits, d) }
	if err := w.watch(t.Context(), c); err == nil || f.streams != reconnects+1 {
		t.Errorf("after %d streams: %v", f.streams, err)
	}
	if len(waits) != reconnects || waits[0] != time.Second/2 || waits[1] != time.Second {
		t.Errorf("waits %v", waits)
	}
}
