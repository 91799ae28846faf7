// Package smtptest is a mail server for tests: it speaks SMTP over real TLS with a
// certificate of its own, keeps the mail it takes, and fails where it is told to.
package smtptest

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"strings"
	"sync"
	"testing"
)

// Mode says when a server speaks TLS.
type Mode int

// The modes of a server.
const (
	StartTLS Mode = iota // when the client asks
	Implicit             // from the first byte
	Plain                // never
)

// What a server can do in place of an answer.
const (
	Hang = "hang" // says nothing until the test ends
	Drop = "drop" // closes the connection
)

// Options say how a server behaves.
type Options struct {
	Mode Mode
	// WrongName makes the certificate one of somebody else.
	WrongName bool
	// Username and Password are asked for before mail is taken, if set.
	Username, Password string
	// Mechanisms of AUTH that are offered; nil: PLAIN and LOGIN.
	Mechanisms []string
	// Answers replaces replies, by how the client's line begins in capitals
	// ("AUTH", "RCPT TO:<A@B.EXAMPLE>", "." for the end of a message); GREETING is
	// the reply to a connection and TLS stands for the handshake.
	Answers map[string]string
}

// Message is a mail that was taken.
type Message struct {
	From, Data string
	To         []string
	Username   string // who signed in
	TLS        bool
}

// Server is a running server.
type Server struct {
	Host  string
	Port  int
	Roots *x509.CertPool // to trust it

	o        Options
	cert     tls.Certificate
	listener net.Listener
	ctx      context.Context // of the test
	done     chan struct{}
	serving  sync.WaitGroup

	mu       sync.Mutex
	messages []Message
	clear    strings.Builder
}

// Start starts a server that stops with the test.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Mechanisms == nil {
		o.Mechanisms = []string{"PLAIN", "LOGIN"}
	}
	s := &Server{o: o, ctx: t.Context(), done: make(chan struct{})}
	s.cert, s.Roots = certificate(t, o.WrongName)
	var err error
	if s.listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	address := s.listener.Addr().(*net.TCPAddr)
	s.Host, s.Port = address.IP.String(), address.Port
	s.serving.Go(s.accept)
	t.Cleanup(func() {
		close(s.done)
		_ = s.listener.Close()
		s.serving.Wait()
	})
	return s
}

// Messages returns the mail taken so far.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.messages...)
}

// Clear returns everything that clients sent without TLS.
func (s *Server) Clear() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clear.String()
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.serving.Go(func() {
			stop := make(chan struct{})
			s.serving.Go(func() { // a client that never leaves does not keep the test
				select {
				case <-s.done:
				case <-stop:
				}
				_ = conn.Close()
			})
			defer close(stop)
			s.serve(conn)
		})
	}
}

func (s *Server) serve(conn net.Conn) {
	session := &session{server: s, conn: conn}
	if s.o.Mode == Implicit && !session.secure() {
		return
	}
	session.in = bufio.NewReader(session.conn)
	if !session.reply("GREETING", "220 smtptest ESMTP") {
		return
	}
	for session.next() {
	}
}

// PEM is the certificate, for those who trust a file of them.
func (s *Server) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.cert.Certificate[0]})
}
