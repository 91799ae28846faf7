// Package agenttest is a faithful fake osquery agent, for tests, for trying things
// out and for load.
//
// It is a foreign program: it speaks osquery's TLS remote API as
// osquery-tls.md describes it, down to the rules by which real agents lose data
// (an HTTP status means nothing, an empty body is success). It keeps what osquery
// keeps in RocksDB, so that it can be killed and restarted, and it answers SQL
// with generated rows that follow from its seed. It writes no table of the
// server's and knows no package of the server's but osquery's schema.
//
// What it proves: no line that an agent deleted is missing from storage; see
// Ledger. It leaves out views, automatic table construction and YARA scanning.
package agenttest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"time"
)

// Options says what an agent is. Only Server is needed.
type Options struct {
	Server  string         // https://host:port
	RootCAs *x509.CertPool // nil: the system's
	// ClientCertificate is shown when the server asks for one.
	ClientCertificate *tls.Certificate
	Secret            string // enrol secret

	Platform Platform // default Linux
	Version  Version  // default Version523
	Paths    Paths    // default OriginalPaths
	// Flags are lines of the flagfile by osquery's names, without dashes. They win
	// over what Paths and this package set, and lose to options of the config.
	Flags map[string]string
	// Intervals win over flags and config alike.
	Intervals Intervals
	// Seed makes the identity and the rows: the same seed is the same machine.
	Seed int64
	// Events is the number of rows that an event table yields for each scheduled
	// run. Default 3.
	Events int
	// Attacks is how long it takes, on average, until a host shows the next attack of
	// Scenarios. Default: never.
	Attacks time.Duration
	// Files are the contents of files to carve, by path; other files have made-up
	// contents.
	Files map[string][]byte

	// StateDir keeps one file an agent there. Empty: the state lives in the Agent
	// and survives Kill and Restart, not the end of the program.
	StateDir string
	// KeepAlive reuses connections, which real agents do not manage to do.
	KeepAlive bool
	// Deadline bounds a request in real time. Default 16 s, as osquery's.
	Deadline time.Duration
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	Clock    Clock
	Chaos    Chaos
	Log      *slog.Logger // nil: silent

	// Ledger, when set, is told of each line the agent deletes as accepted.
	Ledger *Ledger
	// OnAccepted, when set, is called with each such line before it is deleted.
	OnAccepted func(Line)

	latency *latencies // a fleet's
}

// Intervals are the loops' periods. Zero leaves osquery's rule in force.
type Intervals struct {
	Config      time.Duration // between config requests
	Log         time.Duration // between flushes of the buffer
	Distributed time.Duration // between reads of live queries
	Carve       time.Duration // grid on which carves start; osquery's is 60 s
	Schedule    time.Duration // makes every scheduled query run at this interval
	Restart     time.Duration // before a crashed or keyless process is started again; default 5 s
}

// Agent is one fake agent. Its methods are safe for concurrent use. The
// single-step methods (Enroll, FetchConfig, FlushLogs...) need no Run.
type Agent struct {
	opt     Options
	profile profile
	machine *machine
	server  *url.URL
	flags   *flags
	net     *transport
	clock   Clock
	log     *slog.Logger
	count   counters
	born    time.Time // by the agent's clock

	enrollMu sync.Mutex // held while enrolling
	stepMu   sync.Mutex // one distributed cycle at a time
	saveMu   sync.Mutex

	lifeMu sync.Mutex
	life   *life // nil while dead
	killed bool  // by Kill, until Restart

	mu        sync.Mutex // all below
	disk      *disk
	mem       *memory
	ephemeral string
	oldKey    string
	wipes     int
	dice      *rand.Rand
}

// New makes an agent, alive and with the state of StateDir if there is one. It
// sends nothing yet.
func New(o Options) (*Agent, error) {
	server, err := url.Parse(o.Server)
	if err != nil || server.Scheme != "https" || server.Host == "" {
		return nil, fmt.Errorf("server %q is not https://host:port", o.Server)
	}
	o = withDefaults(o)
	hardware := o.Seed
	if o.Chaos.CloneOf != 0 {
		hardware = o.Chaos.CloneOf
	}
	a := &Agent{
		opt: o, server: server, clock: o.Clock, log: o.Log,
		profile: profileOf(o.Version),
		machine: newMachine(o.Platform, o.Seed, hardware),
		flags:   &flags{file: flagfile(o.Paths, o.Flags)},
	}
	a.born = a.now()
	a.dice = a.machine.random("chaos")
	a.ephemeral = randomUUID(a.machine.random("ephemeral"), false)
	a.disk = newDisk(a.machine.instance)
	if err := a.load(); err != nil {
		return nil, err
	}
	a.net = a.newTransport(server)
	a.begin(true)
	return a, nil
}

func withDefaults(o Options) Options {
	if o.Platform == "" {
		o.Platform = Linux
	}
	if o.Version == "" {
		o.Version = Version523
	}
	if o.Paths == (Paths{}) {
		o.Paths = OriginalPaths()
	}
	if o.Events == 0 {
		o.Events = 3
	}
	if o.Deadline == 0 {
		o.Deadline = requestDeadline
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Clock == nil {
		o.Clock = systemClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Intervals.Restart == 0 {
		o.Intervals.Restart = 5 * time.Second
	}
	if o.latency == nil {
		o.latency = &latencies{}
	}
	return o
}

func (a *Agent) newTransport(server *url.URL) *transport {
	config := &tls.Config{
		RootCAs: a.opt.RootCAs, ServerName: server.Hostname(),
		MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true,
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}, // of OpenSSL before 3.5
	}
	if a.opt.ClientCertificate != nil {
		config.Certificates = []tls.Certificate{*a.opt.ClientCertificate}
	}
	dial := a.opt.Dial
	if rate := a.opt.Chaos.SlowLink; rate > 0 {
		dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := a.opt.Dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &slowConn{Conn: conn, ctx: ctx, clock: a.clock, rate: rate}, nil
		}
	}
	return &transport{
		dial: dial, tls: config, keepAlive: a.opt.KeepAlive, deadline: a.opt.Deadline,
		userAgent: "osquery/" + a.profile.release, acceptGzip: a.flags.bool("tls_accept_gzip"),
		count: &a.count, latency: a.opt.latency,
	}
}

// now is the agent's idea of the time.
func (a *Agent) now() time.Time { return a.clock.Now().Add(a.opt.Chaos.ClockSkew) }

// Hostname is what the machine calls itself.
func (a *Agent) Hostname() string { return a.machine.hostname }

// Stats counts what the agent has done since New.
func (a *Agent) Stats() Stats {
	s := Stats{Endpoints: map[string]EndpointStats{}}
	a.count.addTo(&s)
	a.opt.latency.addTo(&s)
	a.mu.Lock()
	defer a.mu.Unlock()
	s.LinesBuffered = int64(a.disk.Buffer.len())
	return s
}

// Buffered returns the lines that the agent has not delivered, in the order it
// would send them.
func (a *Agent) Buffered() []Line {
	host := a.HostIdentifier()
	a.mu.Lock()
	defer a.mu.Unlock()
	var lines []Line
	for _, e := range a.disk.Buffer.head(a.disk.Buffer.len()) {
		lines = append(lines, Line{Host: host, Status: !e.result(), Raw: e.Line})
	}
	return lines
}

// CloneDisk returns an agent with a copy of this one's database: the same
// instance_id and node key on another machine, as an imaged disk makes.
func (a *Agent) CloneDisk(seed int64) (*Agent, error) {
	o := a.opt
	o.Seed = seed
	twin, err := New(o)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	twin.disk = a.disk.clone()
	return twin, nil
}

var errDead = errors.New("agent is not running: killed or crashed")
