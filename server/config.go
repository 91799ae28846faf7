package main

import (
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"muster/server/httpkit"
	"muster/server/results"
)

// Config is what a command was told, each value already checked. Which command
// gets which value is said by the table of settings; the others are zero.
type Config struct {
	File, Data, DatabaseURL string
	Downloads               string // a folder; derived from Data where it is not set
	SigmaMapping            string // a file; empty: the mapping that ships

	DestinationPaths []string // folders, absolute

	Listen, AgentListen, MetricsListen string
	TrustedProxies                     httpkit.Proxies
	Origins                            []string
	ConsoleURL                         string // without a slash at its end; empty: nobody said

	Hostnames       []string // beside the machine's own
	TLSCert, TLSKey string   // both or neither
	AgentURL        string   // without a slash at its end; empty: by the certificate's name

	AdminPassword, EnrollSecret string // empty: make one
	EncryptionKey               []byte // empty: make one

	LogLevel  slog.Level
	LogFormat string

	RetentionResults, RetentionStatus, RetentionLive time.Duration // 0: for ever

	MaxLogBody, MaxCarveSize int64 // bytes

	Server, CA                string
	Username, Password, Token string

	// Program is the path of this program, where it serves: it runs itself to
	// compile YARA files. Empty in tests, which compile in their own process.
	Program string

	// ServerGiven tells a named server from the one on this machine.
	ServerGiven bool
	// Ignored names the environment variables that look like settings and are none.
	Ignored []string
}

// Logger returns the logger that the settings ask for.
func (c Config) Logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// keep is what the settings say of how long to keep what hosts reported.
func (c Config) keep() results.Keep {
	days := func(d time.Duration) int { return int(d / day) }
	return results.Keep{ResultsDays: days(c.RetentionResults), StatusDays: days(c.RetentionStatus), LiveDays: days(c.RetentionLive)}
}

// SecretFile is where the server writes the enrol secret that it made.
func (c Config) SecretFile() string { return filepath.Join(c.Data, "enroll_secret") }

// derive fills in the defaults that follow from other settings.
func (c *Config) derive(command string) {
	if c.DatabaseURL == "" {
		c.DatabaseURL = "sqlite://" + filepath.Join(c.Data, "muster.db")
	}
	if c.Downloads == "" {
		c.Downloads = filepath.Join(c.Data, "downloads")
	}
	c.ServerGiven = c.Server != ""
	if !c.ServerGiven {
		listen := c.Listen
		if command == cmdAgents && c.AgentListen != "" {
			listen = c.AgentListen
		}
		c.Server = localURL(listen)
	}
}

// localURL is the address under which this machine reaches a listener.
func localURL(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return ""
	}
	if ip, err := netip.ParseAddr(host); host == "" || (err == nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	return "https://" + net.JoinHostPort(host, port)
}
