package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// bareMode makes this program the yardstick: a TLS server that answers a constant.
const bareMode = "bare-server"

const adminPassword = "bench-admin-password"
const enrollSecret = "bench-enroll-secret"

// server is muster as a process of its own.
type server struct {
	url     string
	address string
	engine  string
	dbURL   string
	dir     string
	roots   *x509.CertPool
	process *exec.Cmd
}

func startServer(ctx context.Context, p plan, engine string) (s *server, err error) {
	return startServerOn(ctx, p, engine, "")
}

// startServerOn starts a server on a database; none: its own.
func startServerOn(ctx context.Context, p plan, engine, address string) (s *server, err error) {
	s = &server{engine: engine, dbURL: address}
	if s.dir, err = os.MkdirTemp("", "muster-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	switch {
	case s.dbURL != "":
	case engine == "postgres":
		s.dbURL = p.postgres
	default:
		s.dbURL = "sqlite://" + filepath.Join(s.dir, "muster.db")
	}
	if s.address, err = freeAddress(); err != nil {
		return nil, err
	}
	s.url = "https://" + s.address
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return nil, err
	}
	s.process = exec.CommandContext(ctx, p.binary, "serve")
	s.process.Env = append(os.Environ(), "MUSTER_DATA="+s.dir, "MUSTER_DATABASE_URL="+s.dbURL, "MUSTER_LISTEN="+s.address,
		"MUSTER_ADMIN_PASSWORD="+adminPassword, "MUSTER_ENROLL_SECRET="+enrollSecret, "MUSTER_LOG_LEVEL=error")
	s.process.Stderr = log
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	return s, s.ready(ctx)
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// ready waits until the server says so.
func (s *server) ready(ctx context.Context) error {
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) && ctx.Err() == nil {
		if ca, err := os.ReadFile(filepath.Join(s.dir, "certs", "ca.pem")); err == nil {
			s.roots = x509.NewCertPool()
			s.roots.AppendCertsFromPEM(ca)
			if response, err := s.client().Get(s.url + "/readyz"); err == nil {
				_ = response.Body.Close()
				if response.StatusCode == http.StatusOK {
					return nil
				}
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	out, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return fmt.Errorf("the server did not become ready: %s", out)
}

// client keeps its connections.
func (s *server) client() *http.Client {
	return &http.Client{
		Timeout:   60 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}, MaxIdleConnsPerHost: 64},
	}
}

func (s *server) stop() {
	if s.process != nil && s.process.Process != nil {
		_ = s.process.Process.Signal(syscall.SIGTERM)
		_ = s.process.Wait()
	}
	_ = os.RemoveAll(s.dir)
}

// bareServer is the yardstick as a process of its own, with the same certificate.
type bareServer struct {
	address string
	process *exec.Cmd
}

func startBare(ctx context.Context, s *server) (*bareServer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	b := &bareServer{process: exec.CommandContext(ctx, self, bareMode)}
	b.process.Env = append(os.Environ(), "BENCH_CERTS="+filepath.Join(s.dir, "certs"))
	b.process.Stderr = os.Stderr
	out, err := b.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := b.process.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the yardstick did not start: %w", err)
	}
	b.address = line[:len(line)-1]
	return b, nil
}

func (b *bareServer) stop() {
	_ = b.process.Process.Kill()
	_ = b.process.Wait()
}

// serveBare reads the body of every request and answers a constant.
func serveBare() {
	dir := os.Getenv("BENCH_CERTS")
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr())
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	})
	_ = (&http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}).Serve(listener)
}
