package adminapi

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"muster/server/httpkit"
)

const base = "/services/api/v1"

// route is one endpoint. Paths are below base unless they start at the root
// ("//x"); those that are words of an old client for another route say so in
// their summary.
type route struct {
	method, path string
	guard        func(http.Handler) http.Handler
	endpoint     endpoint
	summary      string // for the API's description
}

// endpoint is a handler with the shapes of what it takes and gives, which the
// API's description is made of. What answers with a file or a WebSocket has none.
type endpoint struct {
	http.Handler
	takes, gives reflect.Type
	planned      bool // not served yet
	rehearsed    bool // takes dry_run, which has an answer of its own
	acts         bool // changes something, and refuses dry_run
	tries        bool // changes something, and takes dry_run without another answer
}

// section is a part of the API's document with its routes, which stand in the
// file of its handlers.
type section struct {
	title  string
	routes []route
}

// sections is every endpoint of this door.
func (a *api) sections() []section {
	return []section{
		{"User", slices.Concat(a.userRoutes(), a.dashboardRoutes())},
		{"Downloads", a.downloadRoutes()},
		{"Hosts", a.hostRoutes()},
		{"Tags", a.tagRoutes()},
		{"Hunt and search", slices.Concat(a.huntRoutes(), a.searchRoutes())},
		{"Carves", a.carveRoutes()},
		{"YARA", slices.Concat(a.yaraRoutes(), a.yaraScanRoutes())},
		{"Indicators", a.iocRoutes()},
		{"Alerts", slices.Concat(a.alertRoutes(), a.investigateRoutes())},
		{"Alerters", a.alerterRoutes()},
		{"Schema", a.schemaRoutes()},
		{"Rules", a.ruleRoutes()},
		{"Queries", a.queryRoutes()},
		{"Packs", a.packRoutes()},
		{"Configs", a.configRoutes()},
		{"Live queries", a.liveRoutes()},
		{"Settings", a.settingRoutes()},
		{"Log destinations", a.destinationRoutes()},
		{"Audit", a.auditRoutes()},
		{"Jobs", a.jobRoutes()},
		{"Description", a.descriptionRoutes()},
		{"Not yet", a.plannedRoutes()},
	}
}

// itself lets everybody in: WebSockets take tickets as well as tokens, and look
// for themselves.
func itself(h http.Handler) http.Handler { return h }

func handle[Req, Resp any](a *api, fn func(context.Context, Req) (Resp, error)) endpoint {
	return handleWith(a.door, fn)
}

// handleUpTo is handle for requests larger than usual: up to limit bytes.
func handleUpTo[Req, Resp any](a *api, limit int64, fn func(context.Context, Req) (Resp, error)) endpoint {
	door := *a.door
	door.BodyLimit = limit
	return handleWith(&door, fn)
}

func handleWith[Req, Resp any](door *httpkit.Door, fn func(context.Context, Req) (Resp, error)) endpoint {
	return endpoint{Handler: httpkit.Handle(door, fn), takes: reflect.TypeFor[Req](), gives: reflect.TypeFor[Resp]()}
}

// act is handle for what changes something and has no dry run: it refuses to be
// asked for one, as it would do what the client wants to try only.
func act[Req, Resp any](a *api, fn func(context.Context, Req) (Resp, error)) endpoint {
	return actUpTo(a, 0, fn)
}

// actUpTo is act for requests larger than usual: up to limit bytes.
func actUpTo[Req, Resp any](a *api, limit int64, fn func(context.Context, Req) (Resp, error)) endpoint {
	door := *a.door
	door.BodyLimit, door.Refuse = limit, map[string]string{"dry_run": "There is no dry run of this; nothing was changed"}
	e := handleWith(&door, fn)
	e.acts = true
	return e
}

// tryUpTo is handle for what changes something and does its own dry run, for
// requests up to limit bytes.
func tryUpTo[Req, Resp any](a *api, limit int64, fn func(context.Context, Req) (Resp, error)) endpoint {
	e := handleUpTo(a, limit, fn)
	e.tries = true
	return e
}

// raw is an endpoint that writes its answer itself and takes no arguments.
func raw(h http.HandlerFunc) endpoint { return endpoint{Handler: h} }

// pattern is a route's path from the root: "//x" names one that is not below base.
func (r route) pattern() string {
	if strings.HasPrefix(r.path, "//") {
		return r.path[1:]
	}
	return base + r.path
}

func (a *api) routes() []route {
	var all []route
	for _, section := range a.sections() {
		all = append(all, section.routes...)
	}
	return all
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
		verbs[r.pattern()][r.method] = r.guard(r.endpoint)
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
