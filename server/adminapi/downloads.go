package adminapi

import (
	"net/http"
	"strconv"

	"muster/server/fault"
	"muster/server/httpkit"
)

// downloadRoutes is what installers fetch, without a token.
func (a *api) downloadRoutes() []route {
	open := a.anybody
	return []route{
		{"GET", "/downloads/certificate.crt", open, raw(a.certificate), "Download the certificate that agents trust"},
		{"GET", "//downloads/certificate.crt", open, raw(a.certificate), "Download the certificate that agents trust"},
	}
}

// certificate serves the authority that agents must trust. It needs no token: it
// is public, and whoever enrols a host has none. Nothing else is downloaded here;
// above all no enrol secret.
func (a *api) certificate(w http.ResponseWriter, r *http.Request) {
	pem := a.CACert()
	if len(pem) == 0 {
		a.door.Fail(w, r, fault.New(fault.NotFound, "This server has no certificate of its own"))
		return
	}
	httpkit.Attachment(w, "application/octet-stream", "certificate.crt")
	w.Header().Set("Content-Length", strconv.Itoa(len(pem)))
	_, _ = w.Write(pem)
}
