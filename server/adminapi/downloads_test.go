package adminapi

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"muster/server/database"
	"muster/server/database/dbtest"
)

// fetch asks for a path as it is written: a client of net/http would tidy it up.
func (w *world) fetch(method, path string, headers ...string) (*http.Response, string) {
	w.t.Helper()
	conn, err := tls.Dial("tcp", w.server.Listener.Addr().String(), w.server.Client().Transport.(*http.Transport).TLSClientConfig)
	w.ok(err)
	defer func() { _ = conn.Close() }()
	w.ok(conn.SetDeadline(time.Now().Add(20 * time.Second)))
	_, err = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", method, path, strings.Join(append(headers, ""), "\r\n"))
	w.ok(err)
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	w.ok(err)
	body, err := io.ReadAll(response.Body)
	w.ok(err)
	return response, string(body)
}

// newDownloads is a world with files to download, and with some that are not.
func newDownloads(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, dbtest.Open(t, database.SQLite)) // no database is asked
	outside := t.TempDir()
	for name, content := range map[string]string{
		"plgx_cpt.sh": "#!/bin/sh\n", "linux/x64/plgx_cpt": "0123456789", "with space.txt": "blank", "windows/osquery.flags": "--mine\n",
		"secret.txt": "enrol", "linux/secret.txt": "enrol", "Secrets/a": "enrol", ".hidden": "x", "linux/.git/config": "x", "empty": "",
	} {
		file := filepath.Join(w.deps.Downloads, filepath.FromSlash(name))
		w.ok(os.MkdirAll(filepath.Dir(file), 0o755))
		w.ok(os.WriteFile(file, []byte(content), 0o644))
	}
	w.ok(os.WriteFile(filepath.Join(outside, "key"), []byte("PRIVATE"), 0o644))
	w.ok(os.Symlink(filepath.Join(outside, "key"), filepath.Join(w.deps.Downloads, "out")))
	w.ok(os.Symlink(outside, filepath.Join(w.deps.Downloads, "away")))
	w.ok(os.Symlink("../"+filepath.Base(outside)+"/key", filepath.Join(w.deps.Downloads, "relative")))
	w.ok(os.Symlink("plgx_cpt.sh", filepath.Join(w.deps.Downloads, "inside")))
	w.ok(syscall.Mkfifo(filepath.Join(w.deps.Downloads, "pipe"), 0o644))
	w.api.Flagfile = func(platform string) string {
		return map[string]string{"linux": "--tls_hostname=x\n", "windows": "--generated\n"}[platform]
	}
	return w
}

func TestDownloads(t *testing.T) {
	w := newDownloads(t)
	for path, want := range map[string]string{
		"plgx_cpt.sh": "#!/bin/sh\n", "linux/x64/plgx_cpt": "0123456789", "with%20space.txt": "blank", "linux%2Fx64/plgx_cpt": "0123456789", "empty": "",
		"inside": "#!/bin/sh\n", "linux/osquery.flags": "--tls_hostname=x\n", "windows/osquery.flags": "--mine\n", "certificate.crt": "-----BEGIN CERTIFICATE-----\n",
	} {
		for _, prefix := range []string{"/downloads/", base + "/downloads/"} {
			response, body := w.fetch("GET", prefix+path)
			if response.StatusCode != http.StatusOK || body != want || response.Header.Get("Content-Type") != "application/octet-stream" ||
				response.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(response.Header.Get("Content-Disposition"), "attachment") {
				t.Errorf("%s%s: %d %q %v", prefix, path, response.StatusCode, body, response.Header)
			}
		}
	}
	if len(w.api.serving) != 0 {
		t.Errorf("%d files are still open", len(w.api.serving))
	}
}

func TestWhatIsNoDownload(t *testing.T) {
	w := newDownloads(t)
	for _, path := range []string{
		"", ".", "..", "linux", "linux/", "linux/x64/", "missing", "plgx_cpt.sh/", "plgx_cpt.sh/x", "PLGX_CPT.SH/..",
		"secret.txt", "linux/secret.txt", "Secrets/a", "SECRET.TXT", "%73ecret.txt", ".hidden", "%2ehidden", "linux/.git/config",
		"../out", "%2e%2e/out", "..%2fout", "%2e%2e%2fout", "%252e%252e%252fout", "linux/..%2f..%2fx", "linux/%2e%2e/secret.txt", "linux/../secret.txt",
		"..%5cout", "linux%5cx64%5cplgx_cpt", `linux\x64\plgx_cpt`, "%2fetc%2fpasswd", "/etc/passwd", "//etc/passwd", "linux//x64/plgx_cpt", "linux%2f%2fx64/plgx_cpt",
		"....//secret.txt", "plgx_cpt.sh%00", "plgx_cpt.sh%00.txt", "out", "away/key", "relative", "away", "pipe", "amiga/osquery.flags", "%c0%ae%c0%ae/out", strings.Repeat("a/", 600) + "b",
	} {
		for _, prefix := range []string{"/downloads/", base + "/downloads/"} {
			response, body := w.fetch("GET", prefix+path)
			if location := response.Header.Get("Location"); response.StatusCode/100 == 3 { // net/http tidies a path up, and asks to come again
				response, body = w.fetch("GET", location)
			}
			content := strings.Contains(body, "PRIVATE") || strings.Contains(body, "enrol") || strings.Contains(body, "root:") || body == "x"
			if tidy := body == "0123456789" && strings.Contains(path, "//"); !tidy && (response.StatusCode != http.StatusNotFound || content) {
				t.Errorf("%s%q: %d %q", prefix, path, response.StatusCode, body)
			}
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		if response, _ := w.fetch(method, "/downloads/plgx_cpt.sh", "Content-Length: 0"); response.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, response.StatusCode)
		}
	}
	w.golden("download_missing", w.status("GET", "//downloads/missing"), w.body("GET", "//downloads/missing"))
	w.api.Downloads = ""
	if response, _ := w.fetch("GET", "/downloads/plgx_cpt.sh"); response.StatusCode != http.StatusNotFound {
		t.Errorf("without a folder: %d", response.StatusCode)
	}
}

func (w *world) status(method, path string) int  { status, _ := w.do(method, path, nil); return status }
func (w *world) body(method, path string) []byte { _, body := w.do(method, path, nil); return body }

func TestPartsOfDownloads(t *testing.T) {
	w := newDownloads(t)
	const path = "/downloads/linux/x64/plgx_cpt"
	whole, _ := w.fetch("GET", path)
	etag := whole.Header.Get("ETag")
	if !strings.HasPrefix(etag, `"`) || whole.Header.Get("Accept-Ranges") != "bytes" || whole.ContentLength != 10 {
		t.Fatalf("%v", whole.Header)
	}
	for sentence, c := range map[string]struct {
		method, header string
		status         int
		body           string
	}{
		"a head has no body":                    {"HEAD", "", 200, ""},
		"a range":                               {"GET", "Range: bytes=2-4", 206, "234"},
		"the end":                               {"GET", "Range: bytes=-3", 206, "789"},
		"the rest":                              {"GET", "Range: bytes=8-", 206, "89"},
		"a range that is not there":             {"GET", "Range: bytes=10-", 416, ""},
		"a file that is known":                  {"GET", "If-None-Match: " + etag, 304, ""},
		"a file that is not known":              {"GET", `If-None-Match: "other"`, 200, "0123456789"},
		"the rest of the same file":             {"GET", "Range: bytes=5-\r\nIf-Range: " + etag, 206, "56789"},
		"another file is had from its start":    {"GET", "Range: bytes=5-\r\nIf-Range: \"other\"", 200, "0123456789"},
		"a condition that does not hold":        {"GET", `If-Match: "other"`, 412, ""},
		"ranges of more than the whole are not": {"GET", "Range: bytes=0-9,0-9,0-9", 200, "0123456789"},
	} {
		response, body := w.fetch(c.method, path, c.header)
		if c.header == "" {
			response, body = w.fetch(c.method, path)
		}
		if response.StatusCode != c.status || (c.status/100 == 2 && body != c.body) {
			t.Errorf("%s: %d %q", sentence, response.StatusCode, body)
		}
	}
	file := filepath.Join(w.deps.Downloads, "linux/x64/plgx_cpt")
	w.ok(os.WriteFile(file, []byte("9876543210"), 0o644))
	w.ok(os.Chtimes(file, time.Now(), time.Now().Add(time.Second)))
	if response, body := w.fetch("GET", path, "If-None-Match: "+etag); response.StatusCode != http.StatusOK || body != "9876543210" {
		t.Errorf("a file that changed: %d %q", response.StatusCode, body)
	}
}

func TestTooManyDownloads(t *testing.T) {
	w := newDownloads(t)
	for range maxDownloads {
		w.api.serving <- struct{}{}
	}
	response, _ := w.fetch("GET", "/downloads/plgx_cpt.sh")
	if response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%d", response.StatusCode)
	}
	if response, _ := w.fetch("GET", "/downloads/certificate.crt"); response.StatusCode != http.StatusOK {
		t.Errorf("the certificate: %d", response.StatusCode)
	}
}

func FuzzServable(f *testing.F) {
	for _, seed := range []string{"a/b", "../x", "a//b", "a\\b", "secret", "a/.b", "x\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if servable(name) && (!filepath.IsLocal(filepath.FromSlash(name)) || strings.Contains(name, "..\\") || strings.Contains("/"+strings.ToLower(name), "/secret")) {
			t.Errorf("%q is served", name)
		}
	})
}
