package adminapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/gorilla/websocket"

	"muster/server/distributed"
	"muster/server/fault"
	"muster/server/hosts"
)

// queriesPerSocket bounds the queries that one connection may ask for.
const queriesPerSocket = 16

// espAnswer is the binary frame of one host (document, "Distributed query flow",
// and reference section 5): with the rows as data, [] when the host failed.
type espAnswer struct {
	Node    espNode `json:"node"`
	QueryID int64   `json:"query_id"`
	Status  int     `json:"status"` // 0 ran, 1 did not
}

// espNode has the identifier only in the place of a missing name.
type espNode struct {
	ID             int64  `json:"id"`
	Name           string `json:"name,omitempty"`
	HostIdentifier string `json:"host_identifier,omitempty"`
}

func viewESPNode(id int64, h *hosts.Host) espNode {
	switch {
	case h == nil:
		return espNode{ID: id}
	case h.ComputerName != "":
		return espNode{ID: id, Name: h.ComputerName}
	case h.Hostname != "":
		return espNode{ID: id, Name: h.Hostname}
	}
	return espNode{ID: id, HostIdentifier: h.Identifier}
}

// espResults answers the WebSocket of the original: the client names query ids,
// and for each gets a greeting in text and then a binary frame per host that
// answers, from the first answer on, each once. Clients count frames: there is no
// last message, and the server leaves the connection open.
func (a *api) espResults(w http.ResponseWriter, r *http.Request) {
	s := a.openSocket(w, r)
	if s == nil {
		return
	}
	defer s.close()
	asked := map[int64]bool{}
	s.listen(func(message []byte) {
		id, ok := parseQueryID(message)
		switch {
		case !ok:
			s.fail(`Send the id of a query: {"query_id": 1}`)
		case len(asked) >= queriesPerSocket && !asked[id]:
			s.fail("Too many queries are watched on this connection: open another one")
		case asked[id]:
			s.greet(id) // what it asked for is under way
		default:
			asked[id] = true
			s.greet(id)
			s.work.Go(func() { s.followESP(id) })
		}
	})
}

// parseQueryID reads N, "N", {"query_id": N} and {"query_id": "N"}.
func parseQueryID(message []byte) (int64, bool) {
	var object struct {
		QueryID json.RawMessage `json:"query_id"`
	}
	message = bytes.TrimSpace(message)
	if json.Unmarshal(message, &object) == nil {
		message = object.QueryID
	}
	id, err := strconv.ParseInt(string(bytes.Trim(message, `" `)), 10, 64)
	if err != nil || id <= 0 {
		return 0, false
	}
	return id, true
}

// greet comes before any answer: the published client reads one message and
// throws it away.
func (s *socket) greet(id int64) {
	text := "Fetching results for query with query id : " + strconv.FormatInt(id, 10)
	if s.send(websocket.TextMessage, []byte(text)) != nil {
		_ = s.conn.Close()
	}
}

// fail tells a failure in text; the connection stays, for other queries.
func (s *socket) fail(message string) {
	if s.sendJSON(websocket.TextMessage, envelope{Status: "failure", Message: message}) != nil {
		_ = s.conn.Close()
	}
}

func (s *socket) followESP(id int64) {
	err := s.api.Distributed.Watch(s.ctx, id, func(e distributed.Event) error {
		if e.Kind != distributed.ResultEvent {
			return nil
		}
		return s.sendEvent(websocket.BinaryMessage, espAnswer{Node: viewESPNode(e.HostID, e.Host), QueryID: id, Status: e.Status}, e)
	})
	switch {
	case err == nil, s.ctx.Err() != nil:
	case fault.Is(err, fault.NotFound):
		s.fail(fault.Public(err))
	default:
		s.broken(err)
	}
}
