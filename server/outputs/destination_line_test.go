package outputs

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/alerts"
	"muster/server/hosts"
	"muster/server/results"
)

var (
	lineSeen   = time.Unix(1_772_366_390, 0).UTC()
	lineStored = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
	lineOf     = &hosts.Host{
		ID: 7, Identifier: "4C4C4544", Hostname: "web-1", Platform: "linux", State: hosts.Active, LastIP: "192.0.2.7", LastCheckin: lineStored,
		OSInfo: json.RawMessage(`{"name":"Debian","version":"12"}`), NodeInfo: json.RawMessage(`{"hardware_model":"KVM","hardware_vendor":"QEMU","cpu_physical_cores":"4"}`),
	}
	lineRow = results.Row{ID: 12, HostID: 7, Name: "pack/p/q", Action: "added", Columns: json.RawMessage(`{"path":"/bin/<sh>","version":"1.0"}`),
		Decorations: json.RawMessage(`{"user":"ana"}`), Time: lineSeen, ReceivedAt: lineStored}
	lineStatus = results.HostStatus{HostID: 7, StatusLog: results.StatusLog{ID: 3, Severity: 2, Line: 9, Filename: "f.cpp", Message: "m", Version: "5.23.1", Time: lineSeen, ReceivedAt: lineStored}}
	lineAlert  = alerts.Alert{
		ID: 5, HostID: 7, Source: alerts.Rule, RuleID: 2, Name: "A shell", Severity: "WARNING", QueryName: "process_events", Action: "added",
		Columns: json.RawMessage(`{"pid":"4"}`), Time: lineSeen, ResultID: 12, Why: json.RawMessage(`[{"field":"pid"}]`), SourceData: json.RawMessage(`{}`),
		TechniqueIDs: []string{"T1059"}, Tactics: []string{"execution"}, Status: alerts.Open, EventCount: 1, Created: lineStored,
	}
)

const espHost = `"@version":1,"@host_identifier":"4C4C4544","platform":"linux","is_active":true,"last_ip":"192.0.2.7","last_checkin":"2026-03-01T12:00:00.123456Z",
	"computername":"web-1","osname":"Debian","version":"12","hardware_model":"KVM","hardware_vendor":"QEMU","cpu_physical_cores":"4",`

// TestLines says what receivers can rely on; docs/detection.md shows the same.
func TestLines(t *testing.T) {
	const host = `"host":{"id":7,"identifier":"4C4C4544","name":"web-1","platform":"linux"},`
	broken := lineRow
	broken.Columns, broken.Decorations = json.RawMessage(`{"a":`), nil
	for sentence, c := range map[string]struct {
		render func() ([]byte, error)
		want   string
	}{
		"a row": {func() ([]byte, error) { return resultLine(lineRow, lineOf, FormatMuster, true) },
			`{"stream":"results","id":12,` + host + `"name":"pack/p/q","action":"added","columns":{"path":"/bin/<sh>","version":"1.0"},"decorations":{"user":"ana"},
			"unix_time":1772366390,"received_at":"2026-03-01T12:00:00.123456Z"}`},
		"a row that is too large": {func() ([]byte, error) { return resultLine(lineRow, lineOf, FormatMuster, false) },
			`{"stream":"results","id":12,` + host + `"name":"pack/p/q","action":"added","columns":{"omitted_bytes":36},"decorations":{"omitted_bytes":14},
			"unix_time":1772366390,"received_at":"2026-03-01T12:00:00.123456Z"}`},
		"a row that is no JSON": {func() ([]byte, error) { return resultLine(broken, lineOf, FormatMuster, true) },
			`{"stream":"results","id":12,` + host + `"name":"pack/p/q","action":"added","columns":"{\"a\":","decorations":null,"unix_time":1772366390,"received_at":"2026-03-01T12:00:00.123456Z"}`},
		"a row of a host that was deleted": {func() ([]byte, error) { return resultLine(lineRow, &hosts.Host{ID: 7}, FormatMuster, true) },
			`{"stream":"results","id":12,"host":{"id":7,"identifier":"","name":"","platform":""},"name":"pack/p/q","action":"added","columns":{"path":"/bin/<sh>","version":"1.0"},
			"decorations":{"user":"ana"},"unix_time":1772366390,"received_at":"2026-03-01T12:00:00.123456Z"}`},
		"a status message": {func() ([]byte, error) { return statusLine(lineStatus, lineOf, FormatMuster, true) },
			`{"stream":"status","id":3,` + host + `"severity":2,"message":"m","filename":"f.cpp","line":9,"version":"5.23.1","decorations":null,
			"unix_time":1772366390,"received_at":"2026-03-01T12:00:00.123456Z"}`},
		"an alert": {func() ([]byte, error) { return alertLine(lineAlert, lineOf, FormatMuster, true) },
			`{"stream":"alerts","id":5,` + host + `"name":"A shell","severity":"WARNING","source":"rule","rule_id":2,"technique_ids":["T1059"],"tactics":["execution"],
			"status":"open","event_count":1,"retro":false,"query_name":"process_events","action":"added","columns":{"pid":"4"},"why":[{"field":"pid"}],"source_data":{},
			"result_id":12,"unix_time":1772366390,"created_at":"2026-03-01T12:00:00.123456Z"}`},
		"a flat row, with a column that has a field's name": {func() ([]byte, error) { return resultLine(lineRow, lineOf, FormatESP, true) },
			`{` + espHost + `"log_type":"result","@timestamp":"2026-03-01T11:59:50.000000Z","created":"2026-03-01T12:00:00.123456Z","action":"added","query_name":"pack/p/q",
			"path":"/bin/<sh>","column_version":"1.0"}`},
		"a flat row that is too large": {func() ([]byte, error) { return resultLine(lineRow, lineOf, FormatESP, false) },
			`{` + espHost + `"log_type":"result","@timestamp":"2026-03-01T11:59:50.000000Z","created":"2026-03-01T12:00:00.123456Z","action":"added","query_name":"pack/p/q","omitted_bytes":36}`},
		"a flat status message": {func() ([]byte, error) { return statusLine(lineStatus, lineOf, FormatESP, true) },
			`{` + espHost + `"log_type":"status","@timestamp":"2026-03-01T11:59:50.000000Z","created":"2026-03-01T12:00:00.123456Z","severity":2,"filename":"f.cpp","line":9,"message":"m","osquery_version":"5.23.1"}`},
		"a flat alert": {func() ([]byte, error) { return alertLine(lineAlert, lineOf, FormatESP, true) },
			`{` + espHost + `"log_type":"alert","@timestamp":"2026-03-01T12:00:00.123456Z","created":"2026-03-01T12:00:00.123456Z","action":"added","query_name":"process_events","alert_id":5,
			"severity":"WARNING","source":"rule","rule":"A shell","technique_ids":["T1059"],"tactics":["execution"],"pid":"4"}`},
	} {
		t.Run(sentence, func(t *testing.T) {
			text, err := c.render()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(decoded(t, c.want), decoded(t, string(text))); diff != "" {
				t.Error(diff)
			}
			if text[0] != '{' || text[len(text)-1] != '}' {
				t.Errorf("it is no bare object: %q", text)
			}
		})
	}
}

func decoded(t *testing.T, text string) (object map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return object
}
