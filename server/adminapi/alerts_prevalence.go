package adminapi

import (
	"cmp"
	"context"
	"encoding/json"
	"net/netip"
	"slices"

	"muster/server/indicator"
	"muster/server/results"
)

// maxPrevalent bounds the values of an alert that are looked for.
const maxPrevalent = 20

// prevalence is where a value of an alert's row was seen; times are those of arrival.
type prevalence struct {
	Column    string  `json:"column"`
	Type      string  `json:"type"`
	Value     string  `json:"value"`
	Hosts     int     `json:"hosts"`
	FirstSeen *string `json:"first_seen"`
	LastSeen  *string `json:"last_seen"`
}

// prevalenceAnswer is that of every value, and how far the log was looked through.
type prevalenceAnswer struct {
	said
	Data     []prevalence `json:"data"`
	Searched searchedView `json:"searched"`
}

func (a *api) viewPrevalence(ctx context.Context, r pathAlert) (prevalenceAnswer, error) {
	alert, _, err := a.findAlert(ctx, r.ID)
	if err != nil {
		return prevalenceAnswer{}, err
	}
	columns, sought := observedIn(alert.Columns)
	seen, reach, err := a.Results.Sightings(ctx, sought, a.activeHosts(ctx).visible)
	if err != nil {
		return prevalenceAnswer{}, err
	}
	data := make([]prevalence, 0, len(seen))
	for i, s := range seen {
		data = append(data, prevalence{columns[i], string(s.Type), s.Value, s.Hosts, iso(s.First), iso(s.Last)})
	}
	return prevalenceAnswer{succeeded("Successfully fetched the prevalence of what the alert names"), data, viewReach(reach)}, nil
}

// observedIn are the values in a row that other hosts may have reported too, each
// once, in the order of their columns' names, with the columns.
func observedIn(row json.RawMessage) (columns []string, sought []results.Sought) {
	values := object(row)
	for _, column := range indicator.Columns() {
		value, _ := values[column].(string)
		kind := typeOf(column, value)
		if kind == "" || len(sought) == maxPrevalent {
			continue
		}
		same := func(s results.Sought) bool { return s.Type == kind && kind.Normalize(s.Value) == kind.Normalize(value) }
		if !slices.ContainsFunc(sought, same) {
			columns, sought = append(columns, column), append(sought, results.Sought{Type: kind, Value: value})
		}
	}
	return columns, sought
}

// typeOf is the type of indicator to look for a value of a column as; empty for
// none, and for identifiers of processes, which are one host's.
func typeOf(column, value string) indicator.Type {
	if indicator.Normalize(column, value) == "" {
		return ""
	}
	if column == "host" { // a name or an address
		if _, err := netip.ParseAddr(value); err == nil {
			return "remote_address"
		}
		return "domain_name"
	}
	types := indicator.Types()
	slices.SortStableFunc(types, func(a, b indicator.Type) int { // the widest first: path is looked for in target_path too
		return cmp.Compare(len(b.Columns()), len(a.Columns()))
	})
	for _, kind := range types {
		if slices.Contains(kind.Columns(), column) {
			if kind == "process_guid" || kind == "parent_process_guid" {
				return ""
			}
			return kind
		}
	}
	return ""
}
