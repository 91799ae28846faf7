package httpkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"muster/server/fault"
)

func testDoor(log *bytes.Buffer) *Door {
	return &Door{
		Log:     slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Success: func(w http.ResponseWriter, _ *http.Request, answer any) { WriteJSON(w, http.StatusOK, answer) },
		Failure: func(w http.ResponseWriter, _ *http.Request, status int, err error) {
			WriteJSON(w, status, fault.Public(err))
		},
		BodyLimit: 64,
	}
}

type later struct{ error }

func (later) RetryAfter() time.Duration { return 1500 * time.Millisecond }

func TestHandle(t *testing.T) {
	type req struct {
		Name string `arg:"name"`
	}
	door := testDoor(&bytes.Buffer{})
	handler := Handle(door, func(_ context.Context, r req) (any, error) {
		switch r.Name {
		case "none":
			return nil, fault.New(fault.NotFound, "no such thing")
		case "later":
			return nil, fault.Wrap(later{errors.New("x")}, fault.TooMany, "slow down")
		case "csv":
			return CSV{Filename: "a.csv", Header: []string{"h"}, Rows: Listed([][]string{{"=1+1"}})}, nil
		}
		return map[string]string{"hello": r.Name}, nil
	})
	tests := []struct {
		name, query, body string
		status            int
		answer, retry     string
	}{
		{"an answer is written by the door", "name=a<b", "", 200, `{"hello":"a<b"}`, ""},
		{"a fault has its status and sentence", "name=none", "", 404, `"no such thing"`, ""},
		{"a cause that knows when says so", "name=later", "", 429, `"slow down"`, "2"},
		{"an answer may write itself", "name=csv", "", 200, "h\n'=1+1", ""},
		{"a body over the limit is 413", "", `{"name":"` + strings.Repeat("a", 64) + `"}`, 413, `"The request body is larger than 64 bytes"`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest("POST", "/?"+strings.ReplaceAll(test.query, "<", "%3C"), strings.NewReader(test.body)))
			if w.Code != test.status || strings.TrimSpace(w.Body.String()) != test.answer || w.Header().Get("Retry-After") != test.retry {
				t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
			}
		})
	}
}

func TestStatus(t *testing.T) {
	want := map[fault.Kind]int{fault.Internal: 500, fault.Invalid: 400, fault.Unauthenticated: 401, fault.Forbidden: 403, fault.NotFound: 404,
		fault.Conflict: 409, fault.Unprocessable: 422, fault.TooMany: 429, fault.Busy: 503}
	for kind, status := range want {
		if got := Status(fmt.Errorf("wrapped: %w", fault.New(kind, "x"))); got != status {
			t.Errorf("%v is %d, want %d", kind, got, status)
		}
	}
}

func TestMiddleware(t *testing.T) {
	var log bytes.Buffer
	door := testDoor(&log)
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/panic":
			panic("secret inside")
		case "/half":
			_, _ = w.Write([]byte("half"))
			panic("too late")
		}
		w.WriteHeader(http.StatusTeapot)
	})
	server := httptest.NewServer(WithRequestID(AccessLog(door.Log, nil, SecurityHeaders(Recover(door, inner)))))
	defer server.Close()
	get := func(path string) (*http.Response, string, error) {
		response, err := server.Client().Get(server.URL + path)
		if err != nil {
			return nil, "", err
		}
		defer func() { _ = response.Body.Close() }()
		var body bytes.Buffer
		_, err = body.ReadFrom(response.Body)
		return response, body.String(), err
	}

	response, _, err := get("/tea?token=geheim")
	if err != nil || response.StatusCode != http.StatusTeapot {
		t.Fatalf("%v %v", response, err)
	}
	for _, header := range []string{"X-Request-Id", "X-Content-Type-Options", "X-Frame-Options", "Content-Security-Policy", "Cache-Control"} {
		if response.Header.Get(header) == "" {
			t.Errorf("no %s", header)
		}
	}
	response, body, err := get("/panic")
	if err != nil || response.StatusCode != 500 || strings.TrimSpace(body) != `"Internal server error"` {
		t.Errorf("a panic: %v %q %v", response, body, err)
	}
	if _, body, err = get("/half"); err == nil {
		t.Errorf("half an answer looks whole: %q", body)
	}
	server.Close()
	text := log.String()
	for _, want := range []string{"status=418", "path=/tea", "secret inside", "door_test.go"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %s", want)
		}
	}
	if strings.Contains(text, "geheim") {
		t.Error("the log holds a token")
	}
}
