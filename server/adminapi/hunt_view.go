package adminapi

import "muster/server/results"

// searchedView says what stretch of the result log a hunt or a search looked at,
// by time of arrival (not in the document). From and to are null when nothing was
// there to look at.
type searchedView struct {
	From     *string `json:"from"`
	To       *string `json:"to"`
	Complete bool    `json:"complete"` // false: the bounds of one question ended it before
	Rows     int64   `json:"rows"`
}

func viewReach(r results.Reach) searchedView {
	return searchedView{From: iso(r.From), To: iso(r.To), Complete: r.Complete, Rows: r.Rows}
}

// queryCount is how many rows of a query match.
type queryCount struct {
	QueryName string `json:"query_name"`
	Count     int    `json:"count"`
}

// huntGroup is what matches on one host (document, "Hunt through file upload").
type huntGroup struct {
	Hostname       string       `json:"hostname"`
	HostIdentifier string       `json:"host_identifier"`
	Queries        []queryCount `json:"queries"`
}
