package httpkit

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"muster/server/fault"
)

// DefaultBodyLimit bounds a request body, in bytes, where a door sets no limit.
const DefaultBodyLimit = 1 << 20

// Door is the wire of one API: how it answers success and failure.
type Door struct {
	// Log receives the causes that clients never see.
	Log *slog.Logger
	// Success writes a handler's answer. An answer that is an http.Handler
	// (a file, a CSV) is not passed here: it writes itself.
	Success func(w http.ResponseWriter, r *http.Request, answer any)
	// Failure writes a failure. status is the one Status gives.
	Failure func(w http.ResponseWriter, r *http.Request, status int, err error)
	// BodyLimit bounds request bodies, in bytes; 0 means DefaultBodyLimit.
	BodyLimit int64
	// Refuse holds arguments that must not be ignored by a request that does not
	// take them, with what is said then: unless they are false, they are refused.
	Refuse map[string]string
}

// Handle adapts fn to HTTP: the request's arguments become a Req (see Decode),
// the answer or the error is written by the door.
func Handle[Req, Resp any](d *Door, fn func(ctx context.Context, req Req) (Resp, error)) http.Handler {
	plan := planOf[Req]()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, d.bodyLimit())
		var req Req
		if err := plan.decode(r, &req, d.Refuse); err != nil {
			d.Fail(w, r, err)
			return
		}
		answer, err := fn(r.Context(), req)
		if err != nil {
			d.Fail(w, r, err)
			return
		}
		if own, ok := any(answer).(http.Handler); ok {
			own.ServeHTTP(w, r)
			return
		}
		d.Success(w, r, answer)
	})
}

func (d *Door) bodyLimit() int64 {
	if d.BodyLimit > 0 {
		return d.BodyLimit
	}
	return DefaultBodyLimit
}

// Fail answers err in the door's words and logs its cause, once.
func (d *Door) Fail(w http.ResponseWriter, r *http.Request, err error) {
	status := Status(err)
	d.logFailure(r, status, err)
	if wait, ok := retryAfter(err); ok {
		w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
	d.Failure(w, r, status, err)
}

// logFailure keeps what clients get wrong at debug: it is theirs to know, and a
// flood of it must not bury what is ours.
func (d *Door) logFailure(r *http.Request, status int, err error) {
	level := slog.LevelDebug
	switch {
	case r.Context().Err() != nil: // the client went away: nobody waits for this answer
	case status == http.StatusServiceUnavailable:
		level = slog.LevelWarn
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	}
	d.Log.Log(r.Context(), level, "request failed", "method", r.Method, "path", logPath(r), "status", status,
		"kind", fault.KindOf(err).String(), "error", err, "request_id", RequestID(r.Context()))
}

// Status returns the HTTP status of err's kind. A body over the limit is 413.
func Status(err error) int {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	switch fault.KindOf(err) {
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.Unprocessable:
		return http.StatusUnprocessableEntity
	case fault.TooMany:
		return http.StatusTooManyRequests
	case fault.Busy:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// retryAfter finds a cause that knows when to try again.
func retryAfter(err error) (time.Duration, bool) {
	var knows interface{ RetryAfter() time.Duration }
	if !errors.As(err, &knows) {
		return 0, false
	}
	return knows.RetryAfter(), true
}
