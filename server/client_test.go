package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/agentapi/agenttest"
)

// caFile writes what a client of a test server has to trust.
func caFile(t *testing.T, server *httptest.Server) string {
	t.Helper()
	return write(t, t.TempDir(), "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
}

func health(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := status
		if r.URL.Path == "/readyz" {
			answer = http.StatusServiceUnavailable
		}
		reply(w, answer, "the database cannot be reached\n")
	})
}

func TestHealthcheck(t *testing.T) {
	server := httptest.NewTLSServer(health(200))
	defer server.Close()
	ca := caFile(t, server)
	data := t.TempDir()
	if err := os.MkdirAll(filepath.Join(data, "certs"), 0o700); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(data, "certs"), "ca.pem", string(content))
	for sentence, c := range map[string]struct {
		args    []string
		environ []string
		status  int
		says    string
	}{
		"well, by --ca":                        {[]string{"--ca", ca}, nil, exitOK, ""},
		"well, by the data folder's authority": {nil, []string{"MUSTER_DATA=" + data}, exitOK, ""},
		"an empty address is none":             {[]string{"--server", ""}, nil, exitUsage, "https://"},
		"not ready":                            {[]string{"--ca", ca, "--ready"}, nil, exitFailed, "/readyz answers 503: the database cannot be reached"},
		"an unknown authority":                 {nil, nil, exitFailed, "unknown authority: name it with --ca"},
		"an authority's file that is none":     {[]string{"--ca", write(t, data, "none", "x")}, nil, exitFailed, "holds no PEM certificate"},
		"an authority's file that is missing":  {[]string{"--ca", "/nonexistent"}, nil, exitFailed, "nonexistent"},
	} {
		t.Run(sentence, func(t *testing.T) {
			environ := append([]string{"MUSTER_DATA=" + t.TempDir(), "MUSTER_SERVER=" + server.URL}, c.environ...)
			s := session{environ: environ}
			if status := s.run(t.Context(), append([]string{"healthcheck"}, c.args...)...); status != c.status || !strings.Contains(s.err.String(), c.says) {
				t.Errorf("exit %d, want %d: %s", status, c.status, s.err.String())
			}
		})
	}
}

// namedServer has a certificate of its own for a name that is not this machine's,
// as an operator's would be.
func namedServer(t *testing.T, handler http.Handler, names ...string) (server *httptest.Server, certFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	server = httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, write(t, t.TempDir(), "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

func TestCertificateOfTheOperator(t *testing.T) {
	for _, name := range []string{"fleet.example.com", "*.example.com"} {
		server, certFile := namedServer(t, health(200), name)
		environ := []string{"MUSTER_DATA=" + t.TempDir(), "MUSTER_LISTEN=" + strings.TrimPrefix(server.URL, "https://"), "MUSTER_TLS_CERT=" + certFile}
		s := session{environ: environ}
		if status := s.run(t.Context(), "healthcheck"); status != exitOK {
			t.Errorf("%s: exit %d: %s", name, status, s.err.String())
		}
		_, other := namedServer(t, health(200), name)
		s = session{environ: append(environ[:2:2], "MUSTER_TLS_CERT="+other)}
		if status := s.run(t.Context(), "healthcheck"); status != exitFailed {
			t.Errorf("%s: another certificate of the same name is trusted", name)
		}
	}
}

func TestAgentsOfACertificateOfTheOperator(t *testing.T) {
	server, certFile := namedServer(t, health(200), "fleet.example.com")
	o := agenttest.Options{}
	address := strings.TrimPrefix(server.URL, "https://")
	if err := connect(Config{Server: server.URL, TLSCert: certFile, EnrollSecret: "x"}, &o); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(address)
	if o.Server != "https://fleet.example.com:"+port {
		t.Errorf("they go to %s", o.Server)
	}
	conn, err := o.Dial(context.Background(), "tcp", "fleet.example.com:"+port)
	if err != nil {
		t.Fatalf("they do not knock here: %v", err)
	}
	defer conn.Close()
	if err := tls.Client(conn, &tls.Config{RootCAs: o.RootCAs, ServerName: "fleet.example.com"}).Handshake(); err != nil {
		t.Error(err)
	}
}

func TestWrongName(t *testing.T) {
	server, certFile := namedServer(t, health(200), "fleet.example.com")
	s := session{environ: []string{"MUSTER_DATA=" + t.TempDir()}}
	status := s.run(t.Context(), "healthcheck", "--server", server.URL, "--ca", certFile)
	if status != exitFailed || !strings.Contains(s.err.String(), "certificate for other names") {
		t.Errorf("exit %d: %s", status, s.err.String())
	}
}

func TestAnAnswerThatIsTooLargeIsNotCut(t *testing.T) {
	size := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		const head, tail = `{"status":"success","message":"`, `"}`
		_, _ = io.WriteString(w, head)
		part := strings.Repeat("x", 1<<20)
		for left := size - len(head) - len(tail); left > 0; left -= len(part) {
			_, _ = io.WriteString(w, part[:min(left, len(part))])
		}
		_, _ = io.WriteString(w, tail)
	}))
	defer server.Close()
	c, err := newClient(Config{Server: server.URL, CA: caFile(t, server)})
	if err != nil {
		t.Fatal(err)
	}
	size = maxAnswer
	if err := c.call(t.Context(), "GET /hosts", nil, nil); err != nil {
		t.Errorf("the largest answer: %v", err)
	}
	size = maxAnswer + 1
	if err := c.call(t.Context(), "GET /hosts", nil, nil); err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Errorf("a byte more: %v", err)
	}
}

func TestIsLocal(t *testing.T) {
	for server, want := range map[string]bool{
		"https://localhost:8443": true, "https://127.0.0.1:1": true, "https://[::1]:8443": true,
		"https://muster.example": false, "https://10.0.0.1": false, "https://localhost.example": false,
	} {
		if isLocal(server) != want {
			t.Errorf("%s: %v", server, !want)
		}
	}
}
