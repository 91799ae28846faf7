package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"testing"
	"time"
)

// signer is a certificate that may sign others.
type signer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// sign makes a certificate; nil signs itself.
func (by *signer) sign(t *testing.T, name string, isCA bool) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, IsCA: isCA}
	if !isCA {
		template.DNSNames = []string{name}
	}
	parent := by
	if parent == nil {
		parent = &signer{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.certificate, key.Public(), parent.key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{made, key}
}

func TestWhatAgentsMustTrustOfAnOperatorsChain(t *testing.T) {
	var nobody *signer
	root := nobody.sign(t, "root", true)
	intermediate := root.sign(t, "intermediate", true)
	leaf := intermediate.sign(t, "fleet.example.com", false)
	alone := nobody.sign(t, "fleet.example.com", false)
	selfIssued := nobody.sign(t, "root", true).sign(t, "root", true) // by another key of the same name
	known := x509.NewCertPool()
	known.AddCert(root.certificate)
	for sentence, c := range map[string]struct {
		chain []*signer
		roots *x509.CertPool
		want  *signer
	}{
		"the root is in the file":                     {[]*signer{leaf, intermediate, root}, x509.NewCertPool(), root},
		"the root is in the file, in the wrong place": {[]*signer{leaf, root, intermediate}, x509.NewCertPool(), root},
		"the system completes the chain":              {[]*signer{leaf, intermediate}, known, root},
		"nobody knows the root":                       {[]*signer{leaf, intermediate}, x509.NewCertPool(), nil},
		"the intermediate is missing":                 {[]*signer{leaf}, known, nil},
		"a leaf that signed itself":                   {[]*signer{alone}, x509.NewCertPool(), alone},
		"the issuer's name is not its signature":      {[]*signer{leaf, intermediate, selfIssued}, x509.NewCertPool(), nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			o := newOperator(t)
			var file []byte
			for _, link := range c.chain {
				file = append(file, encodeCertificates(link.certificate.Raw)...)
			}
			key, err := x509.MarshalPKCS8PrivateKey(c.chain[0].key)
			if err != nil {
				t.Fatal(err)
			}
			o.write(o.certFile, file)
			o.write(o.keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
			s, err := Open(t.Context(), slog.New(slog.DiscardHandler), Options{CertFile: o.certFile, KeyFile: o.keyFile, Roots: c.roots})
			if err != nil {
				t.Fatal(err)
			}
			var want []byte
			if c.want != nil {
				want = encodeCertificates(c.want.certificate.Raw)
			}
			if !bytes.Equal(s.CAPEM(), want) {
				t.Errorf("agents are given\n%s\nwant\n%s", s.CAPEM(), want)
			}
		})
	}
}
