package outputs

import (
	"encoding/json"
	"time"

	"muster/server/hosts"
)

// noticeView is a notice in JSON, as webhooks get it.
type noticeView struct {
	Event  string    `json:"event"` // alert
	Test   bool      `json:"test"`
	SentAt string    `json:"sent_at"` // RFC 3339, as all times here
	Alert  alertView `json:"alert"`
	Rule   *ruleView `json:"rule"` // null where no rule saw it
	Host   hostView  `json:"host"`
	Link   string    `json:"link"` // to the alert in the console; may be empty
}

type alertView struct {
	ID           int64             `json:"id"`
	EventID      int64             `json:"event_id"`
	Name         string            `json:"name"` // of the rule or the threat
	Source       string            `json:"source"`
	Severity     string            `json:"severity"` // INFO, LOW, WARNING, CRITICAL
	QueryName    string            `json:"query_name"`
	Action       string            `json:"action"`
	Columns      map[string]string `json:"columns"` // of the row; long values are cut
	Why          []string          `json:"why"`
	SourceData   json.RawMessage   `json:"source_data"` // what a service or YARA said
	TechniqueIDs []string          `json:"technique_ids"`
	Tactics      []string          `json:"tactics"`
	Retro        bool              `json:"retro"`
	SeenAt       string            `json:"seen_at"`
	CreatedAt    string            `json:"created_at"`
}

type ruleView struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

type hostView struct {
	ID            int64    `json:"id"`
	Identifier    string   `json:"host_identifier"`
	DisplayName   string   `json:"display_name"`
	Platform      string   `json:"platform"`
	OS            string   `json:"os"`
	LastIP        string   `json:"last_ip"`
	HardwareModel string   `json:"hardware_model"`
	Tags          []string `json:"tags"`
}

func viewNotice(n Notice, now time.Time) noticeView {
	view := noticeView{
		Event: "alert", Test: n.Test, SentAt: now.UTC().Format(time.RFC3339), Link: n.Link,
		Alert: alertView{
			ID: n.Alert.ID, EventID: n.Event.ID, Name: n.Alert.Name, Source: string(n.Alert.Source), Severity: n.Alert.Severity,
			QueryName: n.Event.QueryName, Action: n.Event.Action, Columns: map[string]string{}, Why: append([]string{}, reasons(n.Event.Why)...),
			SourceData: bounded64K(n.Alert.SourceData), TechniqueIDs: append([]string{}, n.Alert.TechniqueIDs...), Tactics: append([]string{}, n.Alert.Tactics...),
			Retro: n.Alert.Retro, SeenAt: seenAt(n).UTC().Format(time.RFC3339), CreatedAt: n.Alert.Created.UTC().Format(time.RFC3339),
		},
		Host: viewHost(n.Host),
	}
	for _, c := range columnsOf(n.Event.Columns, maxColumns, maxValue) {
		view.Alert.Columns[c.name] = c.value
	}
	if n.Alert.RuleID != 0 {
		view.Rule = &ruleView{n.Alert.RuleID, n.Alert.Name, n.RuleDescription}
	}
	return view
}

func viewHost(h *hosts.Host) hostView {
	info := infoOf(h)
	return hostView{
		ID: h.ID, Identifier: h.Identifier, DisplayName: h.DisplayName(), Platform: h.Platform, OS: info.os, LastIP: h.LastIP,
		HardwareModel: info.model, Tags: append([]string{}, h.Tags...),
	}
}

// hostInfo is what is inside of the objects of a host.
type hostInfo struct{ os, mac, model string }

func infoOf(h *hosts.Host) hostInfo {
	var system struct {
		Name string `json:"name"`
	}
	var node struct {
		Model string `json:"hardware_model"`
	}
	var network []struct {
		MAC string `json:"mac"`
	}
	// What cannot be read is left empty: the host did not say.
	_, _, _ = json.Unmarshal(h.OSInfo, &system), json.Unmarshal(h.NodeInfo, &node), json.Unmarshal(h.NetworkInfo, &network)
	info := hostInfo{os: system.Name, model: node.Model}
	if len(network) > 0 {
		info.mac = network[0].MAC
	}
	return info
}

// bounded64K is JSON, or a note in its place where that is too much or none.
func bounded64K(raw json.RawMessage) json.RawMessage {
	switch {
	case len(raw) > 64<<10:
		return json.RawMessage(`{"omitted":"too large"}`)
	case !json.Valid(raw):
		return json.RawMessage(`{}`)
	}
	return raw
}
