// Package web serves the start page (what this server is, whether it is ready, how
// to enrol an agent and how to ask a question) and a page to read and try the API.
//
// It writes no table and knows no feature. The pages are clients like any other:
// one asks GET /readyz, the other the API for its description.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

// versionPlace is where the page names the version.
const versionPlace = "<!--version-->"

// pages are the files that are pages, and where they are.
var pages = map[string]string{"index.html": "/{$}", "api.html": "/api"}

//go:embed index.html api.html assets
var files embed.FS

// policy lets the page load its own files and ask its own server, nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// types are those of the files here; the machine's own table may lack some.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// Handler serves the start page at /, the API's at /api and their files below /assets/, to GET and
// HEAD, each with an ETag and a strict content policy. Everything else is 404 or
// 405 with a line of text that is no JSON, so that an agent that strays here
// keeps what it has. The page names the version of the server, if one is given.
func Handler(version ...string) http.Handler {
	mux := http.NewServeMux()
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := files.ReadFile(name)
		pattern := "GET /" + name
		if at, isPage := pages[name]; isPage {
			pattern = "GET " + at
			named := html.EscapeString(strings.Join(version, " "))
			data = bytes.Replace(data, []byte(versionPlace), []byte(named), 1)
		}
		mux.Handle(pattern, page(name, data))
		return err
	})
	if err != nil { // what is embedded cannot fail to read
		return http.NotFoundHandler()
	}
	return mux
}

// page serves one file.
func page(name string, data []byte) http.Handler {
	sum := sha256.Sum256(data)
	etag := `"` + hex.EncodeToString(sum[:12]) + `"`
	contentType := types[path.Ext(name)]
	if contentType == "" {
		contentType = mime.TypeByExtension(path.Ext(name))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Type", contentType)
		header.Set("ETag", etag)
		header.Set("Cache-Control", "no-cache")
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
	})
}
