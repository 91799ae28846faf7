// Package adminapi is the ESP v1 REST API and the live answers over WebSockets.
//
// It is a door: it decodes arguments, asks the features, and maps what they say
// to the wire. It writes no table itself and runs no transaction. routes.go lists
// every endpoint; one file per section of the API's document holds handlers and
// shapes. Where this API differs from its document on purpose, docs/ says so.
package adminapi

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"muster/server/accounts"
	"muster/server/alerts"
	"muster/server/carves"
	"muster/server/detect"
	"muster/server/distributed"
	"muster/server/hosts"
	"muster/server/httpkit"
	"muster/server/intel"
	"muster/server/jobs"
	"muster/server/outputs"
	"muster/server/pipeline"
	"muster/server/results"
	"muster/server/schedule"
	"muster/yara"
)

// Deps is what the API stands on. All stores are required.
type Deps struct {
	Accounts    *accounts.Store
	Hosts       *hosts.Store
	Schedule    *schedule.Store
	Results     *results.Store
	Distributed *distributed.Store
	Carves      *carves.Store
	YARA        *yara.Store
	Mail        *outputs.Mail
	Alerters    *outputs.Alerters
	Intel       *intel.Store
	Alerts      *alerts.Store
	Detect      *detect.Store
	Trials      *pipeline.RuleTrials

	Destinations *outputs.Destinations

	Jobs *jobs.Queue

	Keep      results.Keep                 // how long what hosts report is kept where nobody changed it
	Downloads string                       // the folder of files for anybody; empty: none
	Flagfile  func(platform string) string // what agents are started with; empty: unknown platform

	AgentURL string // under which agents reach the server, without a slash at its end

	Version string          // of the server, told to whoever is signed in
	CACert  func() []byte   // the certificate authority that agents need, PEM
	Origins []string        // web origins besides our own that may open WebSockets
	Proxies httpkit.Proxies // whose X-Forwarded-For is believed
	Log     *slog.Logger
	Closing <-chan struct{}  // closed when the server shuts down; nil: never
	Now     func() time.Time // nil: time.Now
}

type api struct {
	Deps
	door    *httpkit.Door
	sockets *sockets
	serving chan struct{} // one for each download under way
	feeds   chan struct{} // has one while a feed is imported
	// description is made once: it does not change while the server runs.
	description func() map[string]any
}

// New returns a handler for /services/api/v1/..., /distributed/result and
// /downloads/...; every other path is answered 404 in the envelope.
func New(d Deps) http.Handler { return newAPI(d).handler() }

func newAPI(d Deps) *api {
	if d.Now == nil {
		d.Now = time.Now
	}
	a := &api{
		Deps: d, sockets: newSockets(socketsPerAccount), serving: make(chan struct{}, maxDownloads), feeds: make(chan struct{}, 1),
		door: &httpkit.Door{Log: d.Log, Success: success, Failure: failure},
	}
	a.description = sync.OnceValue(a.openapi)
	return a
}

func (a *api) handler() http.Handler {
	return httpkit.WithRequestID(httpkit.AccessLog(a.Log, a.Proxies, httpkit.SecurityHeaders(httpkit.Recover(a.door, a.mux()))))
}
