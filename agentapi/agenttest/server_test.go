package agenttest

import (
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// start is when every test begins: a Tuesday, on a full minute.
var start = time.Date(2027, 1, 5, 9, 40, 0, 0, time.UTC)

// request is what the reference server saw.
type request struct {
	path   string
	header http.Header
	body   string // inflated
}

// answer is what it says. hangUp closes the connection without a word.
type answer struct {
	status int
	body   string
	header map[string]string
	hangUp bool
	stall  bool // says nothing until the agent gives up
}

// reference is a server that keeps to the protocol, until a test scripts an
// endpoint otherwise.
type reference struct {
	*httptest.Server
	mu       sync.Mutex
	requests []request
	script   map[string]func(request) answer // by path
	lines    map[string]int                  // log lines stored, by raw text
	keys     int
}

func newReference(t *testing.T) *reference {
	t.Helper()
	s := &reference{script: map[string]func(request) answer{}, lines: map[string]int{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// certificate is an ECDSA one, as servers for agents should have: thousands of
// handshakes with RSA keys are slow.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// on scripts an endpoint.
func (s *reference) on(path string, each func(request) answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script[path] = each
}

// always scripts an endpoint to give one answer.
func (s *reference) always(path string, a answer) {
	s.on(path, func(request) answer { return a })
}

func (s *reference) serve(w http.ResponseWriter, r *http.Request) {
	var in io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if in, err = gzip.NewReader(r.Body); err != nil {
			http.Error(w, "not gzip", http.StatusBadRequest)
			return
		}
	}
	body, err := io.ReadAll(in)
	if err != nil {
		return
	}
	got := request{path: r.URL.Path, header: r.Header.Clone(), body: string(body)}
	s.mu.Lock()
	s.requests = append(s.requests, got)
	scripted := s.script[got.path]
	s.mu.Unlock()
	reply := s.standard
	if scripted != nil {
		reply = scripted
	}
	s.write(w, r, reply(got))
}

func (s *reference) write(w http.ResponseWriter, r *http.Request, a answer) {
	if a.stall {
		<-r.Context().Done()
		return
	}
	if a.hangUp {
		panic(http.ErrAbortHandler)
	}
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	io.WriteString(w, a.body)
}

// standard is the happy answer of each endpoint.
func (s *reference) standard(got request) answer {
	switch got.path {
	case "/enroll":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.keys++
		return answer{body: `{"node_key":"key-` + num(s.keys) + `"}`}
	case "/start_uploads":
		return answer{body: `{"session_id":"session-1"}`}
	case "/config":
		return answer{body: `{"schedule":{"up":{"query":"select * from uptime","interval":60}}}`}
	case "/log":
		s.store(got)
	}
	return answer{body: `{}`}
}

// store keeps the lines of a log request by their raw text.
func (s *reference) store(got request) {
	var body struct {
		Data []json.RawMessage `json:"data"`
	}
	if json.Unmarshal([]byte(got.body), &body) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range body.Data {
		s.lines[string(line)]++
	}
}

func (s *reference) stored(line Line) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines[string(line.Raw)] > 0
}

// seen returns the requests to a path.
func (s *reference) seen(path string) []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []request
	for _, r := range s.requests {
		if r.path == path {
			found = append(found, r)
		}
	}
	return found
}

func (s *reference) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

// agent makes one against the server, with a clock on which waiting costs nothing.
func (s *reference) agent(t *testing.T, change func(*Options)) (*Agent, *ManualClock) {
	t.Helper()
	clock := NewSkippingClock(start)
	o := Options{Server: s.URL, RootCAs: s.roots(), Secret: "hush", Seed: 1, Clock: clock}
	if change != nil {
		change(&o)
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Kill)
	return a, clock
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantEqual[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func wantContains(t *testing.T, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%q is not in %s", part, text)
	}
}
