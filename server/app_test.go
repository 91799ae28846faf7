package main

import (
	"log/slog"
	"net"
	"strings"
	"testing"
)

// A server that cannot start says why: the person who reads it has just been woken.
func TestStartsThatFailSayWhy(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	tests := []struct {
		name   string
		change func(*Config)
		says   string
	}{
		{"no database at the address", func(c *Config) { c.DatabaseURL = "postgres://muster@127.0.0.1:1/muster" }, "PostgreSQL cannot be reached"},
		{"a certificate that is not there", func(c *Config) { c.TLSCert, c.TLSKey = "/nonexistent.pem", "/nonexistent.key" }, "nonexistent.pem"},
		{"a password that is too short", func(c *Config) { c.AdminPassword = "short" }, "8"},
		{"an address that is taken", func(c *Config) { c.Listen = taken.Addr().String() }, "address already in use"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			cfg := Config{Data: dir, DatabaseURL: "sqlite://" + dir + "/muster.db", Listen: "127.0.0.1:0", AdminPassword: testPassword}
			test.change(&cfg)
			if _, err := newApp(t.Context(), cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q in it", err, test.says)
			}
		})
	}
}
