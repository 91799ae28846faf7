package adminapi

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"strconv"
	"strings"

	"muster/server/alerts"
	"muster/server/fault"
	"muster/server/httpkit"
	"muster/server/results"
)

type exportAlertsRequest struct {
	alertArgs
	Source   string  `arg:"source,required,choices=virustotal|rule|ibmxforce|alienvault|ioc|yara"`
	Resolved *bool   `arg:"resolved"` // nil: all, as the original
	EventIDs []int64 `arg:"event_ids"`
}

// exportAlerts is the rows that raised alerts under every column that any of them
// has, after columns that tell of the alert.
func (a *api) exportAlerts(ctx context.Context, r exportAlertsRequest) (httpkit.CSV, error) {
	f, err := a.alertFilter(ctx, r.alertArgs)
	if err == nil {
		f.IDs, err = alertIDs("event_ids", r.EventIDs)
	}
	if err != nil {
		return httpkit.CSV{}, err
	}
	f.Source, f.Resolved = alerts.Source(r.Source), r.Resolved
	found, err := a.Alerts.Each(ctx, f)
	if err != nil {
		return httpkit.CSV{}, err
	}
	table, err := results.Layout(alertRows(found, a.activeHosts(ctx)))
	if err != nil {
		return httpkit.CSV{}, err
	}
	if table.Count == 0 {
		return httpkit.CSV{}, fault.New(fault.NotFound, "Data couldn't find for the alert source given!")
	}
	return a.tableFile("alert_source_results.csv", table), nil
}

// alertRows are alerts as rows of a table.
func alertRows(found iter.Seq2[alerts.Alert, error], known knownHosts) iter.Seq2[results.Row, error] {
	return func(yield func(results.Row, error) bool) {
		for alert, err := range found {
			if !yield(results.Row{Columns: alertColumns(alert, known)}, err) {
				return
			}
		}
	}
}

// alertColumns is an object: what is known of the alert, and the columns of its row.
func alertColumns(a alerts.Alert, known knownHosts) json.RawMessage {
	hostname, identifier := "", ""
	if host := known[a.HostID]; host != nil {
		hostname, identifier = host.DisplayName(), host.Identifier
	}
	var object bytes.Buffer
	object.WriteByte('{')
	for i, cell := range [][2]string{
		{"alert_id", strconv.FormatInt(a.ID, 10)}, {"alert_created_at", alertTime(a.Created)}, {"alert_hostname", hostname},
		{"alert_host_identifier", identifier}, {"alert_name", a.Name}, {"alert_severity", a.Severity}, {"alert_state", string(a.Status)},
		{"alert_verdict", string(a.Verdict)}, {"alert_assignee", a.Assignee}, {"alert_query_name", a.QueryName},
		{"alert_technique_ids", strings.Join(a.TechniqueIDs, " ")}, {"alert_events", strconv.Itoa(a.EventCount)},
	} {
		if i > 0 {
			object.WriteByte(',')
		}
		text, _ := json.Marshal(cell[1]) //nolint:errchkjson // a text always has a JSON form
		object.WriteString(`"` + cell[0] + `":`)
		object.Write(text)
	}
	row := bytes.TrimSpace(orObject(a.Columns))
	if inner, isObject := bytes.CutPrefix(row, []byte("{")); isObject && !bytes.HasPrefix(bytes.TrimSpace(inner), []byte("}")) {
		object.WriteByte(',')
		object.Write(inner)
	} else {
		object.WriteByte('}')
	}
	return object.Bytes()
}
