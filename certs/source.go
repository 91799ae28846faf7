package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	handshakeCheck = time.Second     // how often a handshake may look at the files
	pollCheck      = 3 * time.Second // how often Run looks at the operator's files
	renewCheck     = time.Hour       // how often Run looks at names and remaining days
)

// Options say which certificate is served.
type Options struct {
	Dir string // for our own authority and certificate
	// Names returns what our own certificate stands for; it is asked again while
	// running. Unused when CertFile is given.
	Names func(ctx context.Context) (Names, error)
	// CertFile and KeyFile are the operator's PEM files: a full chain and its
	// unencrypted key. Both or neither.
	CertFile, KeyFile string
	// Roots are the authorities that complete the operator's chain; nil: the system's.
	Roots *x509.CertPool
	Now   func() time.Time // nil: time.Now
}

// Source serves one certificate and keeps it fresh. It is safe for concurrent use.
type Source struct {
	options Options
	log     *slog.Logger
	current atomic.Pointer[Pair]

	checking  sync.Mutex // held by whoever looks for something newer
	checkedAt atomic.Int64
	loaded    stamp // of the files that current comes from
	complaint string
}

// stamp tells versions of a pair of files apart.
type stamp struct {
	certTime, keyTime time.Time
	certSize, keySize int64
}

// Open makes or loads the certificate. It fails when there is none to serve,
// with an error that says which file is wrong and how.
func Open(ctx context.Context, log *slog.Logger, o Options) (s *Source, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, errors.New("a TLS certificate needs its key and a key its certificate: set both files or neither")
	}
	s = &Source{options: o, log: log}
	if s.operated() {
		err = s.reload()
	} else {
		err = s.renew(ctx)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Source) operated() bool { return s.options.CertFile != "" }

// TLSConfig returns a configuration that always serves the current certificate:
// TLS 1.2 and later, session tickets, the given ALPN protocols (none given:
// http/1.1, which browsers' WebSockets need; agents send none). Serve it through
// tls.NewListener and http.Server.Serve: ServeTLS would add h2.
func (s *Source) TLSConfig(protocols ...string) *tls.Config {
	if len(protocols) == 0 {
		protocols = []string{"http/1.1"}
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: protocols, GetCertificate: s.GetCertificate}
}

// GetCertificate returns the current certificate, after a look at the operator's
// files if the last one was a second ago or more. Of many handshakes one looks;
// the others do not wait for it.
func (s *Source) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s.operated() && s.options.Now().UnixNano()-s.checkedAt.Load() >= int64(handshakeCheck) && s.checking.TryLock() {
		s.reloadLocked()
		s.checking.Unlock()
	}
	return &s.current.Load().Certificate, nil
}

// Leaf returns the certificate that is served now.
func (s *Source) Leaf() *x509.Certificate { return s.current.Load().Certificate.Leaf }

// CAPEM returns what agents must trust, for their --tls_server_certs: our own
// authority, or the root of the operator's chain, from the file or from the
// system's authorities. It is nil when neither has it: agents then need the file
// from whoever runs that authority.
func (s *Source) CAPEM() []byte { return s.current.Load().CAPEM }

// Run keeps the certificate fresh until ctx ends: it reloads the operator's files
// when they change, and renews our own when it is due or the names changed. What
// fails is logged and the old certificate stays.
func (s *Source) Run(ctx context.Context) {
	period := renewCheck
	if s.operated() {
		period = pollCheck
	}
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.check(ctx)
		}
	}
}

func (s *Source) check(ctx context.Context) {
	s.checking.Lock()
	defer s.checking.Unlock()
	if s.operated() {
		s.reloadLocked()
		return
	}
	if err := s.renew(ctx); err != nil && ctx.Err() == nil {
		s.log.Error("the server's certificate cannot be checked for renewal", "error", err, "not_after", s.Leaf().NotAfter)
	}
}

// renew makes sure of our own certificate.
func (s *Source) renew(ctx context.Context) error {
	names, err := s.options.Names(ctx)
	if err != nil {
		return err
	}
	pair, renewed, err := Ensure(s.options.Dir, names, s.options.Now())
	if err != nil {
		return err
	}
	s.current.Store(pair)
	if renewed {
		s.log.Info("made a server certificate", "names", pair.Certificate.Leaf.DNSNames,
			"addresses", pair.Certificate.Leaf.IPAddresses, "not_after", pair.Certificate.Leaf.NotAfter)
	}
	return nil
}

// reloadLocked reloads the operator's files if they changed. A pair that cannot
// be used is tried again each time, since it may be half written, and complained
// about once.
func (s *Source) reloadLocked() {
	s.checkedAt.Store(s.options.Now().UnixNano())
	if now, err := s.stat(); err == nil && now == s.loaded {
		s.complaint = ""
		return
	}
	err := s.reload()
	switch {
	case err == nil:
		s.complaint = ""
		s.log.Info("reloaded the TLS certificate", "file", s.options.CertFile, "not_after", s.Leaf().NotAfter)
	case err.Error() != s.complaint:
		s.complaint = err.Error()
		s.log.Error("the new TLS certificate cannot be used: the old one stays", "error", err, "not_after", s.Leaf().NotAfter)
	}
}

// reload reads the operator's files.
func (s *Source) reload() error {
	before, err := s.stat()
	if err != nil {
		return err
	}
	certificate, err := loadPair(s.options.CertFile, s.options.KeyFile)
	if err != nil {
		return err
	}
	if now := s.options.Now(); now.After(certificate.Leaf.NotAfter) {
		s.log.Warn("the TLS certificate has expired", "file", s.options.CertFile, "not_after", certificate.Leaf.NotAfter)
	}
	pair := &Pair{Certificate: certificate}
	if root := s.root(certificate); root != nil {
		pair.CAPEM = encodeCertificates(root.Raw)
	} else {
		s.log.Warn("the root of the TLS certificate is neither in its file nor among the system's authorities: agents cannot get it here",
			"file", s.options.CertFile, "issuer", certificate.Leaf.Issuer.String())
	}
	s.current.Store(pair)
	s.loaded = before // files that changed while being read are read again next time
	return nil
}

func (s *Source) stat() (stamp, error) {
	cert, err := os.Stat(s.options.CertFile)
	if err != nil {
		return stamp{}, fmt.Errorf("read the certificate: %w", err)
	}
	key, err := os.Stat(s.options.KeyFile)
	if err != nil {
		return stamp{}, fmt.Errorf("read the key: %w", err)
	}
	return stamp{certTime: cert.ModTime(), keyTime: key.ModTime(), certSize: cert.Size(), keySize: key.Size()}, nil
}
