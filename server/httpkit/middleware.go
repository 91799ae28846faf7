package httpkit

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"muster/server/fault"
)

type requestIDKey struct{}

// WithRequestID gives each request a random id: in its context, its log lines
// and the answer's X-Request-Id. An id that the client sends is not believed.
func WithRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := rand.Text()[:16]
		w.Header().Set("X-Request-Id", id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

// RequestID returns the id that WithRequestID gave, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// SecurityHeaders sets what every answer of an API should carry. A door that
// serves pages sets its own Content-Security-Policy afterwards.
func SecurityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// AccessLog writes one line per request when it ends: no query string and no
// header, since those hold tokens.
func AccessLog(log *slog.Logger, proxies Proxies, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		rec := record(w)
		defer func() {
			log.Info("request", "method", r.Method, "path", logPath(r), "status", rec.status(), "bytes", rec.bytes,
				"duration_ms", time.Since(started).Milliseconds(), "address", proxies.Address(r), "request_id", RequestID(r.Context()))
		}()
		next.ServeHTTP(rec, r)
	})
}

// Recover answers a panic as an internal failure; the stack goes to the log only.
// When the answer has begun already, the connection is cut, so that nobody takes
// half an answer for a whole one.
func Recover(d *Door, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := record(w)
		defer func() {
			what := recover()
			if what == nil {
				return
			}
			if err, ok := what.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(what)
			}
			d.Log.Error("a handler panicked", "panic", fmt.Sprint(what), "stack", string(debug.Stack()),
				"method", r.Method, "path", logPath(r), "request_id", RequestID(r.Context()))
			if rec.started() {
				panic(http.ErrAbortHandler)
			}
			d.Fail(rec, r, fault.New(fault.Internal, "Internal server error"))
		}()
		next.ServeHTTP(rec, r)
	})
}

// logPath is the path without the query, bounded.
func logPath(r *http.Request) string {
	path := r.URL.Path
	if len(path) > 256 {
		path = path[:256] + "..."
	}
	return path
}

// recorder remembers what was answered. It stays a Hijacker and a Flusher, for
// WebSockets and streams.
type recorder struct {
	http.ResponseWriter
	code  int
	bytes int64
}

func record(w http.ResponseWriter) *recorder {
	if rec, ok := w.(*recorder); ok {
		return rec
	}
	return &recorder{ResponseWriter: w}
}

func (rec *recorder) started() bool { return rec.code != 0 }

func (rec *recorder) status() int {
	if rec.code == 0 {
		return http.StatusOK
	}
	return rec.code
}

// WriteHeader remembers the final status.
func (rec *recorder) WriteHeader(code int) {
	if rec.code == 0 && code >= http.StatusOK {
		rec.code = code
	}
	rec.ResponseWriter.WriteHeader(code)
}

// Write counts bytes.
func (rec *recorder) Write(data []byte) (int, error) {
	if rec.code == 0 {
		rec.code = http.StatusOK
	}
	n, err := rec.ResponseWriter.Write(data)
	rec.bytes += int64(n)
	return n, err
}

// Flush sends what is buffered.
func (rec *recorder) Flush() {
	if rec.code == 0 {
		rec.code = http.StatusOK
	}
	_ = http.NewResponseController(rec.ResponseWriter).Flush()
}

// Hijack hands the connection over, for WebSockets.
func (rec *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(rec.ResponseWriter).Hijack()
	if err == nil {
		rec.code = http.StatusSwitchingProtocols
	}
	return conn, buffer, err
}

// Unwrap lets http.ResponseController reach the connection.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }
