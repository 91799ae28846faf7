package adminapi

import (
	"net/http"

	"muster/server/httpkit"
)

// plannedRoutes are the endpoints of the document that are not served yet, so
// that a client is told so rather than that there is no such thing.
func (a *api) plannedRoutes() []route {
	in := a.signedIn
	soon := endpoint{Handler: http.HandlerFunc(notImplemented), planned: true}
	var routes []route
	for _, planned := range [][3]string{
		{"POST", "/response", "View all response actions"},
		{"POST", "/response/view", "View a response action by host"},
		{"POST", "/response/export", "Export response actions to a CSV file"},
		{"POST", "/response/status", "View whether a host takes response actions"},
		{"POST", "/response/restart-agent", "Restart an agent"},
		{"POST", "/response/add", "Send a response action"},
		{"POST", "/response/custom-action", "Send a script"},
		{"GET", "/response/{command_id}", "View a response action"},
		{"DELETE", "/response/{openc2_id}/delete", "Delete a response action"},
	} {
		routes = append(routes, route{planned[0], planned[1], in, soon, planned[2]})
	}
	return routes
}

func notImplemented(w http.ResponseWriter, _ *http.Request) {
	httpkit.WriteJSON(w, http.StatusNotImplemented, envelope{Status: "failure", Message: "This server does not do this yet"})
}
