package outputs

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"muster/server/alerts"
	"muster/server/hosts"
	"muster/server/results"
)

// lineHost is a host in a line of ours. Of one that was deleted the id is left.
type lineHost struct {
	ID         int64  `json:"id"`
	Identifier string `json:"identifier"`
	Name       string `json:"name"`
	Platform   string `json:"platform"`
}

func hostOf(h *hosts.Host) lineHost { return lineHost{h.ID, h.Identifier, h.DisplayName(), h.Platform} }

// hostKey is what tells hosts apart at a receiver.
func hostKey(h *hosts.Host) string {
	if h.Identifier == "" {
		return strconv.FormatInt(h.ID, 10)
	}
	return h.Identifier
}

// omitted stands in the place of columns that made a line too long.
type omitted struct {
	Bytes int `json:"omitted_bytes"`
}

// resultLine is a row of a scheduled query (docs/detection.md, "Log destinations").
func resultLine(r results.Row, h *hosts.Host, f Format, whole bool) ([]byte, error) {
	if f == FormatESP {
		flat := espLine("result", h, r.Time, r.ReceivedAt)
		flat["action"], flat["query_name"] = r.Action, r.Name
		flat.columns(r.Columns, whole)
		return encoded(flat)
	}
	return encoded(struct {
		Stream      Stream   `json:"stream"`
		ID          int64    `json:"id"`
		Host        lineHost `json:"host"`
		Name        string   `json:"name"`
		Action      string   `json:"action"`
		Columns     any      `json:"columns"`
		Decorations any      `json:"decorations"`
		UnixTime    int64    `json:"unix_time"`
		ReceivedAt  string   `json:"received_at"`
	}{StreamResults, r.ID, hostOf(h), r.Name, r.Action, kept(r.Columns, whole), kept(r.Decorations, whole), r.Time.Unix(), lineTime(r.ReceivedAt)})
}

// statusLine is a status message of an agent.
func statusLine(s results.HostStatus, h *hosts.Host, f Format, whole bool) ([]byte, error) {
	message := any(s.Message)
	if !whole {
		message = omitted{len(s.Message)}
	}
	if f == FormatESP {
		flat := espLine("status", h, s.Time, s.ReceivedAt)
		flat["severity"], flat["filename"], flat["line"], flat["message"], flat["osquery_version"] = s.Severity, s.Filename, s.Line, message, s.Version
		return encoded(flat)
	}
	return encoded(struct {
		Stream      Stream   `json:"stream"`
		ID          int64    `json:"id"`
		Host        lineHost `json:"host"`
		Severity    int64    `json:"severity"`
		Message     any      `json:"message"`
		Filename    string   `json:"filename"`
		Line        int64    `json:"line"`
		Version     string   `json:"version"`
		Decorations any      `json:"decorations"`
		UnixTime    int64    `json:"unix_time"`
		ReceivedAt  string   `json:"received_at"`
	}{StreamStatus, s.ID, hostOf(h), s.Severity, message, s.Filename, s.Line, s.Version, kept(s.Decorations, whole), s.Time.Unix(), lineTime(s.ReceivedAt)})
}

// alertLine is an alert, as it is when it is forwarded.
func alertLine(a alerts.Alert, h *hosts.Host, f Format, whole bool) ([]byte, error) {
	unix := int64(0)
	if !a.Time.IsZero() {
		unix = a.Time.Unix()
	}
	if f == FormatESP {
		flat := espLine("alert", h, a.Created, a.Created)
		flat["action"], flat["query_name"], flat["alert_id"], flat["severity"], flat["source"], flat["rule"] = a.Action, a.QueryName, a.ID, a.Severity, a.Source, a.Name
		flat["technique_ids"], flat["tactics"] = a.TechniqueIDs, a.Tactics
		flat.columns(a.Columns, whole)
		return encoded(flat)
	}
	return encoded(struct {
		Stream       Stream        `json:"stream"`
		ID           int64         `json:"id"`
		Host         lineHost      `json:"host"`
		Name         string        `json:"name"`
		Severity     string        `json:"severity"`
		Source       alerts.Source `json:"source"`
		RuleID       int64         `json:"rule_id"`
		TechniqueIDs []string      `json:"technique_ids"`
		Tactics      []string      `json:"tactics"`
		Status       alerts.Status `json:"status"`
		EventCount   int           `json:"event_count"`
		Retro        bool          `json:"retro"`
		QueryName    string        `json:"query_name"`
		Action       string        `json:"action"`
		Columns      any           `json:"columns"`
		Why          any           `json:"why"`
		SourceData   any           `json:"source_data"`
		ResultID     int64         `json:"result_id"`
		UnixTime     int64         `json:"unix_time"`
		CreatedAt    string        `json:"created_at"`
	}{StreamAlerts, a.ID, hostOf(h), a.Name, a.Severity, a.Source, a.RuleID, a.TechniqueIDs, a.Tactics, a.Status, a.EventCount, a.Retro,
		a.QueryName, a.Action, kept(a.Columns, whole), kept(a.Why, whole), kept(a.SourceData, whole), a.ResultID, unix, lineTime(a.Created)})
}

// testLine says that a destination works.
func testLine(d Destination, at time.Time) ([]byte, error) {
	return encoded(struct {
		Stream      Stream `json:"stream"`
		Destination string `json:"destination"`
		Message     string `json:"message"`
		CreatedAt   string `json:"created_at"`
	}{streamTest, d.Name, "This line was sent to test the destination.", lineTime(at)})
}

// kept is stored JSON as it stands in a line: null where there is none, and as a text
// what is none, so that no row can be in the way of those behind it.
func kept(raw json.RawMessage, whole bool) any {
	switch {
	case len(raw) == 0:
		return nil
	case !whole:
		return omitted{len(raw)}
	case !json.Valid(raw):
		return string(raw)
	}
	return raw
}

func lineTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

func encoded(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimRight(text.Bytes(), "\n"), nil
}
