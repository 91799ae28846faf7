package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// operator is a folder with an operator's certificate in it.
type operator struct {
	t                 *testing.T
	certFile, keyFile string
	made              int
}

func newOperator(t *testing.T) *operator {
	dir := t.TempDir()
	o := &operator{t: t, certFile: filepath.Join(dir, "fullchain.pem"), keyFile: filepath.Join(dir, "privkey.pem")}
	o.replace(true, true)
	return o
}

// replace writes a new pair, or half of one.
func (o *operator) replace(cert, key bool) *Pair {
	o.t.Helper()
	o.made++
	dir := o.t.TempDir()
	pair, _ := ensure(o.t, dir, names("localhost"), time.Now())
	if cert {
		o.copy(filepath.Join(dir, "server.pem"), o.certFile)
	}
	if key {
		o.copy(filepath.Join(dir, "server.key"), o.keyFile)
	}
	return pair
}

func (o *operator) copy(from, to string) {
	o.t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		o.t.Fatal(err)
	}
	o.write(to, data)
}

func (o *operator) write(to string, data []byte) {
	o.t.Helper()
	if err := writeFile(to, data, 0o600); err != nil {
		o.t.Fatal(err)
	}
	stamp := time.Now().Add(time.Duration(o.made) * time.Second) // apart whatever the filesystem's clock
	if err := os.Chtimes(to, stamp, stamp); err != nil {
		o.t.Fatal(err)
	}
}

// clock is a time that a test moves on.
type clock struct{ nanos atomic.Int64 }

func newClock(at time.Time) *clock {
	c := &clock{}
	c.nanos.Store(at.UnixNano())
	return c
}

func (c *clock) now() time.Time      { return time.Unix(0, c.nanos.Load()) }
func (c *clock) add(d time.Duration) { c.nanos.Add(int64(d)) }

// lines is a log that a test reads.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

func (o *operator) open(c *clock, out io.Writer) *Source {
	o.t.Helper()
	s, err := Open(o.t.Context(), slog.New(slog.NewTextHandler(out, nil)), Options{CertFile: o.certFile, KeyFile: o.keyFile, Now: c.now})
	if err != nil {
		o.t.Fatal(err)
	}
	return s
}

func served(t *testing.T, s *Source) *x509.Certificate {
	t.Helper()
	certificate, err := s.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return certificate.Leaf
}

func TestChangedFilesAreServedAtTheNextHandshakeButOneLookASecond(t *testing.T) {
	o, c := newOperator(t), newClock(time.Now())
	s := o.open(c, io.Discard)
	c.add(2 * time.Second)
	first := served(t, s) // a look at unchanged files
	fresh := o.replace(true, true)
	c.add(time.Second / 2)
	if !served(t, s).Equal(first) {
		t.Error("the files are looked at more than once a second")
	}
	c.add(time.Second)
	if !served(t, s).Equal(fresh.Certificate.Leaf) || !s.Leaf().Equal(fresh.Certificate.Leaf) {
		t.Error("the new certificate is not served")
	}
	if !bytes.Equal(s.CAPEM(), fresh.CAPEM) {
		t.Error("what agents must trust is not the chain's root")
	}
}

func TestABrokenPairKeepsTheOldOne(t *testing.T) {
	o, c := newOperator(t), newClock(time.Now())
	log := &lines{}
	s := o.open(c, log)
	first := served(t, s)
	look := func() *x509.Certificate { c.add(2 * time.Second); return served(t, s) }

	_ = o.replace(true, false) // as certbot does: one file, then the other
	for range 3 {
		if !look().Equal(first) {
			t.Fatal("half a pair is served")
		}
	}
	if n := log.count("does not belong to"); n != 1 {
		t.Errorf("complained %d times", n)
	}
	o.write(o.certFile, []byte("-----BEGIN CERT"))
	if !look().Equal(first) || log.count("holds no PEM certificate") != 1 {
		t.Error("a half written file")
	}
	if err := os.Remove(o.certFile); err != nil {
		t.Fatal(err)
	}
	if !look().Equal(first) || log.count("no such file") != 1 {
		t.Error("a missing file")
	}
	next := o.replace(true, true)
	if !look().Equal(next.Certificate.Leaf) {
		t.Error("the pair made whole is not served")
	}
}

func TestOpenSaysWhichFileIsWrong(t *testing.T) {
	good, other := newOperator(t), newOperator(t)
	encrypted := filepath.Join(t.TempDir(), "encrypted.pem")
	if err := os.WriteFile(encrypted, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, cert, key string
		want            []string
	}{
		{"a key of another certificate", good.certFile, other.keyFile, []string{"does not belong to", good.certFile, other.keyFile}},
		{"the files are swapped", good.keyFile, good.certFile, []string{"holds no PEM certificate", good.keyFile}},
		{"twice the certificate", good.certFile, good.certFile, []string{"holds no PEM private key"}},
		{"an encrypted key", good.certFile, encrypted, []string{"encrypted"}},
		{"no such file", good.certFile + "x", good.keyFile, []string{"read the certificate", good.certFile + "x"}},
		{"no key", good.certFile, "", []string{"both files or neither"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Open(t.Context(), slog.New(slog.DiscardHandler), Options{CertFile: test.cert, KeyFile: test.key})
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

// Every handshake gets a whole pair, the old or the new one, however often the
// files change meanwhile.
func TestReloadWhileHandshakesRun(t *testing.T) {
	o, c := newOperator(t), newClock(time.Now())
	s := o.open(c, io.Discard)
	listener, err := tls.Listen("tcp", "[::1]:0", s.TLSConfig())
	if err != nil { // a machine without IPv6
		if listener, err = tls.Listen("tcp", "127.0.0.1:0", s.TLSConfig()); err != nil {
			t.Fatal(err)
		}
	}
	defer func() { _ = listener.Close() }()
	go accept(listener)

	var clients sync.WaitGroup
	stop := make(chan struct{})
	failed := make(chan error, 4)
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := dial(listener.Addr().String()); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	var last *Pair
	for range 10 {
		last = o.replace(true, true)
		c.add(2 * time.Second)
		if err := dial(listener.Addr().String()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	clients.Wait()
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	c.add(2 * time.Second)
	if !served(t, s).Equal(last.Certificate.Leaf) {
		t.Error("the last pair is not served")
	}
}

func accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = conn.Close() }()
			_, _ = io.WriteString(conn, "x")
		}()
	}
}

func dial(address string) error {
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if protocol := conn.ConnectionState().NegotiatedProtocol; protocol != "http/1.1" {
		return fmt.Errorf("ALPN gave %q", protocol)
	}
	_, err = io.ReadFull(conn, make([]byte, 1))
	return err
}

func TestOldTLSIsRefused(t *testing.T) {
	o := newOperator(t)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", o.open(newClock(time.Now()), io.Discard).TLSConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go accept(listener)
	for version, ok := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
		if (err == nil) != ok {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if conn != nil {
			_ = conn.Close()
		}
	}
}

// Run renews our own certificate, by the same authority, when its days run out
// and when a name is added: in a bubble of fake time, with a calendar of its own.
func TestRunRenews(t *testing.T) {
	dir, c := t.TempDir(), newClock(start)
	synctest.Test(t, func(t *testing.T) {
		var hostnames atomic.Pointer[[]string]
		hostnames.Store(&[]string{"localhost"})
		s, err := Open(t.Context(), slog.New(slog.DiscardHandler), Options{Dir: dir, Now: c.now,
			Names: func(context.Context) (Names, error) { return names(*hostnames.Load()...), nil }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Run(ctx)
		later := func(d time.Duration) *x509.Certificate {
			c.add(d)
			time.Sleep(renewCheck + time.Minute)
			synctest.Wait()
			return served(t, s)
		}
		first, ca := served(t, s), s.CAPEM()
		if !later(serverLifetime - 31*24*time.Hour).Equal(first) {
			t.Error("renewed too early")
		}
		second := later(2 * 24 * time.Hour)
		if second.Equal(first) || second.NotAfter.Sub(c.now()) < serverLifetime-time.Second {
			t.Errorf("not renewed: until %v, now %v", second.NotAfter, c.now())
		}
		hostnames.Store(&[]string{"localhost", "muster.example.com"})
		if err := later(0).VerifyHostname("muster.example.com"); err != nil {
			t.Error(err)
		}
		if !bytes.Equal(ca, s.CAPEM()) {
			t.Error("the authority changed")
		}
	})
}

func TestRunPollsTheOperatorsFiles(t *testing.T) {
	o := newOperator(t)
	fresh := make(chan *Pair, 1)
	synctest.Test(t, func(t *testing.T) {
		s := o.open(&clock{}, io.Discard) // a stopped clock: handshakes never look
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.Run(ctx)
		fresh <- o.replace(true, true)
		time.Sleep(pollCheck + time.Second)
		synctest.Wait()
		if !s.Leaf().Equal((<-fresh).Certificate.Leaf) {
			t.Error("the new files are not served")
		}
	})
}
