package adminapi

import (
	"net/http"

	"muster/server/httpkit"
)

// descriptionRoutes tell what there is, to everybody: no more than the
// documentation does.
func (a *api) descriptionRoutes() []route {
	open := a.anybody
	return []route{
		{"GET", "/openapi.json", open, raw(a.viewDescription), "This description (OpenAPI 3.1)"},
		{"GET", "/docs", open, raw(a.docs), "A page to read and try the API"},
	}
}

func (a *api) viewDescription(w http.ResponseWriter, _ *http.Request) {
	httpkit.WriteJSON(w, http.StatusOK, a.description())
}

// docs leads to the page, which is served beside the start page.
func (a *api) docs(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/api", http.StatusFound)
}
