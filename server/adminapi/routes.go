package adminapi

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"muster/server/httpkit"
)

const base = "/services/api/v1"

// route is one endpoint. Paths are below base unless they start at the root.
type route struct {
	method, path string
	guard        func(http.Handler) http.Handler
	handler      http.Handler
}

// routes is every endpoint of this door.
func (a *api) routes() []route {
	open, in := a.anybody, a.signedIn
	itself := func(h http.Handler) http.Handler { return h } // WebSockets also take tickets
	return []route{
		{"POST", "/login", open, httpkit.Handle(&httpkit.Door{Log: a.Log, Success: success, Failure: loginFailure}, a.login)},
		{"POST", "/logout", open, handle(a, a.logout)},
		{"POST", "/changepw", in, handle(a, a.changePassword)},
		{"POST", "/management/changepw", in, handle(a, a.changePassword)},
		{"GET", "/version", in, handle(a, a.version)},
		{"GET", "/options", in, handle(a, a.viewOptions)},
		{"POST", "/options/add", in, handle(a, a.setOptions)},

		{"POST", "/hosts", in, handle(a, a.listHosts)},
		{"GET", "/hosts/export", in, handle(a, a.exportHosts)},
		{"GET", "/hosts/count", in, handle(a, a.countHosts)},
		{"POST", "/hosts/status_logs", in, handle(a, a.listStatusLogs)},
		{"POST", "/hosts/recent_activity", in, handle(a, a.listActivity)},
		{"POST", "/hosts/recent_activity/count", in, handle(a, a.countActivity)},
		{"POST", "/hosts/config", in, handle(a, a.hostConfig)},
		{"GET", "/hosts/{host}", in, handle(a, a.viewHost)},
		{"GET", "/hosts/{host}/tags", in, handle(a, a.listHostTags)},
		{"POST", "/hosts/{host}/tags", in, handle(a, a.addHostTag)},
		{"DELETE", "/hosts/{host}/tags", in, handle(a, a.removeHostTag)},
		{"PUT", "/hosts/{host}/delete", in, handle(a, a.removeHost)},
		{"DELETE", "/hosts/{host}/delete", in, handle(a, a.deleteHost)},
		{"PUT", "/hosts/{host}/enable", in, handle(a, a.enableHost)},

		{"POST", "/carves", in, handle(a, a.listCarves)},
		{"GET", "/carves/download/{session_id}", in, handle(a, a.downloadCarve)},
		{"POST", "/carves/delete", in, handle(a, a.deleteCarve)},

		{"POST", "/distributed/add", in, handle(a, a.launch)},
		{"GET", "/live", in, handle(a, a.listLive)},
		{"POST", "/live/ticket", in, handle(a, a.ticket)},
		{"GET", "/live/{id}", itself, a.liveQuery(in(handle(a, a.viewLiveQuery)))},
		{"GET", "/live/{id}/tasks", in, handle(a, a.listTasks)},
		{"POST", "/live/{id}/cancel", in, handle(a, a.cancelLive)},
		{"GET", "/distributed/result", itself, http.HandlerFunc(a.espResults)},
		{"GET", "//distributed/result", itself, http.HandlerFunc(a.espResults)},

		{"GET", "/downloads/certificate.crt", open, http.HandlerFunc(a.certificate)},
		{"GET", "//downloads/certificate.crt", open, http.HandlerFunc(a.certificate)},
	}
}

func handle[Req, Resp any](a *api, fn func(context.Context, Req) (Resp, error)) http.Handler {
	return httpkit.Handle(a.door, fn)
}

// pattern is a route's path from the root: "//x" names one that is not below base.
func (r route) pattern() string {
	if strings.HasPrefix(r.path, "//") {
		return r.path[1:]
	}
	return base + r.path
}

// mux serves the routes, and answers other paths and verbs in the envelope.
func (a *api) mux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", a.notFound)
	verbs := map[string]map[string]http.Handler{}
	for _, r := range a.routes() {
		if verbs[r.pattern()] == nil {
			verbs[r.pattern()] = map[string]http.Handler{}
		}
		verbs[r.pattern()][r.method] = r.guard(r.handler)
	}
	for pattern, handlers := range verbs {
		mux.Handle(pattern, byVerb(handlers))
	}
	return mux
}

func byVerb(handlers map[string]http.Handler) http.Handler {
	if get, found := handlers[http.MethodGet]; found {
		handlers[http.MethodHead] = get
	}
	allowed := make([]string, 0, len(handlers))
	for verb := range handlers {
		allowed = append(allowed, verb)
	}
	slices.Sort(allowed)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handler, found := handlers[r.Method]; found {
			handler.ServeHTTP(w, r)
			return
		}
		methodNotAllowed(w, allowed)
	})
}
