package adminapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
	"time"
	"unicode"

	"muster/server/fault"
	"muster/server/httpkit"
)

// maxDownloads bounds the files that are open for anybody at a time.
const maxDownloads = 64

// downloadRoutes is what installers fetch, without a token: they have none yet.
func (a *api) downloadRoutes() []route {
	open := a.anybody
	return []route{
		{"GET", "/downloads/certificate.crt", open, raw(a.certificate), "Download the certificate that agents trust"},
		{"GET", "//downloads/certificate.crt", open, raw(a.certificate), "Download the certificate that agents trust"},
		{"GET", "/downloads/{path...}", open, handle(a, a.download), "Download a file"},
		{"GET", "//downloads/{path...}", open, handle(a, a.download), "Download a file"},
	}
}

// certificate serves the authority that agents must trust. It needs no token: it
// is public, and whoever enrols a host has none.
func (a *api) certificate(w http.ResponseWriter, r *http.Request) {
	pem := a.CACert()
	if len(pem) == 0 {
		a.door.Fail(w, r, fault.New(fault.NotFound, "This server has no certificate of its own"))
		return
	}
	etag := fmt.Sprintf(`"%x"`, sha256.Sum256(pem))
	attachment{name: "certificate.crt", content: bytes.NewReader(pem), etag: etag}.ServeHTTP(w, r)
}

type downloadRequest struct {
	Path string `path:"path"`
}

// download serves a file of the folder, or a flagfile (linux/osquery.flags) where
// the folder has none of that name.
func (a *api) download(_ context.Context, r downloadRequest) (http.Handler, error) {
	missing := fault.New(fault.NotFound, "There is no such file")
	if !servable(r.Path) {
		return nil, missing
	}
	select {
	case a.serving <- struct{}{}:
	default:
		return nil, fault.New(fault.Busy, "Too many files are being downloaded: try again in a moment")
	}
	file, info, err := openBelow(a.Downloads, r.Path)
	if err != nil {
		<-a.serving
		if text := a.generated(r.Path); text != "" {
			return attachment{name: path.Base(r.Path), content: strings.NewReader(text)}, nil
		}
		return nil, missing
	}
	return attachment{
		name: info.Name(), content: file, modified: info.ModTime(),
		etag: fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()),
		done: func() { _ = file.Close(); <-a.serving },
	}, nil
}

// generated is the content of a file that the server knows by itself.
func (a *api) generated(name string) string {
	platform, isFlagfile := strings.CutSuffix(name, "/osquery.flags")
	if !isFlagfile || a.Flagfile == nil {
		return ""
	}
	return a.Flagfile(platform)
}

// servable refuses names that are no plain path of visible files, and those that
// the original kept enrol secrets under: a secret that anybody can fetch is none.
func servable(name string) bool {
	if !fs.ValidPath(name) || name == "." || len(name) > 1024 || strings.ContainsRune(name, '\\') || strings.ContainsFunc(name, unicode.IsControl) {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") || strings.HasPrefix(strings.ToLower(part), "secret") {
			return false
		}
	}
	return true
}

// openBelow opens a plain file in folder. Links may not lead out of it. The folder
// is opened each time, since an operator may put another in its place.
func openBelow(folder, name string) (*os.File, fs.FileInfo, error) {
	if folder == "" {
		return nil, nil, fs.ErrNotExist
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = root.Close() }()
	if info, err := root.Stat(name); err != nil || !info.Mode().IsRegular() { // a pipe would block the opening
		return nil, nil, fs.ErrNotExist
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		_ = file.Close()
		return nil, nil, fs.ErrNotExist
	}
	return file, info, nil
}

// attachment is an answer that is a file, whole or a range of it.
type attachment struct {
	name     string
	content  io.ReadSeeker
	modified time.Time // zero: unknown
	etag     string    // strong; empty: none
	done     func()    // nil: nothing to do
}

// ServeHTTP writes the file.
func (f attachment) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.done != nil {
		defer f.done()
	}
	httpkit.Attachment(w, "application/octet-stream", f.name)
	if f.etag != "" {
		w.Header().Set("ETag", f.etag)
	}
	http.ServeContent(httpkit.Patient(w), r, f.name, f.modified, f.content)
}
