package adminapi

import (
	"net/http"
	"strings"

	"muster/server/fault"
	"muster/server/httpkit"
)

// answer is what a handler says; the door wraps it in the envelope. T is the
// shape of the data, which the API's description reads off the handler.
type answer[T any] struct {
	message string
	data    T
}

// none is the data of an answer that has a message only.
type none struct{}

// envelope is the body of every answer that is JSON (document, general part).
type envelope struct {
	Status  string            `json:"status"`
	Message string            `json:"message"`
	Data    any               `json:"data,omitempty"`
	Errors  map[string]string `json:"errors,omitempty"`
}

// said is the head of an answer that has more beside its data than the envelope
// knows (document: query_id, pack_id, config). Embed it first.
type said struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// succeeded says that it went well.
func succeeded(message string) said { return said{"success", message} }

// page is the data of a list. Count is what matches, TotalCount what is there
// without the search term.
type page[T any] struct {
	Results    []T `json:"results"`
	Count      int `json:"count"`
	TotalCount int `json:"total_count"`
}

func (a answer[T]) enveloped() envelope {
	e := envelope{Status: "success", Message: a.message}
	if _, nothing := any(a.data).(none); !nothing {
		e.Data = a.data
	}
	return e
}

func success(w http.ResponseWriter, _ *http.Request, value any) {
	if a, ok := value.(interface{ enveloped() envelope }); ok {
		value = a.enveloped()
	}
	httpkit.WriteJSON(w, http.StatusOK, value)
}

// failure answers in the envelope. The document's table of codes has no 409:
// what exists already, or is in another state, is content that is wrong (422).
func failure(w http.ResponseWriter, _ *http.Request, status int, err error) {
	switch status {
	case http.StatusConflict:
		status = http.StatusUnprocessableEntity
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	httpkit.WriteJSON(w, status, envelope{Status: "failure", Message: fault.Public(err), Errors: fault.FieldsOf(err)})
}

func (a *api) notFound(w http.ResponseWriter, r *http.Request) {
	a.door.Fail(w, r, fault.New(fault.NotFound, "There is nothing at this address"))
}

func methodNotAllowed(w http.ResponseWriter, allowed []string) {
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	httpkit.WriteJSON(w, http.StatusMethodNotAllowed, envelope{Status: "failure", Message: "The method is not allowed for the requested URL"})
}
