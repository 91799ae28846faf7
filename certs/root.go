package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
)

// root finds the certificate that agents must trust for an operator's chain, or
// nil. It has to sign itself: OpenSSL, which agents verify with, takes nothing
// else for an anchor. Chains usually come without it, since nobody who trusts it
// needs it sent; then the system's authorities may complete them.
func (s *Source) root(chain tls.Certificate) *x509.Certificate {
	var certificates []*x509.Certificate
	for _, der := range chain.Certificate {
		if c, err := x509.ParseCertificate(der); err == nil {
			certificates = append(certificates, c)
		}
	}
	for _, c := range slices.Backward(certificates) {
		if selfSigned(c) {
			return c
		}
	}
	roots := s.options.Roots
	if roots == nil {
		var err error
		if roots, err = x509.SystemCertPool(); err != nil {
			return nil
		}
	}
	intermediates := x509.NewCertPool()
	for _, c := range certificates {
		intermediates.AddCert(c)
	}
	verified, err := chain.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates,
		CurrentTime: s.options.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil
	}
	for _, v := range verified {
		if last := v[len(v)-1]; selfSigned(last) {
			return last
		}
	}
	return nil
}

// selfSigned reports whether a certificate is its own issuer. Old authorities
// sign themselves with SHA-1, which Go does not check; nobody relies on the
// signature of a root.
func selfSigned(c *x509.Certificate) bool {
	if !bytes.Equal(c.RawSubject, c.RawIssuer) {
		return false
	}
	err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
	var insecure x509.InsecureAlgorithmError
	return err == nil || errors.As(err, &insecure)
}
