package outputs

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/octetcounting"
	"github.com/leodido/go-syslog/v4/rfc5424"
)

// testCertificate is one for 127.0.0.1, with the authority that signed it.
func testCertificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return server.TLS.Certificates[0], roots
}

// syslogServer keeps what it is sent, as another's parser of RFC 5424 reads it.
type syslogServer struct {
	address  string
	messages chan *rfc5424.SyslogMessage
	broken   chan error // what the parser refused
}

// startSyslog listens for syslog in frames; secure makes it TLS.
func startSyslog(t *testing.T, secure *tls.Config) *syslogServer {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &syslogServer{address: listener.Addr().String(), messages: make(chan *rfc5424.SyslogMessage, 10_000), broken: make(chan error, 100)}
	if secure != nil {
		listener = tls.NewListener(listener, secure)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); serving.Wait() })
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { s.read(conn) })
		}
	})
	return s
}

func (s *syslogServer) read(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	octetcounting.NewParser(syslog.WithMaxMessageLength(1<<21), syslog.WithListener(func(r *syslog.Result) {
		if r.Error != nil {
			s.broken <- r.Error
			return
		}
		s.messages <- r.Message.(*rfc5424.SyslogMessage)
	})).Parse(conn)
}

// next is the next message, which has to come soon.
func (s *syslogServer) next(t *testing.T) *rfc5424.SyslogMessage {
	t.Helper()
	select {
	case m := <-s.messages:
		return m
	case err := <-s.broken:
		t.Fatalf("the parser refuses it: %v", err)
	case <-time.After(10 * time.Second):
		t.Fatal("no message came")
	}
	return nil
}

// received is one request that a receiver got.
type received struct {
	path   string
	header http.Header
	body   []byte
}

// receiver is a server for whatever is posted.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []received
	answer func(w http.ResponseWriter, r received) // nil: 200
}

func startReceiver(t *testing.T, answer func(w http.ResponseWriter, r received)) *receiver {
	t.Helper()
	s := &receiver{answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got := received{r.URL.RequestURI(), r.Header, body}
		s.mu.Lock()
		s.got = append(s.got, got)
		s.mu.Unlock()
		if s.answer != nil {
			s.answer(w, got)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *receiver) requests() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.got...)
}
