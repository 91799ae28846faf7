package main

import (
	"log/slog"
	"slices"
	"time"

	"muster/server/httpkit"
	"muster/server/seal"
)

// setting is one row of the table below. Its name is the key in the file; the
// flag and the environment variable follow from it (see flagName and envName).
type setting struct {
	section  string
	name     string
	kind     string // what the help writes for the value, and the parser's name in the documentation
	fallback string // the default as the file would write it; see derived
	derived  bool   // the default follows from other settings (see Config.derive); fallback describes it
	secret   bool   // never printed, no flag of its own: NAME_file in every layer names a file that holds it
	inFile   bool   // may also come from NAME_file, though it has a flag
	commands []string
	readBy   []string // commands that need the value but offer no flag for it
	help     string
	set      func(*Config, string) error
}

// usedBy reports whether the command needs the setting at all.
func (s setting) usedBy(command string) bool {
	return s.flagOf(command) || slices.Contains(s.readBy, command)
}

// flagOf reports whether the command has a flag for the setting.
func (s setting) flagOf(command string) bool { return slices.Contains(s.commands, command) }

// fromFile reports whether NAME_file is understood.
func (s setting) fromFile() bool { return s.secret || s.inFile }

// The commands that take settings.
const (
	cmdServe       = "serve"
	cmdAgents      = "agents"
	cmdQuery       = "query"
	cmdSigma       = "sigma"
	cmdUser        = "user"
	cmdSecret      = "secret"
	cmdHealthcheck = "healthcheck"
)

var (
	everywhere = []string{cmdServe, cmdAgents, cmdQuery, cmdSigma, cmdUser, cmdSecret, cmdHealthcheck}
	onServer   = []string{cmdServe}
	onDatabase = []string{cmdServe, cmdQuery, cmdSigma, cmdUser, cmdSecret}
	onClient   = []string{cmdAgents, cmdQuery, cmdSigma, cmdHealthcheck}
)

const day = 24 * time.Hour

// settings is the one place where a setting is declared: parsing, --help and
// docs/configuration.md all read it.
var settings = []setting{
	{section: "Files", name: "config", kind: "path", fallback: "MUSTER_DATA/muster.yaml", derived: true, commands: everywhere,
		help: "a YAML file of settings, one `name: value` a line; the default is read only if it is there",
		set:  field(func(c *Config) *string { return &c.File }, parseText)},
	{section: "Files", name: "data", kind: "folder", fallback: "./data", commands: everywhere,
		help: "where the server keeps certificates, the enrol secret, the encryption key, carved files and the SQLite database",
		set:  field(func(c *Config) *string { return &c.Data }, parsePath)},
	{section: "Files", name: "downloads", kind: "folder", fallback: "MUSTER_DATA/downloads", derived: true, commands: onServer,
		help: "files for anybody to download, such as installers, at /downloads/; nothing in it may be secret",
		set:  field(func(c *Config) *string { return &c.Downloads }, parsePath)},
	{section: "Files", name: "sigma_mapping", kind: "path", commands: onServer,
		help: "which tables and columns Sigma rules are about, as YAML, in place of the mapping that ships; read when the server starts",
		set:  field(func(c *Config) *string { return &c.SigmaMapping }, parsePath)},
	{section: "Files", name: "database_url", kind: "url", fallback: "sqlite://MUSTER_DATA/muster.db", derived: true, inFile: true, commands: onDatabase,
		help: "`sqlite://PATH` or `postgres://USER:PASSWORD@HOST/NAME`",
		set:  field(func(c *Config) *string { return &c.DatabaseURL }, parseDatabaseURL)},
	{section: "Files", name: "destination_paths", kind: "list", commands: onServer,
		help: "folders, by absolute path, in which log destinations of kind file may write beside MUSTER_DATA/destinations",
		set:  field(func(c *Config) *[]string { return &c.DestinationPaths }, parseFolders)},

	{section: "Listening", name: "listen", kind: "address", fallback: ":8443", commands: onServer, readBy: onClient,
		help: "where the console, the API and the agents are served",
		set:  field(func(c *Config) *string { return &c.Listen }, parseAddress)},
	{section: "Listening", name: "agent_listen", kind: "address", commands: onServer, readBy: onClient,
		help: "a second address that serves agents only; the first then serves none",
		set:  field(func(c *Config) *string { return &c.AgentListen }, parseAddress)},
	{section: "Listening", name: "metrics_listen", kind: "address", commands: onServer,
		help: "an address of its own for /metrics, in plain HTTP and without sign-in: keep it private; without it /metrics is served at `listen` to signed-in clients",
		set:  field(func(c *Config) *string { return &c.MetricsListen }, parseAddress)},
	{section: "Listening", name: "trusted_proxies", kind: "list", commands: onServer,
		help: "addresses or networks of proxies whose X-Forwarded-For is believed",
		set:  field(func(c *Config) *httpkit.Proxies { return &c.TrustedProxies }, parseProxies)},
	{section: "Listening", name: "origins", kind: "list", commands: onServer,
		help: "further origins, such as https://console.example.com, from which browsers may open WebSockets; the server's own is always allowed",
		set:  field(func(c *Config) *[]string { return &c.Origins }, parseOrigins)},
	{section: "Listening", name: "console_url", kind: "url", commands: onServer,
		help: "https://HOST:PORT under which people reach the console: mails and other messages about alerts link to it; without it they have no links",
		set:  field(func(c *Config) *string { return &c.ConsoleURL }, parseServerURL)},

	{section: "TLS", name: "hostnames", kind: "list", commands: onServer,
		help: "names and addresses to put into the certificate beside the machine's own; the first is the one shown to people",
		set:  field(func(c *Config) *[]string { return &c.Hostnames }, parseList)},
	{section: "TLS", name: "agent_url", kind: "url", fallback: "the first of hostnames, or the machine's name, with the port of agent_listen or listen", derived: true, commands: onServer,
		help: "https://HOST:PORT under which agents reach the server: it stands in the addresses of YARA files and in every config's list of them",
		set:  field(func(c *Config) *string { return &c.AgentURL }, parseServerURL)},
	{section: "TLS", name: "tls_cert", kind: "path", commands: onServer, readBy: onClient,
		help: "a certificate of your own with its chain, PEM, in place of the one made; read again when the file changes",
		set:  field(func(c *Config) *string { return &c.TLSCert }, parsePath)},
	{section: "TLS", name: "tls_key", kind: "path", commands: onServer,
		help: "the key of tls_cert, PEM",
		set:  field(func(c *Config) *string { return &c.TLSKey }, parsePath)},

	{section: "First start", name: "admin_password", kind: "secret", secret: true, commands: onServer,
		help: "password of the account admin when that account is made; without it a random one is made and printed once",
		set:  field(func(c *Config) *string { return &c.AdminPassword }, parseText)},
	{section: "First start", name: "enroll_secret", kind: "secret", secret: true, commands: []string{cmdServe, cmdAgents},
		help: "the secret that agents enrol with; the server makes one if there is none and keeps it in MUSTER_DATA/enroll_secret, where the command agents looks by default",
		set:  field(func(c *Config) *string { return &c.EnrollSecret }, parseText)},

	{section: "Secrets", name: "encryption_key", kind: "secret", secret: true, commands: onServer,
		help: "what seals passwords and keys of other services in the database: 32 random bytes in base64 or hexadecimal, the same for all replicas; without it the server makes one and keeps it in MUSTER_DATA/secrets.key",
		set:  field(func(c *Config) *[]byte { return &c.EncryptionKey }, seal.ParseKey)},

	{section: "Logging", name: "log_level", kind: "level", fallback: "info", commands: []string{cmdServe, cmdAgents},
		help: "debug, info, warn or error",
		set:  field(func(c *Config) *slog.Level { return &c.LogLevel }, parseLevel)},
	{section: "Logging", name: "log_format", kind: "format", fallback: "text", commands: []string{cmdServe, cmdAgents},
		help: "text or json",
		set:  field(func(c *Config) *string { return &c.LogFormat }, parseOneOf("text", "json"))},

	{section: "Retention", name: "retention_results", kind: "days", fallback: "30", commands: onServer,
		help: "days to keep the rows that hosts reported; 0 keeps them for ever",
		set:  field(func(c *Config) *time.Duration { return &c.RetentionResults }, parseDays)},
	{section: "Retention", name: "retention_status", kind: "days", fallback: "7", commands: onServer,
		help: "days to keep the agents' own status logs; 0 keeps them for ever",
		set:  field(func(c *Config) *time.Duration { return &c.RetentionStatus }, parseDays)},
	{section: "Retention", name: "retention_live", kind: "days", fallback: "30", commands: onServer,
		help: "days to keep live queries and their answers; 0 keeps them for ever",
		set:  field(func(c *Config) *time.Duration { return &c.RetentionLive }, parseDays)},

	{section: "Limits", name: "max_log_body", kind: "size", fallback: "1100MiB", commands: onServer,
		help: "the largest log request of an agent, packed and unpacked alike: 1,024 lines of 1 MiB by default; it is read as a stream and never held as a whole",
		set:  field(func(c *Config) *int64 { return &c.MaxLogBody }, parseSize)},
	{section: "Limits", name: "max_carve_size", kind: "size", fallback: "8GiB", commands: onServer,
		help: "the largest file carve that is accepted",
		set:  field(func(c *Config) *int64 { return &c.MaxCarveSize }, parseSize)},

	{section: "Clients", name: "server", kind: "url", fallback: "https://localhost and the port of listen", derived: true, commands: onClient,
		help: "the server to talk to",
		set:  field(func(c *Config) *string { return &c.Server }, parseServerURL)},
	{section: "Clients", name: "ca", kind: "path", fallback: "MUSTER_DATA/certs/ca.pem, beside the system's own", derived: true, commands: onClient,
		help: "certificates to trust, PEM",
		set:  field(func(c *Config) *string { return &c.CA }, parsePath)},
	{section: "Clients", name: "username", kind: "name", commands: []string{cmdQuery, cmdSigma},
		help: "account to sign in with; its password is asked for if it is not given",
		set:  field(func(c *Config) *string { return &c.Username }, parseText)},
	{section: "Clients", name: "password", kind: "secret", secret: true, commands: []string{cmdQuery, cmdSigma},
		help: "password of username",
		set:  field(func(c *Config) *string { return &c.Password }, parseText)},
	{section: "Clients", name: "token", kind: "secret", secret: true, commands: []string{cmdQuery, cmdSigma},
		help: "an API token in place of an account; with neither, a token that lasts minutes is made in the database of this machine",
		set:  field(func(c *Config) *string { return &c.Token }, parseText)},
}
