// Package certs makes, loads and reloads the server's TLS material.
//
// It holds a certificate authority of its own and a server certificate signed
// by it, in one folder, or serves the PEM files that an operator points to. It
// writes no table. It knows nothing of agents beyond what their TLS asks for:
// full chains, names that match, and a file to trust (osquery's
// --tls_server_certs).
//
// The folder belongs to one process:
//
//	ca.pem, ca.key          the authority: made once, ten years, never replaced by itself
//	server.pem, server.key  the server's chain and key: replaced whenever due
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	caLifetime     = 10 * 365 * 24 * time.Hour
	serverLifetime = 396 * 24 * time.Hour // with the backdating below at most 397 days, as browsers ask
	backdated      = time.Hour            // agents whose clocks are late accept a fresh certificate
	renewBefore    = 30 * 24 * time.Hour
)

// Pair is a certificate ready to serve. It is never changed after it was made.
type Pair struct {
	Certificate tls.Certificate // with Leaf set
	CAPEM       []byte          // what agents must trust; nil when that is not known
}

// Ensure returns the server's own certificate from dir, for the given names at
// the time now. It makes the folder, the authority and the certificate when they
// are missing; it replaces the certificate, by the same authority, when fewer
// than 30 days remain, the names differ, or it cannot be used. renewed says that
// it wrote a new one.
//
// An authority that is there but cannot be used is an error, never replaced:
// every agent trusts it.
func Ensure(dir string, names Names, now time.Time) (pair *Pair, renewed bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, fmt.Errorf("make the certificate folder: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, false, fmt.Errorf("protect the certificate folder: %w", err)
	}
	ca, err := ensureAuthority(dir, now)
	if err != nil {
		return nil, false, err
	}
	if held, err := loadPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")); err == nil &&
		ca.signed(held.Leaf) && !due(held.Leaf, ca.certificate, names, now) {
		if err := os.Chmod(filepath.Join(dir, "server.key"), 0o600); err != nil {
			return nil, false, fmt.Errorf("protect the server's key: %w", err)
		}
		return &Pair{Certificate: held, CAPEM: ca.pem}, false, nil
	}
	fresh, err := issue(dir, ca, names, now)
	if err != nil {
		return nil, false, err
	}
	return &Pair{Certificate: fresh, CAPEM: ca.pem}, true, nil
}

// due says whether a certificate of ours must be replaced. One that lasts as
// long as its authority cannot be bettered.
func due(leaf, ca *x509.Certificate, names Names, now time.Time) bool {
	if leaf.NotAfter.Sub(now) < renewBefore && leaf.NotAfter.Before(ca.NotAfter) {
		return true
	}
	return now.Before(leaf.NotBefore) || !names.equal(Names{Hostnames: leaf.DNSNames, Addresses: leaf.IPAddresses})
}
