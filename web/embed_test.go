package web

import (
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func ask(t *testing.T, method, target string, header http.Header) *http.Response {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for name, values := range header {
		request.Header[name] = values
	}
	recorder := httptest.NewRecorder()
	Handler().ServeHTTP(recorder, request)
	return recorder.Result()
}

func body(t *testing.T, response *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestEveryFileIsServed(t *testing.T) {
	want := map[string]string{
		"/":                 "text/html; charset=utf-8",
		"/api":              "text/html; charset=utf-8",
		"/assets/api.css":   "text/css; charset=utf-8",
		"/assets/api.js":    "text/javascript; charset=utf-8",
		"/assets/style.css": "text/css; charset=utf-8",
		"/assets/start.js":  "text/javascript; charset=utf-8",
		"/assets/mark.svg":  "image/svg+xml",
	}
	for target, contentType := range want {
		response := ask(t, "GET", target, nil)
		if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != contentType || body(t, response) == "" {
			t.Errorf("%s: %d %s", target, response.StatusCode, response.Header.Get("Content-Type"))
		}
		policy := response.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || response.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: policy %q", target, policy)
		}
		etag := response.Header.Get("ETag")
		if again := ask(t, "GET", target, http.Header{"If-None-Match": {etag}}); etag == "" || again.StatusCode != http.StatusNotModified {
			t.Errorf("%s with ETag %s: %d", target, etag, again.StatusCode)
		}
		if other := ask(t, "GET", target, http.Header{"If-None-Match": {`"other"`}}); other.StatusCode != http.StatusOK {
			t.Errorf("%s with another ETag: %d", target, other.StatusCode)
		}
		if head := ask(t, "HEAD", target, nil); head.StatusCode != http.StatusOK || body(t, head) != "" {
			t.Errorf("HEAD %s: %d", target, head.StatusCode)
		}
	}
}

// An agent takes an empty body, and any JSON object, for success.
func TestStrayRequestsGetALineOfText(t *testing.T) {
	tests := []struct {
		method, target string
		status         int
	}{
		{"GET", "/nothing", http.StatusNotFound},
		{"POST", "/log", http.StatusNotFound},
		{"GET", "/assets/", http.StatusNotFound},
		{"GET", "/assets/../embed.go", http.StatusTemporaryRedirect},
		{"GET", "/embed.go", http.StatusNotFound},
		{"POST", "/", http.StatusMethodNotAllowed},
	}
	for _, test := range tests {
		response := ask(t, test.method, test.target, nil)
		text := body(t, response)
		if response.StatusCode != test.status || text == "" || json.Valid([]byte(text)) {
			t.Errorf("%s %s: %d %q", test.method, test.target, response.StatusCode, text)
		}
	}
}

func TestThePagesNeedNothingInlineAndNothingFromElsewhere(t *testing.T) {
	for _, at := range []string{"/", "/api"} {
		t.Run(at, func(t *testing.T) { needsNothing(t, body(t, ask(t, "GET", at, nil))) })
	}
}

func needsNothing(t *testing.T, page string) {
	t.Helper()
	for what, pattern := range map[string]string{
		"an inline script":   `<script(\s+(defer|async|type="[^"]*"))*\s*>`,
		"an inline style":    `<style|\sstyle\s*=`,
		"an event attribute": `\son[a-z]+\s*=`,
		"a script URL":       `(?i)javascript:`,
		"a foreign resource": `\s(src|href)="(https?:)?//`,
	} {
		if found := regexp.MustCompile(pattern).FindString(page); found != "" {
			t.Errorf("%s: %q", what, found)
		}
	}
	for _, match := range regexp.MustCompile(`\s(?:src|href)="(/[^"]*)"`).FindAllStringSubmatch(page, -1) {
		elsewhere := map[string]bool{"/downloads/certificate.crt": true, "/downloads/linux/osquery.flags": true, "/downloads/darwin/osquery.flags": true, "/downloads/windows/osquery.flags": true,
			"/healthz": true, "/readyz": true, "/services/api/v1/openapi.json": true}
		if response := ask(t, "GET", match[1], nil); !elsewhere[match[1]] && response.StatusCode != http.StatusOK {
			t.Errorf("the page asks for %s: %d", match[1], response.StatusCode)
		}
	}
	err := fs.WalkDir(files, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := files.ReadFile(name)
		if found := regexp.MustCompile(`@import|url\(|eval\(|innerHTML`).FindString(string(data)); found != "" {
			t.Errorf("%s holds %q", name, found)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestEveryScriptedElementIsOnThePage(t *testing.T) {
	for at, name := range map[string]string{"/": "start.js", "/api": "api.js"} {
		t.Run(at, func(t *testing.T) {
			hasEverything(t, body(t, ask(t, "GET", at, nil)), body(t, ask(t, "GET", "/assets/"+name, nil)))
		})
	}
}

func hasEverything(t *testing.T, page, script string) {
	t.Helper()
	for _, match := range regexp.MustCompile(`getElementById\("([^"]+)"\)|\[data-([a-z]+)\]`).FindAllStringSubmatch(script, -1) {
		if id := match[1]; id != "" && !strings.Contains(page, `id="`+id+`"`) {
			t.Errorf("no element %s", id)
		}
		if data := match[2]; data != "" && !strings.Contains(page, "data-"+data) && !strings.Contains(script, `"data-`+data+`":`) {
			t.Errorf("no attribute data-%s", data)
		}
	}
	for _, match := range regexp.MustCompile(`data-copy="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if !strings.Contains(page, `<pre id="`+match[1]+`"`) {
			t.Errorf("nothing to copy: %s", match[1])
		}
	}
}

func TestThePageNamesTheVersion(t *testing.T) {
	recorder := httptest.NewRecorder()
	Handler("v1.2.3 <dirty>").ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	if page := recorder.Body.String(); !strings.Contains(page, ">v1.2.3 &lt;dirty&gt;<") || strings.Contains(page, versionPlace) {
		t.Error("the version is missing or not escaped")
	}
	if page := body(t, ask(t, "GET", "/", nil)); strings.Contains(page, versionPlace) {
		t.Error("without a version its place shows")
	}
}
