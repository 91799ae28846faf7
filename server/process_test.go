package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// asServer makes the test binary run the command line it is given instead of the
// tests, so that tests can kill a real process. So does a command: a server runs
// itself as the compiler and scanner of YARA, with hardly any environment.
const asServer = "TEST_AS_MUSTER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" || len(os.Args) > 1 && os.Args[1] == cmdYARA {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		code := run(ctx, newTerminal(), os.Args[1:], os.Environ())
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}

const (
	testPassword = "a-password-for-tests"
	testSecret   = "a-secret-for-tests"
)

// process is a server in a process of its own, on an address that stays the same
// over restarts.
type process struct {
	*testing.T
	address, dir, dbURL string
	roots               *x509.CertPool
	command             *exec.Cmd
	log                 *os.File
	extra               []string // environment
}

func newProcess(t *testing.T, dbURL string, extra ...string) *process {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{T: t, address: listener.Addr().String(), dir: t.TempDir(), dbURL: dbURL, extra: extra}
	_ = listener.Close()
	if p.log, err = os.Create(filepath.Join(p.dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			text, _ := os.ReadFile(p.log.Name())
			t.Logf("the server's log, its end:\n%s", text[max(0, len(text)-8000):])
		}
		_ = p.log.Close()
	})
	p.start()
	return p
}

func (p *process) url() string { return "https://" + p.address }

// start starts the server and waits until it is ready.
func (p *process) start() {
	p.Helper()
	p.command = exec.Command(os.Args[0], "serve")
	p.command.Env = append(append(os.Environ(), asServer+"=1", "MUSTER_DATA="+p.dir, "MUSTER_DATABASE_URL="+p.dbURL, "MUSTER_LISTEN="+p.address,
		"MUSTER_ADMIN_PASSWORD="+testPassword, "MUSTER_ENROLL_SECRET="+testSecret), p.extra...)
	p.command.Stdout, p.command.Stderr = p.log, p.log
	if err := p.command.Start(); err != nil {
		p.Fatal(err)
	}
	eventually(p.T, 60*time.Second, "the server is ready", func() bool {
		ca, err := os.ReadFile(filepath.Join(p.dir, "certs", "ca.pem"))
		if err != nil {
			return false
		}
		p.roots = x509.NewCertPool()
		p.roots.AppendCertsFromPEM(ca)
		response, err := p.client().Get(p.url() + "/readyz")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// kill ends the server as a power cut would: no handler of its own runs.
func (p *process) kill() {
	if p.command.ProcessState == nil {
		_ = p.command.Process.Kill()
		_ = p.command.Wait()
	}
}

// stop ends the server as an operator would and returns how it went.
func (p *process) stop() error {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	return p.command.Wait()
}

func (p *process) client() *http.Client {
	return &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.roots}, DisableKeepAlives: true},
	}
}

// post sends JSON and returns the status and the answer.
func (p *process) post(path, token, body string) (int, string) {
	p.Helper()
	return p.call(http.MethodPost, path, token, body)
}

func (p *process) call(method, path, token, body string) (int, string) {
	p.Helper()
	request, err := http.NewRequestWithContext(p.Context(), method, p.url()+path, bytes.NewReader([]byte(body)))
	if err != nil {
		p.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("x-access-token", token)
	}
	response, err := p.client().Do(request)
	if err != nil {
		p.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(response.Body); err != nil {
		p.Fatal(err)
	}
	return response.StatusCode, answer.String()
}

// eventually polls until something holds.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
		pause := time.NewTimer(20 * time.Millisecond)
		<-pause.C
	}
}
