package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func names(hostnames ...string) Names {
	n := Names{Addresses: []net.IP{net.ParseIP("192.0.2.7"), net.ParseIP("2001:db8::7"), net.ParseIP("::1")}}
	n.Hostnames = append(n.Hostnames, hostnames...)
	return n
}

func ensure(t *testing.T, dir string, n Names, now time.Time) (*Pair, bool) {
	t.Helper()
	pair, renewed, err := Ensure(dir, n, now)
	if err != nil {
		t.Fatal(err)
	}
	return pair, renewed
}

func verify(t *testing.T, pair *Pair, name string, now time.Time) error {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pair.CAPEM) {
		t.Fatal("the authority is no PEM")
	}
	_, err := pair.Certificate.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now})
	return err
}

func TestEnsureMakesACertificateForEveryName(t *testing.T) {
	pair, renewed := ensure(t, filepath.Join(t.TempDir(), "tls"), names("localhost", "muster.example.com", "*.fleet.example.com"), start)
	if !renewed {
		t.Error("the first certificate is not new")
	}
	for _, name := range []string{"localhost", "MUSTER.example.com", "a.fleet.example.com", "192.0.2.7", "2001:db8:0::7", "[::1]"} {
		if err := verify(t, pair, name, start); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if verify(t, pair, "other.example.com", start) == nil {
		t.Error("a name that was not asked for is accepted")
	}
	leaf := pair.Certificate.Leaf
	if lifetime := leaf.NotAfter.Sub(leaf.NotBefore); lifetime > 397*24*time.Hour {
		t.Errorf("the certificate lives %v", lifetime)
	}
	if len(pair.Certificate.Certificate) != 2 {
		t.Errorf("the chain has %d certificates", len(pair.Certificate.Certificate))
	}
	block, _ := pem.Decode(pair.CAPEM)
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !ca.IsCA || ca.NotAfter.Before(start.AddDate(9, 11, 0)) {
		t.Errorf("the authority is %v until %v: %v", ca.Subject, ca.NotAfter, err)
	}
}

func TestEnsureRenews(t *testing.T) {
	day := 24 * time.Hour
	tests := []struct {
		name    string
		names   Names
		now     time.Time
		spoil   func(dir string) error
		renewed bool
	}{
		{"not at the next start", names("localhost"), start.Add(time.Minute), nil, false},
		{"not when names come in another order or case", Names{Hostnames: []string{"LOCALHOST"}, Addresses: []net.IP{net.ParseIP("::1"), net.IPv4(192, 0, 2, 7), net.ParseIP("2001:db8::7")}}, start, nil, false},
		{"not with 31 days left", names("localhost"), start.Add(serverLifetime - 31*day), nil, false},
		{"with less than 30 days left", names("localhost"), start.Add(serverLifetime - 29*day), nil, true},
		{"long after it expired", names("localhost"), start.Add(2 * serverLifetime), nil, true},
		{"when a name is added", names("localhost", "new"), start, nil, true},
		{"when an address is gone", Names{Hostnames: []string{"localhost"}}, start, nil, true},
		{"when the key is gone", names("localhost"), start, func(dir string) error { return os.Remove(filepath.Join(dir, "server.key")) }, true},
		{"when a crash left another key", names("localhost"), start, func(dir string) error {
			key, err := os.ReadFile(filepath.Join(dir, "ca.key"))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "server.key"), key, 0o600)
		}, true},
		{"when the file is damaged", names("localhost"), start, func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "server.pem"), []byte("x"), 0o600)
		}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			before, _ := ensure(t, dir, names("localhost"), start)
			if test.spoil != nil {
				if err := test.spoil(dir); err != nil {
					t.Fatal(err)
				}
			}
			after, renewed := ensure(t, dir, test.names, test.now)
			if renewed != test.renewed {
				t.Errorf("renewed: %v", renewed)
			}
			if !bytes.Equal(before.CAPEM, after.CAPEM) {
				t.Error("the authority changed")
			}
			if changed := !before.Certificate.Leaf.Equal(after.Certificate.Leaf); changed != test.renewed {
				t.Errorf("the certificate changed: %v", changed)
			}
			if err := verify(t, after, "localhost", test.now); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestACertificateDoesNotOutliveItsAuthority(t *testing.T) {
	dir := t.TempDir()
	ensure(t, dir, names("localhost"), start)
	late := start.Add(caLifetime - 10*24*time.Hour)
	pair, renewed := ensure(t, dir, names("localhost"), late)
	if err := verify(t, pair, "localhost", late); err != nil || !renewed {
		t.Errorf("renewed %v: %v", renewed, err)
	}
	if _, renewed := ensure(t, dir, names("localhost"), late); renewed {
		t.Error("it is renewed again although nothing would be better")
	}
	if _, _, err := Ensure(dir, names("localhost"), start.Add(caLifetime+time.Hour)); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an expired authority: %v", err)
	}
}

func TestAnAuthorityIsNeverReplaced(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(dir string) error
	}{
		{"when its key is gone", func(dir string) error { return os.Remove(filepath.Join(dir, "ca.key")) }},
		{"when its certificate is damaged", func(dir string) error { return os.WriteFile(filepath.Join(dir, "ca.pem"), []byte("x"), 0o600) }},
		{"when its key is another's", func(dir string) error {
			return os.Rename(filepath.Join(dir, "server.key"), filepath.Join(dir, "ca.key"))
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			ensure(t, dir, names("localhost"), start)
			if err := test.spoil(dir); err != nil {
				t.Fatal(err)
			}
			if _, _, err := Ensure(dir, names("localhost"), start); err == nil || !strings.Contains(err.Error(), "ca.") {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("but a key that a crash left alone is", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "ca.key"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		ensure(t, dir, names("localhost"), start)
	})
}

func TestPermissions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	ensure(t, dir, names("localhost"), start)
	for _, name := range []string{"", "ca.key", "server.key"} { // as a careless restore leaves them
		if err := os.Chmod(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ensure(t, dir, names("localhost"), start)
	for name, want := range map[string]os.FileMode{"": 0o700, "ca.key": 0o600, "server.key": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q is %v, want %v (%v)", name, info.Mode().Perm(), want, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}

func TestLocalNames(t *testing.T) {
	n, err := LocalNames(t.Context(), []string{" Muster.Example.com. ", "", "[2001:db8::9]", "fe80::1%eth0", "198.51.100.4", "*.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	has := func(address string) bool {
		for _, ip := range n.Addresses {
			if ip.Equal(net.ParseIP(address)) {
				return true
			}
		}
		return false
	}
	for _, hostname := range []string{"localhost", "muster.example.com", "*.example.org"} {
		if !strings.Contains(" "+strings.Join(n.Hostnames, " ")+" ", " "+hostname+" ") {
			t.Errorf("%s is missing in %v", hostname, n.Hostnames)
		}
	}
	for _, address := range []string{"127.0.0.1", "2001:db8::9", "198.51.100.4", "fe80::1"} {
		if !has(address) {
			t.Errorf("%s is missing in %v", address, n.Addresses)
		}
	}
	for _, bad := range []string{"https://muster", "muster:8443", "müster.de", "a b", "-x", strings.Repeat("a.", 200) + "a"} {
		if _, err := LocalNames(t.Context(), []string{bad}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
