package adminapi

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"muster/server/accounts"
	"muster/server/fault"
)

// Limits of WebSockets.
const (
	socketsPerAccount = 64
	socketReadLimit   = 4 << 10  // of a client's message, in bytes
	socketPiece       = 64 << 10 // written at a time; each has its own deadline
	socketBuffer      = 256 << 10
)

// Close codes of our own, where HTTP would say the same less 4000.
const (
	closeSignedOut = 4401
	closeUnknown   = 4404
)

// timing is how long a peer may be silent. A peer shows life by a message, a
// pong, or by taking data after it had been slow to: a slow reader is not cut,
// only one that takes nothing at all for write.
type timing struct {
	ping    time.Duration // between pings
	check   time.Duration // between looks at the session behind the socket
	read    time.Duration // without a sign of life
	write   time.Duration // for one piece
	control time.Duration // for a ping or close frame
}

var usualTiming = timing{ping: 30 * time.Second, check: 2 * time.Second, read: 75 * time.Second, write: time.Minute, control: 10 * time.Second}

// sockets counts open WebSockets per account.
type sockets struct {
	timing timing
	limit  int
	mu     sync.Mutex
	open   map[int64]int
}

func newSockets(limit int) *sockets {
	return &sockets{timing: usualTiming, limit: limit, open: map[int64]int{}}
}

// admit takes a place; release gives it back. Fault: TooMany.
func (s *sockets) admit(account int64) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[account] >= s.limit {
		return nil, fault.New(fault.TooMany, "More than %d WebSockets are open for this account: close some first", s.limit)
	}
	s.open[account]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open[account]--; s.open[account] <= 0 {
			delete(s.open, account)
		}
	}, nil
}

// socket is one WebSocket. Its reader is the handler's goroutine, one more pings,
// and each live query that is watched has one that writes: nobody else waits for
// this peer.
type socket struct {
	api     *api
	conn    *websocket.Conn
	account *accounts.Account
	timing  timing

	ctx     context.Context
	cancel  context.CancelFunc
	release func()
	writing sync.Mutex // one message at a time
	work    sync.WaitGroup
	leaving atomic.Bool
}

// openSocket authenticates the request and upgrades it. A failure has been
// answered when it returns nil.
func (a *api) openSocket(w http.ResponseWriter, r *http.Request) *socket {
	account, err := a.socketAccount(r)
	if err != nil {
		a.door.Fail(w, r, err)
		return nil
	}
	release, err := a.sockets.admit(account.ID)
	if err != nil {
		a.door.Fail(w, r, err)
		return nil
	}
	upgrader := websocket.Upgrader{
		HandshakeTimeout: a.sockets.timing.control, ReadBufferSize: 1024, WriteBufferSize: 4096, WriteBufferPool: &writeBuffers,
		CheckOrigin: func(*http.Request) bool { return true }, // socketAccount has
		Error: func(w http.ResponseWriter, r *http.Request, _ int, reason error) {
			a.door.Fail(w, r, fault.Wrap(reason, fault.Invalid, "A WebSocket handshake is expected here"))
		},
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		release()
		return nil
	}
	shrinkSendBuffer(conn)
	s := &socket{api: a, conn: conn, account: account, timing: a.sockets.timing, release: release}
	s.ctx, s.cancel = context.WithCancel(r.Context())
	s.work.Go(s.keepAlive)
	return s
}

var writeBuffers sync.Pool

// shrinkSendBuffer keeps a slow peer's backlog short, so that pings do not wait
// behind minutes of data that is already with the kernel.
func shrinkSendBuffer(conn *websocket.Conn) {
	raw := conn.NetConn()
	if secure, ok := raw.(interface{ NetConn() net.Conn }); ok {
		raw = secure.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(socketBuffer) // the default would do as well
	}
}

// listen calls each for every message until the connection ends.
func (s *socket) listen(each func(message []byte)) {
	s.conn.SetReadLimit(socketReadLimit)
	s.conn.SetPongHandler(func(string) error { s.alive(); return nil })
	s.alive()
	for {
		_, message, err := s.conn.ReadMessage()
		if err != nil {
			return
		}
		s.alive()
		if !s.leaving.Load() {
			each(message)
		}
	}
}

// alive notes a sign of life.
func (s *socket) alive() {
	if !s.leaving.Load() {
		_ = s.conn.SetReadDeadline(time.Now().Add(s.timing.read)) // fails only when the connection is gone
	}
}

// close ends everything of the socket and waits for it.
func (s *socket) close() {
	s.cancel()
	_ = s.conn.Close()
	s.work.Wait()
	s.release()
}

// leave says good-bye. The peer has a moment to say the same: listen then ends.
func (s *socket) leave(code int, reason string) {
	if s.leaving.Swap(true) {
		return
	}
	now := time.Now()
	_ = s.conn.SetReadDeadline(now.Add(s.timing.control))
	if s.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), now.Add(s.timing.control)) != nil {
		_ = s.conn.Close()
	}
}

// send writes one message. Large ones go in pieces, each with a deadline of its own.
func (s *socket) send(kind int, data []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	message, err := s.conn.NextWriter(kind)
	if err != nil {
		return err
	}
	for len(data) > 0 {
		piece := data[:min(len(data), socketPiece)]
		data = data[len(piece):]
		if err := s.timed(func() error { _, err := message.Write(piece); return err }); err != nil {
			return err
		}
	}
	return s.timed(message.Close)
}

// timed writes within the deadline. That a write had to wait and then went
// through proves that the peer takes data.
func (s *socket) timed(write func() error) error {
	started := time.Now()
	_ = s.conn.SetWriteDeadline(started.Add(s.timing.write)) // only remembers the time
	err := write()
	if err == nil && time.Since(started) > 50*time.Millisecond {
		s.alive()
	}
	return err
}

// keepAlive pings, and ends the socket when the server shuts down or the session
// behind it has ended: at once when that happened in this process, else within
// seconds.
func (s *socket) keepAlive() {
	pings, checks := time.NewTicker(s.timing.ping), time.NewTicker(s.timing.check)
	defer pings.Stop()
	defer checks.Stop()
	for {
		revoked := s.api.Accounts.Revoked() // taken before the check, so that nothing falls between
		if err := s.api.Accounts.Check(s.ctx, s.account); fault.Is(err, fault.Unauthenticated) {
			s.cancel() // nothing more is sent
			s.leave(closeSignedOut, fault.Public(err))
			return
		}
		select {
		case <-s.ctx.Done():
			return
		case <-s.api.Closing:
			s.leave(websocket.CloseGoingAway, "the server is shutting down")
			return
		case <-revoked:
		case <-checks.C:
		case <-pings.C:
			if !s.ping() {
				return
			}
		}
	}
}

// ping reports whether the connection is still there. A timeout may be a slow
// reader: listen decides.
func (s *socket) ping() bool {
	err := s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(s.timing.control))
	var timeout net.Error
	if err != nil && (!errors.As(err, &timeout) || !timeout.Timeout()) {
		_ = s.conn.Close()
		return false
	}
	return true
}
