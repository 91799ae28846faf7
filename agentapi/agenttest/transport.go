package agenttest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The limits of the agent's HTTP client (osquery-tls.md section 0, fact 5).
const (
	requestDeadline = 16 * time.Second
	maxAnswer       = 8 << 20
	maxHeaders      = 8 << 10
	maxRedirects    = 10
)

// post is one HTTP request of an agent.
type post struct {
	endpoint Endpoint
	method   string // POST unless set
	url      *url.URL
	key      string // for Authorization; empty sends none
	gzipped  bool
	bare     bool // without User-Agent and Accept, as YARA asks
	body     []byte
}

// reply is an answer as far as anything in an agent looks at it.
type reply struct {
	status int
	body   []byte
}

// transport is osquery's HTTP client: a new TCP and TLS connection for each
// request, without resumption, and one silent second try when the first breaks.
type transport struct {
	dial       func(ctx context.Context, network, address string) (net.Conn, error)
	tls        *tls.Config
	userAgent  string
	acceptGzip bool
	keepAlive  bool
	deadline   time.Duration
	count      *counters
	latency    *latencies

	mu   sync.Mutex
	idle map[string]*link // with keepAlive, by host
}

// link is a connection to a server.
type link struct {
	conn  *tls.Conn
	limit *headLimit
	in    *bufio.Reader
}

// send posts p within the deadline. It returns an error when no complete answer
// came; the status of an answer is not its business.
func (t *transport) send(ctx context.Context, p post) (reply, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, t.deadline)
	defer cancel()
	for range maxRedirects + 1 {
		answer, next, err := t.attempt(ctx, p)
		if err != nil && !timedOut(ctx, err) {
			answer, next, err = t.attempt(ctx, p) // silent resend
		}
		if err != nil {
			return reply{}, err
		}
		if next == nil {
			t.latency.observe(p.endpoint, time.Since(began))
			return answer, nil
		}
		p.url = next // same method, body and Authorization, to whatever host
	}
	return reply{}, errors.New("too many redirects")
}

func timedOut(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded)
}

// attempt is one exchange; next is where a redirect leads.
func (t *transport) attempt(ctx context.Context, p post) (answer reply, next *url.URL, err error) {
	t.count.requests[p.endpoint].Add(1)
	l, err := t.connect(ctx, p.url)
	if err != nil {
		return reply{}, nil, err
	}
	reuse := false
	stop := l.obey(ctx)
	defer func() {
		stop()
		t.release(p.url, l, reuse)
	}()
	if _, err := l.conn.Write(t.encode(p)); err != nil {
		return reply{}, nil, err
	}
	t.count.bytes.Add(int64(len(p.body)))
	return t.receive(l, p, &reuse)
}

func (t *transport) receive(l *link, p post, reuse *bool) (reply, *url.URL, error) {
	l.limit.left = maxHeaders
	response, err := http.ReadResponse(l.in, &http.Request{Method: http.MethodPost})
	if err != nil {
		return reply{}, nil, fmt.Errorf("read answer: %w", err)
	}
	l.limit.left = -1
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return reply{}, nil, fmt.Errorf("read answer: %w", err)
	}
	if len(body) > maxAnswer {
		return reply{}, nil, errors.New("body limit exceeded")
	}
	*reuse = t.keepAlive && !response.Close
	if t.acceptGzip && response.Header.Get("Content-Encoding") == "gzip" {
		if body, err = inflate(body); err != nil {
			return reply{}, nil, err
		}
	}
	next, err := redirect(p.url, response)
	return reply{response.StatusCode, body}, next, err
}

// redirect returns where to go next. 304 is one too, and fails (section 7.4).
func redirect(from *url.URL, response *http.Response) (*url.URL, error) {
	switch response.StatusCode {
	case 301, 302, 303, 304, 305, 307, 308:
		location := response.Header.Get("Location")
		if location == "" {
			return nil, errors.New("redirect without a location")
		}
		return from.Parse(location)
	}
	return nil, nil
}

func (t *transport) encode(p post) []byte {
	method := p.method
	if method == "" {
		method = http.MethodPost
	}
	var b bytes.Buffer
	b.Grow(len(p.body) + 512)
	header := func(name, value string) { b.WriteString(name + ": " + value + "\r\n") }
	b.WriteString(method + " " + p.url.RequestURI() + " HTTP/1.1\r\n")
	header("Host", strings.TrimSuffix(p.url.Host, ":443"))
	if method == http.MethodPost {
		header("Content-Type", "application/json")
	}
	if !p.bare {
		header("Accept", "application/json")
		header("User-Agent", t.userAgent)
		header("Connection", "keep-alive")
	}
	if p.key != "" {
		header("Authorization", "NodeKey "+p.key)
	}
	if p.gzipped {
		header("Content-Encoding", "gzip")
	}
	if t.acceptGzip {
		header("Accept-Encoding", "gzip")
	}
	if method == http.MethodPost {
		header("Content-Length", strconv.Itoa(len(p.body)))
	}
	b.WriteString("\r\n")
	b.Write(p.body)
	return b.Bytes()
}

// connect dials, or takes the idle connection of a keep-alive agent.
func (t *transport) connect(ctx context.Context, to *url.URL) (*link, error) {
	t.mu.Lock()
	l := t.idle[to.Host]
	delete(t.idle, to.Host)
	t.mu.Unlock()
	if l != nil {
		return l, nil
	}
	address := to.Host
	if to.Port() == "" {
		address = net.JoinHostPort(to.Hostname(), "443")
	}
	raw, err := t.dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	config := t.tls
	if config.ServerName != to.Hostname() {
		config = config.Clone()
		config.ServerName = to.Hostname()
	}
	conn := tls.Client(raw, config)
	limit := &headLimit{from: conn, left: maxHeaders}
	l = &link{conn: conn, limit: limit, in: bufio.NewReader(limit)}
	stop := l.obey(ctx)
	defer stop()
	if err := conn.Handshake(); err != nil {
		_ = raw.Close()
		return nil, err
	}
	t.count.handshakes.Add(1)
	return l, nil
}

// obey makes the connection's reads and writes fail when ctx ends.
func (l *link) obey(ctx context.Context) (stop func()) {
	if deadline, ok := ctx.Deadline(); ok {
		_ = l.conn.SetDeadline(deadline)
	}
	halt := context.AfterFunc(ctx, func() { _ = l.conn.SetDeadline(time.Unix(1, 0)) })
	return func() { halt() }
}

func (t *transport) release(to *url.URL, l *link, reuse bool) {
	if !reuse {
		_ = l.conn.Close()
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.idle == nil {
		t.idle = map[string]*link{}
	}
	if t.idle[to.Host] != nil {
		_ = l.conn.Close()
		return
	}
	t.idle[to.Host] = l
}

// hangUp closes what a keep-alive agent has open.
func (t *transport) hangUp() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.idle {
		_ = l.conn.Close()
	}
	t.idle = nil
}

// headLimit refuses headers above the limit; a negative left lifts it.
type headLimit struct {
	from io.Reader
	left int
}

func (h *headLimit) Read(p []byte) (int, error) {
	if h.left < 0 {
		return h.from.Read(p)
	}
	if h.left == 0 {
		return 0, errors.New("header limit exceeded")
	}
	n, err := h.from.Read(p[:min(len(p), h.left)])
	h.left -= n
	return n, err
}

func inflate(body []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(reader, maxAnswer+1))
	if err == nil && len(plain) > maxAnswer {
		err = errors.New("body limit exceeded")
	}
	return plain, err
}
