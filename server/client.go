package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// apiBase is where the ESP v1 API starts.
const apiBase = "/services/api/v1"

// maxAnswer bounds an answer of the API that is no stream.
const maxAnswer = 64 << 20

// client talks to the API of one server.
type client struct {
	base  string // https://HOST:PORT
	tls   *tls.Config
	http  *http.Client
	token string
}

func newClient(cfg Config) (*client, error) {
	trusted, err := trust(cfg)
	if err != nil {
		return nil, err
	}
	return &client{base: cfg.Server, tls: trusted, http: &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{TLSClientConfig: trusted, Proxy: http.ProxyFromEnvironment},
	}}, nil
}

// refusal is an answer of the server that says no.
type refusal struct {
	status  int
	message string
}

func (r refusal) Error() string { return r.message }

// call sends in to an endpoint of the API, such as "POST /login", and decodes the
// answer into out, which may be nil. A refusal comes back with the server's own sentence.
func (c *client) call(ctx context.Context, endpoint string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	method, path, _ := strings.Cut(endpoint, " ")
	request, err := http.NewRequestWithContext(ctx, method, c.base+apiBase+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return c.explain(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return c.explain(err)
	}
	if len(answer) > maxAnswer {
		return fmt.Errorf("the server's answer to %s is larger than %d MiB", endpoint, maxAnswer>>20)
	}
	if err := refused(response.StatusCode, answer); err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s answers something that is not the API of Muster", c.base)
	}
	return nil
}

// refused reads the envelope that every answer of the API has.
func refused(status int, answer []byte) error {
	var envelope struct {
		Status  string            `json:"status"`
		Message string            `json:"message"`
		Errors  map[string]string `json:"errors"`
	}
	err := json.Unmarshal(answer, &envelope)
	if err == nil && status < 300 && !strings.EqualFold(envelope.Status, "failure") {
		return nil
	}
	r := refusal{status: status, message: envelope.Message}
	for name, problem := range envelope.Errors {
		r.message += "; " + name + ": " + problem
	}
	if r.message == "" {
		r.message = fmt.Sprintf("the server answers %d %s", status, http.StatusText(status))
	}
	return r
}

// watch opens the stream of a live query.
func (c *client) watch(ctx context.Context, path string) (*websocket.Conn, error) {
	dialer := websocket.Dialer{TLSClientConfig: c.tls, HandshakeTimeout: 15 * time.Second, Proxy: http.ProxyFromEnvironment}
	header := http.Header{"Authorization": {"Bearer " + c.token}}
	conn, response, err := dialer.DialContext(ctx, "wss"+strings.TrimPrefix(c.base, "https")+apiBase+path, header)
	if response != nil {
		defer func() { _ = response.Body.Close() }()
	}
	switch {
	case err == nil:
		return conn, nil
	case response != nil && errors.Is(err, websocket.ErrBadHandshake):
		answer, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		if err := refused(response.StatusCode, answer); err != nil {
			return nil, err
		}
		return nil, refusal{status: response.StatusCode, message: "the server opens no WebSocket: is a proxy in between?"}
	}
	return nil, c.explain(err)
}

// explain puts the failures that people meet first into words.
func (c *client) explain(err error) error {
	var unknown x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	var refusedConnection *net.OpError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%s has a certificate of an unknown authority: name it with --ca, or say with MUSTER_DATA where the server keeps its own", c.base)
	case errors.As(err, &wrongName):
		return fmt.Errorf("%s has a certificate for other names: %w", c.base, wrongName)
	case errors.As(err, &refusedConnection) && refusedConnection.Op == "dial":
		return fmt.Errorf("%s cannot be reached: %w", c.base, refusedConnection)
	}
	return err
}

// trust says which certificates a client of the server believes: those of --ca;
// else, on the server's own machine, the certificate that it was configured with;
// else the system's and the authority that the server made.
func trust(cfg Config) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	switch {
	case cfg.CA != "":
		content, err := os.ReadFile(cfg.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		if !config.RootCAs.AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("ca: %s holds no PEM certificate", cfg.CA)
		}
	case cfg.TLSCert != "" && !cfg.ServerGiven:
		return config, pin(config, cfg.TLSCert)
	default:
		if system, err := x509.SystemCertPool(); err == nil {
			config.RootCAs = system
		}
		content, err := os.ReadFile(filepath.Join(cfg.Data, "certs", "ca.pem"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		config.RootCAs.AppendCertsFromPEM(content)
	}
	return config, nil
}

// pin trusts one certificate, under its own name: the server's own machine calls
// itself localhost, which a certificate from elsewhere does not stand for.
func pin(config *tls.Config, file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("tls_cert: %w", err)
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return fmt.Errorf("tls_cert: %s holds no PEM certificate", file)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("tls_cert: %s: %w", file, err)
	}
	config.RootCAs.AddCert(leaf)
	switch {
	case len(leaf.DNSNames) > 0:
		config.ServerName = strings.Replace(leaf.DNSNames[0], "*", "muster", 1)
	case len(leaf.IPAddresses) > 0:
		config.ServerName = leaf.IPAddresses[0].String()
	}
	return nil
}

// isLocal reports whether a server is this machine: only there does a token from
// the local database belong.
func isLocal(server string) bool {
	u, err := url.Parse(server)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || (err == nil && ip.IsLoopback())
}
