package agentapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"path"
	"time"

	"muster/server/fault"
	"muster/server/httpkit"
)

// What agents make of an answer (they never look at the status):
//
//	body                     enroll    config          log            distributed   carve
//	empty, or {}             retries   WIPES CONFIG    DELETES LINES  nothing to do go on
//	{"error":"..."}          retries   keeps, retries  keeps lines    retries       taken for success
//	{"node_invalid":true}    retries   enrols anew     enrols anew    enrols anew   taken for success
//	not JSON                 retries   keeps, retries  keeps lines    retries       fails, retries
//
// So: text that is no JSON is safe everywhere, {"error"} everywhere but for
// carves, and node_invalid is only said when it is a fact. Where agents fetch YARA
// rules they do look at the status; there text is right as well.

var (
	accepted    = []byte("{}")
	nodeInvalid = []byte(`{"node_invalid":true}`)
	errMethod   = fault.New(fault.Invalid, "agents use another method here")
)

type answer struct {
	status      int
	contentType string
	body        []byte
	retryAfter  time.Duration
}

// refusal is what an endpoint answers to a failure.
func refusal(endpoint string, err error) answer {
	kind := fault.KindOf(err)
	a := answer{status: httpkit.Status(err), contentType: "application/json"}
	if errors.Is(err, errMethod) {
		a.status = http.StatusMethodNotAllowed
	}
	if kind == fault.Busy || kind == fault.TooMany {
		a.retryAfter = 30 * time.Second
	}
	switch {
	case endpoint == "carve_start" || endpoint == "carve_block" || endpoint == "yara":
		a.contentType = "text/plain; charset=utf-8"
		a.body = []byte("refused: " + fault.Public(err) + "\n")
	case kind == fault.Unauthenticated:
		a.body = nodeInvalid
	case endpoint == "read" && kind == fault.Busy:
		a.body = accepted // an error would cost two more requests at once
	default:
		a.body, _ = json.Marshal(map[string]string{"error": fault.Public(err)})
	}
	return a
}

// NoRedirects keeps a ServeMux from answering a path that is not clean, such as
// //log, with a redirect: that has no body, which agents take for success.
func NoRedirects(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		clean := path.Clean("/" + r.URL.Path)
		if r.Method != http.MethodGet && r.Method != http.MethodHead && clean != r.URL.Path && clean+"/" != r.URL.Path {
			NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// NotFound answers a path that is not served, in words that no agent takes for
// success: they are no JSON.
func NotFound(w http.ResponseWriter, _ *http.Request) {
	send(w, http.StatusNotFound, "text/plain; charset=utf-8", []byte("not found: nothing is served at this path\n"))
}
