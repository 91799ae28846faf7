package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// authority signs the server's certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

// signed says whether leaf comes from this authority, whatever the time.
func (a *authority) signed(leaf *x509.Certificate) bool {
	return leaf.CheckSignatureFrom(a.certificate) == nil
}

// ensureAuthority loads the authority, or makes it when there is none. A key
// without a certificate is what an interrupted start leaves: nobody trusts it yet.
func ensureAuthority(dir string, now time.Time) (*authority, error) {
	certFile, keyFile := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key")
	if _, err := os.Stat(certFile); errors.Is(err, fs.ErrNotExist) {
		return makeAuthority(certFile, keyFile, now)
	}
	pair, err := loadPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("the certificate authority cannot be used: %w (restore the file; or remove ca.pem to start a new authority, which every agent must then be given)", err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return nil, fmt.Errorf("%s is not a certificate authority that this server made", certFile)
	}
	if now.After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("the certificate authority %s expired on %s: remove ca.pem to start a new one, which every agent must then be given",
			certFile, pair.Leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	if err := os.Chmod(keyFile, 0o600); err != nil {
		return nil, fmt.Errorf("protect the authority's key: %w", err)
	}
	return &authority{certificate: pair.Leaf, key: key, pem: encodeCertificates(pair.Leaf.Raw)}, nil
}

func makeAuthority(certFile, keyFile string, now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the authority's key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		// A part of the serial number tells apart the authorities of several servers.
		Subject:               pkix.Name{CommonName: fmt.Sprintf("Muster CA %.8X", serial.Bytes()), Organization: []string{"Muster"}},
		NotBefore:             now.Add(-backdated),
		NotAfter:              now.Add(caLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the certificate authority: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the new certificate authority: %w", err)
	}
	chain := encodeCertificates(der)
	if err := writePair(certFile, chain, keyFile, key); err != nil {
		return nil, err
	}
	return &authority{certificate: certificate, key: key, pem: chain}, nil
}

// issue makes and writes a server certificate.
func issue(dir string, ca *authority, names Names, now time.Time) (tls.Certificate, error) {
	names = names.normal()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make the server's key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "Muster", Organization: []string{"Muster"}},
		NotBefore:    now.Add(-backdated),
		NotAfter:     earlier(now.Add(serverLifetime), ca.certificate.NotAfter),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     names.Hostnames,
		IPAddresses:  names.Addresses,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.certificate, key.Public(), ca.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make the server's certificate: %w", err)
	}
	certFile, keyFile := filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")
	if err := writePair(certFile, encodeCertificates(der, ca.certificate.Raw), keyFile, key); err != nil {
		return tls.Certificate{}, err
	}
	return loadPair(certFile, keyFile)
}

func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("draw a serial number: %w", err)
	}
	return serial.SetBit(serial, 126, 1), nil // always 16 bytes, always positive
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func encodeCertificates(ders ...[]byte) []byte {
	var out bytes.Buffer
	for _, der := range ders {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return out.Bytes()
}
