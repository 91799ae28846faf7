package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
)

// loadPair reads a chain and its key and says in plain words what is wrong with them.
func loadPair(certFile, keyFile string) (tls.Certificate, error) {
	chain, err := os.ReadFile(certFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read the certificate: %w", err)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read the key: %w", err)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err == nil {
		return pair, nil
	}
	switch {
	case !holds(chain, "CERTIFICATE"):
		return tls.Certificate{}, fmt.Errorf("%s holds no PEM certificate: %w", certFile, err)
	case !holds(key, "PRIVATE KEY"):
		return tls.Certificate{}, fmt.Errorf("%s holds no PEM private key: %w", keyFile, err)
	case holds(key, "ENCRYPTED"):
		return tls.Certificate{}, fmt.Errorf("the key in %s is encrypted: the server needs it without a password", keyFile)
	case readable(chain, key):
		return tls.Certificate{}, fmt.Errorf("the key in %s does not belong to the first certificate in %s: %w", keyFile, certFile, err)
	}
	return tls.Certificate{}, fmt.Errorf("%s and %s cannot be used: %w", certFile, keyFile, err)
}

// holds says whether one of the PEM blocks is of such a type.
func holds(data []byte, kind string) bool {
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return false
		}
		if bytes.Contains([]byte(block.Type), []byte(kind)) || bytes.Contains([]byte(block.Headers["Proc-Type"]), []byte(kind)) {
			return true
		}
		data = rest
	}
}

// readable says whether both parse on their own, so that only the match fails.
func readable(chain, key []byte) bool {
	for data := chain; ; {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			if _, err := x509.ParseCertificate(block.Bytes); err != nil {
				return false
			}
		}
		data = rest
	}
	for data := key; ; {
		block, rest := pem.Decode(data)
		if block == nil {
			return false
		}
		if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			return true
		}
		if _, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
			return true
		}
		if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
			return true
		}
		data = rest
	}
}

// writePair writes a key and then its certificates. A crash in between leaves a
// pair that does not match, which the next start replaces.
func writePair(certFile string, chain []byte, keyFile string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode the key: %w", err)
	}
	if err := writeFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return err
	}
	return writeFile(certFile, chain, 0o644)
}

// writeFile replaces a file at once and for good: readers see the old one or the
// new one, also after a power cut.
func writeFile(path string, data []byte, mode os.FileMode) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // made with 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			_ = os.Remove(file.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if _, err = file.Write(data); err != nil {
		return err
	}
	if err = file.Chmod(mode); err != nil {
		return err
	}
	if err = file.Sync(); err != nil {
		return err
	}
	if err = file.Close(); err != nil {
		return err
	}
	if err = os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	return folder.Sync()
}
