package adminapi

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/gorilla/websocket"

	"muster/server/distributed"
	"muster/server/fault"
	"muster/server/hosts"
)

// nodeView names a host beside its answer. A host that was deleted has its id only.
type nodeView struct {
	ID             int64  `json:"id"`
	Name           string `json:"name,omitempty"`
	HostIdentifier string `json:"host_identifier,omitempty"`
}

func viewNode(id int64, h *hosts.Host) nodeView {
	if h == nil {
		return nodeView{ID: id}
	}
	return nodeView{ID: id, Name: h.DisplayName(), HostIdentifier: h.Identifier}
}

// The messages of GET /live/{id}, all JSON texts, told apart by type:
//
//	result    a host ran the query: node, data (rows), row_count
//	error     a host did not run it: node, state (error or denylisted), message;
//	          without node, the query cannot be watched: message
//	progress  the counters of progressView, at the start and as they change
//	done      every target has an outcome; the counters; the server closes
type resultMessage struct {
	Type     string   `json:"type"`
	QueryID  int64    `json:"query_id"`
	Node     nodeView `json:"node"`
	RowCount int      `json:"row_count"`
}

type errorMessage struct {
	Type    string    `json:"type"`
	QueryID int64     `json:"query_id"`
	Node    *nodeView `json:"node,omitempty"`
	State   string    `json:"state,omitempty"`
	Message string    `json:"message"`
}

type progressMessage struct {
	Type    string `json:"type"`
	QueryID int64  `json:"query_id"`
	progressView
}

// liveQuery answers GET /live/{id}: to a WebSocket the answers as they arrive, to
// anything else the query as it stands.
func (a *api) liveQuery(plain endpoint) endpoint {
	signedIn := a.signedIn(plain)
	plain.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !websocket.IsWebSocketUpgrade(r) {
			signedIn.ServeHTTP(w, r)
			return
		}
		id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
		if err != nil {
			a.notFound(w, r)
			return
		}
		s := a.openSocket(w, r)
		if s == nil {
			return
		}
		defer s.close()
		s.work.Go(func() { s.follow(id) })
		s.listen(func([]byte) {}) // the client has nothing to say
	})
	return plain
}

// follow sends everything about a query and closes.
func (s *socket) follow(id int64) {
	err := s.api.Distributed.Watch(s.ctx, id, func(e distributed.Event) error {
		return s.sendEvent(websocket.TextMessage, liveMessage(id, e), e)
	})
	switch {
	case s.ctx.Err() != nil:
	case err == nil:
		s.leave(websocket.CloseNormalClosure, "done")
	case fault.Is(err, fault.NotFound):
		_ = s.sendJSON(websocket.TextMessage, errorMessage{Type: "error", QueryID: id, Message: fault.Public(err)})
		s.leave(closeUnknown, fault.Public(err))
	default:
		s.broken(err)
	}
}

func liveMessage(id int64, e distributed.Event) any {
	node := viewNode(e.HostID, e.Host)
	switch {
	case e.Kind != distributed.ResultEvent:
		return progressMessage{Type: string(e.Kind), QueryID: id, progressView: viewProgress(e.Progress)}
	case e.Status != 0:
		return errorMessage{Type: "error", QueryID: id, Node: &node, State: string(e.State), Message: e.Error}
	}
	return resultMessage{Type: "result", QueryID: id, Node: node, RowCount: e.RowCount}
}

// broken ends a socket that cannot go on: the peer is gone, or storage failed.
func (s *socket) broken(err error) {
	if kind := fault.KindOf(err); kind == fault.Busy {
		s.leave(websocket.CloseTryAgainLater, fault.Public(err))
		return
	}
	s.api.Log.Debug("a WebSocket ends", "error", err)
	_ = s.conn.Close()
}

// sendEvent sends message; that of a host's answer gets the rows as its data. They
// are not decoded on the way, since they may be large and go to many: distributed
// lets nothing in that is no JSON array.
func (s *socket) sendEvent(kind int, message any, e distributed.Event) error {
	data, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if e.Kind == distributed.ResultEvent {
		rows := e.Rows
		if len(rows) == 0 {
			rows = json.RawMessage("[]")
		}
		data = append(append(append(data[:len(data)-1], `,"data":`...), rows...), '}')
	}
	return s.send(kind, data)
}

func (s *socket) sendJSON(kind int, message any) error {
	data, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return s.send(kind, data)
}
