package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// silenceLimit is how long the server may say nothing, not even a ping, before the
	// connection counts as dead.
	silenceLimit = 90 * time.Second
	// reconnects bounds how often in a row a broken stream is opened again.
	reconnects = 6
	// maxMessage bounds one host's answer.
	maxMessage = 64 << 20
)

// liveMessage is one message of the stream GET /live/{id}, as adminapi/live.go
// describes them.
type liveMessage struct {
	Type    string          `json:"type"` // result, error, progress or done
	Node    *liveNode       `json:"node"` // of a result and of an error; an error without is about the query
	Data    json.RawMessage `json:"data"` // of a result: the rows
	Message string          `json:"message"`
	tally                   // of progress and done
}

type liveNode struct {
	ID         int64  `json:"id"`
	Identifier string `json:"host_identifier"`
	Name       string `json:"name"`
}

// String is what people call the host. One that was deleted has only its number.
func (n liveNode) String() string {
	switch {
	case n.Name != "":
		return n.Name
	case n.Identifier != "":
		return n.Identifier
	}
	return "host " + strconv.FormatInt(n.ID, 10)
}

// tally counts targets by outcome.
type tally struct {
	Targeted  int `json:"targeted"`
	Answered  int `json:"answered"`
	Empty     int `json:"empty"`
	Failed    int `json:"failed"`
	Expired   int `json:"expired"`
	Cancelled int `json:"cancelled"`
}

// replied is how many hosts ran the query, with rows or without.
func (c tally) replied() int { return c.Answered + c.Empty }

// watcher prints what a live query's hosts say.
type watcher struct {
	t     terminal
	out   formatter
	id    int64
	seen  map[int64]bool // hosts whose answer was printed: a stream starts over after a break
	count tally
	line  *progressLine
	done  bool
	pause func(ctx context.Context, d time.Duration)
}

func newWatcher(t terminal, out formatter, id int64) *watcher {
	return &watcher{t: t, out: out, id: id, seen: map[int64]bool{}, line: newProgressLine(t), pause: pause}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// watch follows the stream to its end, or to ctx's, whose error it returns. A stream that breaks off is
// opened again: the server may have been restarted.
func (w *watcher) watch(ctx context.Context, c *client) error {
	for failures := 0; ; failures++ {
		before := len(w.seen)
		err := w.connection(ctx, c)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		if len(w.seen) > before {
			failures = 0
		}
		var no refusal
		var last final
		if errors.As(err, &last) || (errors.As(err, &no) && no.status < 500) || failures >= reconnects {
			return err
		}
		w.line.note(fmt.Sprintf("the connection broke (%v), trying again", err))
		w.pause(ctx, time.Duration(1<<failures)*time.Second/2)
	}
}

// connection prints what one connection brings.
func (w *watcher) connection(ctx context.Context, c *client) error {
	conn, err := c.watch(ctx, "/live/"+strconv.FormatInt(w.id, 10))
	if err != nil {
		return err
	}
	return w.read(ctx, conn)
}

// final is a failure that connecting again would not mend.
type final struct{ error }

func (e final) Unwrap() error { return e.error }

// read prints one connection's messages until it ends.
func (w *watcher) read(ctx context.Context, conn *websocket.Conn) error {
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	conn.SetReadLimit(maxMessage)
	alive := func() { _ = conn.SetReadDeadline(time.Now().Add(silenceLimit)) }
	pong := conn.PingHandler()
	conn.SetPingHandler(func(data string) error { alive(); return pong(data) })
	for !w.done {
		alive()
		_, data, err := conn.ReadMessage()
		if err != nil {
			return closeReason(err)
		}
		var message liveMessage
		if err := json.Unmarshal(data, &message); err != nil {
			return final{fmt.Errorf("a message of the server cannot be read: %w", err)}
		}
		if err := w.handle(message); err != nil {
			return err
		}
	}
	return nil
}

// closeReason turns the close codes with which the server says no into refusals.
func closeReason(err error) error {
	var closed *websocket.CloseError
	if errors.As(err, &closed) && closed.Code >= 4400 && closed.Code < 4500 {
		return refusal{status: closed.Code - 4000, message: closed.Text}
	}
	return err
}

func (w *watcher) handle(m liveMessage) error {
	switch {
	case m.Type == "progress":
		w.count = m.tally
		w.line.show(w.progress())
	case m.Type == "done":
		w.count, w.done = m.tally, true
	case m.Type == "error" && m.Node == nil:
		return refusal{status: http.StatusNotFound, message: m.Message}
	case m.Node != nil && !w.seen[m.Node.ID]:
		w.seen[m.Node.ID] = true
		return w.answer(m)
	}
	return nil
}

// answer prints what one host says.
func (w *watcher) answer(m liveMessage) error {
	host := m.Node.String()
	if m.Type == "result" {
		rows, err := parseRows(m.Data)
		if err == nil {
			w.line.clear()
			if err := w.out.write(answer{host: host, rows: rows}); err != nil {
				return final{err}
			}
			return nil
		}
		m.Message = err.Error()
	}
	w.line.note(visible(host) + ": " + visible(m.Message))
	return nil
}

func (w *watcher) progress() string {
	return fmt.Sprintf("answered %d of %d, %d errors", w.count.replied(), w.count.Targeted, w.count.Failed)
}

// end says what is left to say and returns the exit status.
func (w *watcher) end(ctx, watching context.Context, err error) int {
	w.line.finish(w.progress())
	if left := w.out.left(); len(left) > 0 {
		fmt.Fprintf(w.t.err, "some hosts answered with columns that the CSV has no place for: %v; --format jsonl has all\n", left)
	}
	again := fmt.Sprintf("query %d goes on at the server; muster query --follow %d prints its answers", w.id, w.id)
	switch {
	case w.done && w.count.replied() == w.count.Targeted:
		return exitOK
	case w.done:
		fmt.Fprintf(w.t.err, "%d failed, %d expired, %d cancelled\n", w.count.Failed, w.count.Expired, w.count.Cancelled)
		return exitIncomplete
	case ctx.Err() != nil:
		fmt.Fprintln(w.t.err, again)
		return exitInterrupted
	case watching.Err() != nil:
		fmt.Fprintln(w.t.err, again)
		return exitIncomplete
	}
	status := failed(w.t, cmdQuery, err)
	fmt.Fprintln(w.t.err, again)
	return status
}
