package main

import (
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"muster/agentapi"
	"muster/server/adminapi"
	"muster/server/fault"
	"muster/server/httpkit"
	"muster/web"
)

// mainRoutes is what the first listener serves: the API, the start page, health,
// and the agents unless they have a listener of their own.
func (a *app) mainRoutes() http.Handler {
	mux := http.NewServeMux()
	admin := a.adminAPI()
	for _, path := range []string{"/services/api/", "/distributed/result", "/downloads/"} {
		mux.Handle(path, admin)
	}
	a.healthRoutes(mux)
	mux.Handle("GET /metrics", a.signedIn(a.metrics.handler()))
	mux.Handle("/", web.Handler(versionText()))
	if a.cfg.AgentListen == "" {
		a.door.Mount(mux)
	}
	return agentapi.NoRedirects(mux)
}

func (a *app) adminAPI() http.Handler {
	return adminapi.New(adminapi.Deps{
		Accounts: a.accounts, Hosts: a.hosts, Schedule: a.schedule, Results: a.results,
		Distributed: a.distributed, Carves: a.carves, YARA: a.yara, AgentURL: a.agentURL(),
		Version: versionText(), CACert: a.certs.CAPEM, Origins: a.cfg.Origins, Proxies: a.proxies, Log: a.log,
		Mail: a.mail, Alerters: a.alerters, Intel: a.intel, Alerts: a.alerts, Detect: a.detect, Trials: a.ruleTrials(), Keep: a.cfg.keep(),
		Destinations: a.destinations, Jobs: a.jobs, Downloads: a.cfg.Downloads, Flagfile: a.flagfile, Closing: a.closing,
	})
}

// flagfile is what makes agents of a platform report here.
func (a *app) flagfile(platform string) string {
	return agentapi.Flagfile(platform, strings.TrimPrefix(a.agentURL(), "https://"))
}

// agentRoutes is what the agents' own listener serves.
func (a *app) agentRoutes() http.Handler {
	mux := http.NewServeMux()
	a.door.Mount(mux)
	a.healthRoutes(mux)
	mux.Handle("GET /downloads/", a.adminAPI()) // installers look for them where agents go
	mux.HandleFunc("/", agentapi.NotFound)
	return agentapi.NoRedirects(mux)
}

// metricsRoutes is what the metrics' own listener serves, in plain HTTP.
func (a *app) metricsRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.metrics.handler())
	a.healthRoutes(mux)
	return mux
}

// healthRoutes adds /healthz (the process lives) and /readyz (the database
// answers and its schema is ours).
func (a *app) healthRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { respond(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-a.closing:
			respond(w, http.StatusServiceUnavailable, "shutting down")
			return
		default:
		}
		if err := a.ready.check(r.Context()); err != nil {
			a.log.Warn("not ready", "error", err)
			respond(w, http.StatusServiceUnavailable, fault.Public(err))
			return
		}
		respond(w, http.StatusOK, "ready")
	})
}

func respond(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

// signedIn lets through whoever brings a token of an account.
func (a *app) signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := a.accounts.Authenticate(r.Context(), httpkit.Token(r)); err != nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			status := http.StatusUnauthorized
			if !fault.Is(err, fault.Unauthenticated) {
				status = http.StatusServiceUnavailable
			}
			respond(w, status, fault.Public(err))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}
