package adminapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"muster/server/accounts"
	"muster/server/database"
	"muster/server/database/dbtest"
)

// dial opens a WebSocket at a path as do would call it.
func (w *world) dial(path string, header http.Header) (*websocket.Conn, *http.Response, error) {
	w.t.Helper()
	dialer := websocket.Dialer{TLSClientConfig: w.server.Client().Transport.(*http.Transport).TLSClientConfig, HandshakeTimeout: 10 * time.Second}
	conn, response, err := dialer.DialContext(w.t.Context(), "wss"+strings.TrimPrefix(w.url(path), "https"), header)
	if err == nil {
		w.t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	}
	return conn, response, err
}

func (w *world) open(path string) *websocket.Conn {
	w.t.Helper()
	conn, response, err := w.dial(path, http.Header{"X-Access-Token": {w.token}})
	if err != nil {
		w.t.Fatalf("%s: %v %v", path, err, response)
	}
	return conn
}

func (w *world) read(conn *websocket.Conn) (int, string) {
	w.t.Helper()
	kind, message, err := conn.ReadMessage()
	w.ok(err)
	return kind, string(message)
}

// espAsk subscribes as the published clients do and swallows the greeting.
func (w *world) espAsk(message string, id int64) *websocket.Conn {
	w.t.Helper()
	conn := w.open("//distributed/result")
	w.ok(conn.WriteMessage(websocket.TextMessage, []byte(message)))
	kind, text := w.read(conn)
	if kind != websocket.TextMessage || text != fmt.Sprintf("Fetching results for query with query id : %d", id) {
		w.t.Fatalf("greeting: %d %q", kind, text)
	}
	return conn
}

func (w *world) espFrame(conn *websocket.Conn) string {
	w.t.Helper()
	kind, frame := w.read(conn)
	if kind != websocket.BinaryMessage {
		w.t.Fatalf("a frame that is not binary: %s", frame)
	}
	return frame
}

const (
	frameOfHost1 = `{"node":{"id":1,"name":"web-1"},"query_id":1,"status":0,"data":[{"a":"1"}]}`
	frameOfHost2 = `{"node":{"id":2,"name":"DESK-2"},"query_id":1,"status":1,"data":[]}`
)

func TestESPResults(t *testing.T) {
	each(t, func(w *world) {
		id := w.launchAll("select 1 as a")
		early := w.espAsk(fmt.Sprintf(`{"query_id":%d}`, id), id)
		w.reply(1, `[{"a":"1"}]`)
		if got := w.espFrame(early); got != frameOfHost1 {
			t.Errorf("got %s", got)
		}
		late := w.espAsk("1", id)
		w.reply(2, "")
		finished := w.espAsk(`"1"`, id)
		for name, conn := range map[string]*websocket.Conn{"a late subscriber": late, "one after the end": finished} {
			if got := w.espFrame(conn); got != frameOfHost1 {
				t.Errorf("%s: got %s", name, got)
			}
			if got := w.espFrame(conn); got != frameOfHost2 {
				t.Errorf("%s: got %s", name, got)
			}
		}
		if got := w.espFrame(early); got != frameOfHost2 {
			t.Errorf("got %s", got)
		}

		// The same connection serves other queries, and what is wrong does not end it.
		second := w.launchAll("select 2 as a")
		w.ok(early.WriteMessage(websocket.TextMessage, []byte("nonsense")))
		if kind, text := w.read(early); kind != websocket.TextMessage || !strings.Contains(text, "failure") {
			t.Errorf("nonsense: %d %s", kind, text)
		}
		w.ok(early.WriteMessage(websocket.TextMessage, []byte("99")))
		if _, text := w.read(early); !strings.HasPrefix(text, "Fetching") {
			t.Errorf("an unknown query is not greeted: %s", text)
		}
		if kind, text := w.read(early); kind != websocket.TextMessage || !strings.Contains(text, "does not exist") {
			t.Errorf("an unknown query: %d %s", kind, text)
		}
		w.ok(early.WriteMessage(websocket.BinaryMessage, fmt.Appendf(nil, `{"query_id":"%d"}`, second)))
		if _, text := w.read(early); !strings.HasPrefix(text, "Fetching") {
			t.Errorf("a second query is not greeted: %s", text)
		}
		w.reply(1, `[]`)
		if got := w.espFrame(early); got != `{"node":{"id":1,"name":"web-1"},"query_id":2,"status":0,"data":[]}` {
			t.Errorf("got %s", got)
		}
	})
}

func TestLiveStream(t *testing.T) {
	each(t, func(w *world) {
		id := w.launchAll("select 1 as a")
		conn := w.open("/live/1")
		_, first := w.read(conn)
		want := `{"type":"progress","query_id":1,"targeted":2,"sent":0,"open":2,"answered":0,"empty":0,"failed":0,"expired":0,"cancelled":0}`
		if first != want {
			t.Errorf("it does not begin with the progress: %s", first)
		}
		w.reply(1, `[{"a":"1"}]`)
		w.reply(2, "")
		seen := map[string]string{}
		for seen["done"] == "" {
			_, text := w.read(conn)
			var message struct{ Type string }
			w.ok(json.Unmarshal([]byte(text), &message))
			if message.Type != "progress" && seen[message.Type] != "" {
				t.Errorf("twice: %s", text)
			}
			seen[message.Type] = text
		}
		for kind, want := range map[string]string{
			"result": `{"type":"result","query_id":1,"node":{"id":1,"name":"web-1","host_identifier":"11111111-AAAA-4AAA-8AAA-111111111111"},"row_count":1,"data":[{"a":"1"}]}`,
			"error":  `{"type":"error","query_id":1,"node":{"id":2,"name":"desk-2","host_identifier":"22222222-BBBB-4BBB-8BBB-222222222222"},"state":"error","message":"no such table: nothing","data":[]}`,
			"done":   `{"type":"done","query_id":1,"targeted":2,"sent":2,"open":0,"answered":1,"empty":0,"failed":1,"expired":0,"cancelled":0}`,
		} {
			if seen[kind] != want {
				t.Errorf("got %s\nwant %s", seen[kind], want)
			}
		}
		w.wantClose(conn, websocket.CloseNormalClosure)
		if id != 1 {
			t.Errorf("id %d", id)
		}

		unknown := w.open("/live/99")
		if _, text := w.read(unknown); text != `{"type":"error","query_id":99,"message":"Live query with this id does not exist"}` {
			t.Errorf("an unknown query: %s", text)
		}
		w.wantClose(unknown, closeUnknown)
	})
}

func (w *world) wantClose(conn *websocket.Conn, code int) {
	w.t.Helper()
	_, message, err := conn.ReadMessage()
	if !websocket.IsCloseError(err, code) {
		w.t.Errorf("got %s %v, want close code %d", message, err, code)
	}
}

func TestSocketAuthentication(t *testing.T) {
	each(t, func(w *world) {
		w.launchAll("select 1 as a")
		ticket := func() string {
			_, body := w.do("POST", "/live/ticket", nil)
			var got struct {
				Data struct {
					Ticket    string
					ExpiresIn int `json:"expires_in"`
				}
			}
			if json.Unmarshal(body, &got) != nil || got.Data.Ticket == "" || got.Data.ExpiresIn != 30 {
				t.Fatalf("%s", body)
			}
			return got.Data.Ticket
		}
		used := ticket()
		if conn, _, err := w.dial("/live/1?token="+used, nil); err != nil {
			t.Errorf("a ticket: %v", err)
		} else {
			_ = conn.Close()
		}
		ours := "https://" + strings.TrimPrefix(w.server.URL, "https://")
		token := http.Header{"X-Access-Token": {w.token}}
		tests := []struct {
			name, query string
			header      http.Header
			status      int // 101: it opens
		}{
			{"no token", "", nil, 401},
			{"a used ticket", "?token=" + used, nil, 401},
			{"a session's token in the URL", "?token=" + w.token, nil, 401},
			{"a bearer", "", http.Header{"Authorization": {"Bearer " + w.token}}, 101},
			{"a token from our own page", "", http.Header{"X-Access-Token": {w.token}, "Origin": {ours}}, 101},
			{"a token from a configured page", "", http.Header{"X-Access-Token": {w.token}, "Origin": {"https://console.example"}}, 101},
			{"a ticket from a foreign page", "?token=" + ticket(), http.Header{"Origin": {"https://evil.example"}}, 403},
			{"a token from a page without origin", "", http.Header{"X-Access-Token": {w.token}, "Origin": {"null"}}, 403},
		}
		for _, path := range []string{"/live/1", "//distributed/result", "/distributed/result"} {
			for _, test := range tests {
				conn, response, err := w.dial(path+test.query, test.header)
				if err == nil {
					_ = conn.Close()
				}
				if response == nil || response.StatusCode != test.status {
					t.Errorf("%s, %s: %v %v", path, test.name, response, err)
				}
			}
		}
		w.clock.pass(31 * time.Second)
		late := ticket()
		w.clock.pass(31 * time.Second)
		if _, response, err := w.dial("/live/1?token="+late, nil); err == nil || response.StatusCode != 401 {
			t.Errorf("a late ticket: %v", err)
		}
		if status, body := w.do("GET", "//distributed/result", nil); status != http.StatusBadRequest {
			t.Errorf("no WebSocket: %d %s", status, body)
		}
		w.api.sockets.limit = 0
		if _, response, err := w.dial("/live/1", token); err == nil || response.StatusCode != http.StatusTooManyRequests {
			t.Errorf("one socket too many: %v", err)
		}
	})
}

func TestSocketEnds(t *testing.T) {
	each(t, func(w *world) {
		w.api.sockets.timing.ping = 20 * time.Millisecond
		w.launchAll("select 1 as a")
		signedOut := w.open("/live/1")
		_, _ = w.read(signedOut)
		if status, body := w.do("POST", "/logout", nil); status != http.StatusOK {
			t.Fatalf("%s", body)
		}
		w.wantClose(signedOut, closeSignedOut)

		w.token = w.login(adminPassword)
		stays := w.open("/live/1")
		_, _ = w.read(stays)
		close(w.closing)
		w.wantClose(stays, websocket.CloseGoingAway)
	})
}

func TestSocketsEndWhenTheSessionIsRevoked(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		timing := &w.api.sockets.timing
		timing.ping, timing.check = time.Hour, time.Hour
		w.launchAll("select 1 as a")
		open := func() *websocket.Conn {
			conn := w.open("/live/1")
			_, _ = w.read(conn)
			return conn
		}
		conn := open()
		w.ok(w.deps.Accounts.Logout(t.Context(), w.token, ""))
		w.wantClose(conn, closeSignedOut)

		w.token = w.login(adminPassword)
		conn = open()
		w.ok(w.deps.Accounts.SetPassword(t.Context(), "admin", "new password"))
		w.wantClose(conn, closeSignedOut)

		w.token = w.login("new password")
		timing.check = 20 * time.Millisecond
		conn = open()
		replica := accounts.New(db, accounts.Options{Now: w.clock.Now})
		w.ok(replica.Logout(t.Context(), w.token, ""))
		w.clock.pass(4 * time.Second)
		w.wantClose(conn, closeSignedOut)
	})
}

func TestSilentPeersAreCut(t *testing.T) {
	each(t, func(w *world) {
		w.api.sockets.timing.ping, w.api.sockets.timing.read = 20*time.Millisecond, 200*time.Millisecond
		w.launchAll("select 1 as a")
		conn := w.open("/live/1")
		_, _ = w.read(conn)
		pongs := conn.PingHandler()
		silent := false
		conn.SetPingHandler(func(data string) error {
			if silent {
				return nil
			}
			return pongs(data)
		})
		_ = conn.SetReadDeadline(time.Now().Add(600 * time.Millisecond))
		var timeout interface{ Timeout() bool }
		if _, _, err := conn.ReadMessage(); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("a peer that answers pings is cut: %v", err)
		}

		mute := w.open("/live/1")
		mute.SetPingHandler(func(string) error { return nil })
		for {
			if _, _, err := mute.ReadMessage(); err != nil {
				if errors.As(err, &timeout) && timeout.Timeout() {
					t.Error("a peer that answers nothing is kept")
				}
				break
			}
		}
	})
}

// TestSlowSubscriber: one subscriber takes nothing while far more than the
// kernel's buffers hold is answered. The other gets it all meanwhile, and the
// slow one afterwards.
func TestSlowSubscriber(t *testing.T) {
	each(t, func(w *world) {
		const queries = 8
		big := `[{"a":"` + strings.Repeat("x", 1<<20) + `"}]`
		slow, quick := w.open("//distributed/result"), w.open("//distributed/result")
		for id := int64(1); id <= queries; id++ {
			w.launchAll("select 1 as a")
			for _, conn := range []*websocket.Conn{slow, quick} {
				w.ok(conn.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, "%d", id)))
			}
		}
		w.reply(1, big)
		w.wantFrames("the quick subscriber", quick, queries, len(big))
		w.wantFrames("the slow subscriber", slow, queries, len(big))
	})
}

func (w *world) wantFrames(name string, conn *websocket.Conn, count, size int) {
	w.t.Helper()
	seen := map[int64]int{}
	for len(seen) < count {
		kind, frame, err := conn.ReadMessage()
		if err != nil {
			w.t.Fatalf("%s has %v: %v", name, seen, err)
		}
		if kind != websocket.BinaryMessage {
			continue
		}
		var got struct {
			espAnswer
			Data json.RawMessage
		}
		w.ok(json.Unmarshal(frame, &got))
		if seen[got.QueryID]++; seen[got.QueryID] > 1 || len(got.Data) != size {
			w.t.Errorf("%s got %d bytes of query %d, time %d", name, len(got.Data), got.QueryID, seen[got.QueryID])
		}
	}
}

func TestDroppedSubscribersLeaveNothing(t *testing.T) {
	each(t, func(w *world) {
		w.launchAll("select 1 as a")
		w.server.Client().CloseIdleConnections()
		before := goleak.IgnoreCurrent()
		for range 10 {
			conn := w.espAsk("1", 1)
			_ = conn.NetConn().Close() // no good-bye
			conn = w.open("/live/1")
			_, _ = w.read(conn)
			_ = conn.NetConn().Close()
		}
		// The writers of the store may start late, and are no subscribers.
		const run = "muster/server/results.(*Store).Run"
		late := []goleak.Option{before, goleak.IgnoreAnyFunction(run), goleak.IgnoreAnyFunction(run + ".func1"), goleak.IgnoreAnyFunction(run + ".func2")}
		var left error
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
			if left = goleak.Find(late...); left == nil {
				break
			}
		}
		if left != nil {
			t.Error(left)
		}
		w.noSockets()
	})
}

func FuzzParseQueryID(f *testing.F) {
	for _, message := range []string{"200", `"200"`, `{"query_id":200}`, `{"query_id":"200"}`, " 7\n", "-1", "null", `{"query_id":null}`, `{}`} {
		f.Add([]byte(message))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		id, ok := parseQueryID(message)
		if ok != (id > 0) {
			t.Errorf("%q is %d %v", message, id, ok)
		}
	})
}
