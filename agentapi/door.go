// Package agentapi is the agents' door: osquery's TLS remote API.
//
// It speaks to agents that ignore the HTTP status and take an empty body for
// success, so every way out of here (refusal, overload, panic, unknown path)
// answers with a body that makes the agent keep its data: see answer.go.
//
// It decodes and authenticates; what a report means is decided further down, by
// pipeline. It writes no table.
package agentapi

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"muster/server/carves"
	"muster/server/hosts"
	"muster/server/pipeline"
	"muster/server/schedule"
	"muster/yara"
)

// Deps is what the door stands on.
type Deps struct {
	Hosts    *hosts.Store
	Schedule *schedule.Store
	Carves   *carves.Store
	Pipeline *pipeline.Pipeline
	YARA     *yara.Store
	Log      *slog.Logger
	// Address returns the client's address; trusted proxies are its matter.
	Address func(*http.Request) string
	// Observe is called after every request with the endpoint's name, the
	// outcome (ok or a fault kind) and the time it took. Optional.
	Observe func(endpoint, outcome string, took time.Duration)
	Now     func() time.Time
}

// Limits bounds what agents can make us hold. Zero fields take the defaults.
type Limits struct {
	Body     int64 // bytes of a log body, compressed and inflated alike; default 1.1 GiB (1,024 lines of 1 MiB)
	Line     int   // bytes of one log line; default 8 MiB
	Answer   int   // bytes of one live answer; default 8 MiB
	Block    int   // bytes of a carve block's request; default 16 MiB
	Request  int   // bytes of any other request; default 1 MiB
	InFlight map[string]int
	SpoolDir string // where bodies wait that name their host last; default the system's
	Timeout  time.Duration
}

// inFlight is how many requests of each endpoint may run at once.
var inFlight = map[string]int{
	"enroll": 64, "config": 512, "log": 128, "read": 512, "write": 64, "carve_start": 32, "carve_block": 32,
	"yara": 64,
}

func (l Limits) withDefaults() Limits {
	setDefault(&l.Body, 1100<<20)
	setDefault(&l.Line, 8<<20)
	setDefault(&l.Answer, 8<<20)
	setDefault(&l.Block, 16<<20)
	setDefault(&l.Request, 1<<20)
	setDefault(&l.Timeout, 14*time.Second) // agents give up after 16
	return l
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Door serves agents. Make one with New.
type Door struct {
	Deps
	limits   Limits
	failures *failures
	draining atomic.Bool
	spooled  atomic.Int64 // bytes that wait on disk for their sender's name
	warned   warnings
}

// New returns the door; Handler mounts it.
func New(deps Deps, limits Limits) *Door {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Observe == nil {
		deps.Observe = func(string, string, time.Duration) {}
	}
	return &Door{Deps: deps, limits: limits.withDefaults(), failures: newFailures(deps.Now)}
}

// Drain makes every request from now on be answered "busy", in words that make
// agents keep their data. Requests under way go on.
func (d *Door) Drain() { d.draining.Store(true) }

// paths of each endpoint below the prefixes "" and "/v1", and of those that
// Fleet's agents use below "/api/osquery" and "/api/v1/osquery".
var paths = []struct{ endpoint, original, fleet string }{
	{"enroll", "/enroll", "/enroll"},
	{"config", "/config", "/config"},
	{"log", "/log", "/log"},
	{"read", "/distributed/read", "/distributed/read"},
	{"write", "/distributed/write", "/distributed/write"},
	{"carve_start", "/start_uploads", "/carve/begin"},
	{"carve_block", "/upload_blocks", "/carve/block"},
}

// Mount registers every path of the door on mux, for POST and PUT; any other
// method gets an answer that agents keep their data on.
func (d *Door) Mount(mux *http.ServeMux) {
	handlers := map[string]handler{
		"enroll": d.enroll, "config": d.config, "log": d.logs, "read": d.read, "write": d.write,
		"carve_start": d.carveStart, "carve_block": d.carveBlock,
	}
	for _, path := range paths {
		endpoint := d.endpoint(path.endpoint, handlers[path.endpoint])
		for _, prefix := range []string{"", "/v1"} {
			mux.Handle(prefix+path.original, endpoint)
		}
		for _, prefix := range []string{"/api/osquery", "/api/v1/osquery"} {
			mux.Handle(prefix+path.fleet, endpoint)
		}
	}
	d.mountYARA(mux)
}

// Handler serves the door alone: paths it does not know get words that no agent
// takes for success.
func (d *Door) Handler() http.Handler {
	mux := http.NewServeMux()
	d.Mount(mux)
	mux.HandleFunc("/", NotFound)
	return NoRedirects(mux)
}

// handler answers one request: a body to send, or an error that becomes one.
type handler func(ctx context.Context, r *http.Request) ([]byte, error)
