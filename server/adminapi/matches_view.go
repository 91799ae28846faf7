package adminapi

import (
	"encoding/json"
	"reflect"

	"muster/server/results"
)

// rowsView is a page of rows as their columns (document, "Search in result log").
type rowsView struct {
	Count   int64             `json:"count"`
	Results []json.RawMessage `json:"results"`
}

// matchesView is what a hunt or a search found: groups by host, or the rows of one
// host and query.
type matchesView struct {
	groups []huntGroup
	rows   *rowsView
}

// MarshalJSON writes the one that there is.
func (m matchesView) MarshalJSON() ([]byte, error) {
	if m.rows != nil {
		return json.Marshal(m.rows)
	}
	return json.Marshal(list(m.groups))
}

// alternatives are the shapes on the wire, for the API's description.
func (matchesView) alternatives() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[[]huntGroup](), reflect.TypeFor[rowsView]()}
}

func viewMatches(rows []results.Row, count int64) *rowsView {
	view := &rowsView{Count: count, Results: make([]json.RawMessage, 0, len(rows))}
	for _, row := range rows {
		view.Results = append(view.Results, orObject(row.Columns))
	}
	return view
}
