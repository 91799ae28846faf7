package agentapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster/server/fault"
)

// endpoint is one of the agents' endpoints: its limit, its dialect, its handler.
type endpoint struct {
	door   *Door
	name   string
	handle handler
	slots  chan struct{}

	contentType string   // of a good answer
	methods     []string // that are served
}

func (d *Door) endpoint(name string, handle handler) *endpoint {
	slots := inFlight[name]
	if n := d.limits.InFlight[name]; n > 0 {
		slots = n
	}
	return &endpoint{
		door: d, name: name, handle: handle, slots: make(chan struct{}, slots),
		contentType: "application/json", methods: []string{http.MethodPost, http.MethodPut},
	}
}

// ServeHTTP answers every request with a body, whatever happens.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := e.door.Now()
	// Agents give up after 16 seconds; who is slower only holds a place.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(e.door.limits.Timeout))
	body, err := e.serve(r)
	if err != nil {
		e.refuse(w, r, err)
	} else {
		send(w, http.StatusOK, e.contentType, body)
	}
	outcome := "ok"
	if err != nil {
		outcome = fault.KindOf(err).String()
	}
	e.door.Observe(e.name, outcome, e.door.Now().Sub(start))
}

func (e *endpoint) serve(r *http.Request) (body []byte, err error) {
	if !slices.Contains(e.methods, r.Method) {
		return nil, errMethod
	}
	if e.door.draining.Load() {
		return nil, fault.New(fault.Busy, "the server is shutting down")
	}
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	default:
		return nil, fault.New(fault.Busy, "busy")
	}
	defer func() {
		if value := recover(); value != nil {
			e.door.Log.Error("a request of an agent panicked", "endpoint", e.name, "panic", fmt.Sprint(value), "stack", string(debug.Stack()))
			body, err = nil, fault.New(fault.Internal, "internal server error")
		}
	}()
	ctx, cancel := context.WithTimeout(r.Context(), e.door.limits.Timeout)
	defer cancel()
	return e.handle(ctx, r)
}

// refuse logs what is ours to mend and answers in the agent's language.
func (e *endpoint) refuse(w http.ResponseWriter, r *http.Request, err error) {
	switch kind := fault.KindOf(err); kind {
	case fault.Internal, fault.Busy:
		if suppressed, due := e.door.warned.due(e.name+kind.String(), e.door.Now()); due && r.Context().Err() == nil {
			e.door.Log.Warn("an agent was refused", "endpoint", e.name, "kind", kind.String(), "error", err,
				"address", e.door.Address(r), "more_like_this", suppressed)
		}
	case fault.Unauthenticated:
		// An answer that overtakes its request can be lost with the connection,
		// and the agent would never learn that it has to enrol again.
		_, _ = io.CopyN(io.Discard, r.Body, maxDrain)
	}
	answer := refusal(e.name, err)
	if answer.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(answer.retryAfter/time.Second)))
	}
	if errors.Is(err, errMethod) {
		w.Header().Set("Allow", strings.Join(e.methods, ", "))
	}
	send(w, answer.status, answer.contentType, answer.body)
}

// maxDrain bounds what we read of a body only to be able to answer.
const maxDrain = 4 << 20

func send(w http.ResponseWriter, status int, contentType string, body []byte) {
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
