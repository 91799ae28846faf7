package outputs

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"muster/server/fault"
)

// rsyslogSettings are of an alerter that sends syslog messages, whose text is a
// JSON object.
type rsyslogSettings struct {
	Address    string `json:"address"` // host:port
	TLS        bool   `json:"tls"`
	CA         string `json:"ca"`          // PEM; empty: the authorities of the system
	Facility   *int   `json:"facility"`    // 0-23; 16, local0, unless it is said
	ServiceKey string `json:"service_key"` // stands in each message
}

const defaultFacility = 16

func (s *rsyslogSettings) check() error {
	if s.Facility == nil {
		facility := defaultFacility
		s.Facility = &facility
	}
	switch {
	case !isHostPort(s.Address):
		return fault.New(fault.Unprocessable, "address is not HOST:PORT")
	case *s.Facility < 0 || *s.Facility > 23:
		return fault.New(fault.Unprocessable, "facility is between 0 and 23")
	case !isCredential(s.ServiceKey):
		return fault.New(fault.Unprocessable, "service_key has at most %d characters and no control characters", maxCredential)
	case s.CA != "" && !s.TLS:
		return fault.New(fault.Unprocessable, "ca says whom to trust over TLS, which tls does not ask for")
	}
	return checkCA(s.CA)
}

func (s *rsyslogSettings) secrets() []secret {
	return []secret{{"service_key", &s.ServiceKey, nil}}
}

func (s *rsyslogSettings) receiver() string { return s.Address + " " + transportOf(s.TLS) }

func (s *rsyslogSettings) alerter(t tools) Alerter {
	a := &rsyslogAlerter{settings: s, target: syslogTarget{address: s.Address}, now: t.now}
	if s.TLS {
		host, _, _ := net.SplitHostPort(s.Address)
		roots, _ := authorities(s.CA) // it was checked
		a.target.tls = &tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return a
}

func isHostPort(text string) bool {
	host, port, err := net.SplitHostPort(text)
	number, bad := strconv.Atoi(port)
	return err == nil && mailHost.MatchString(host) && bad == nil && number >= 1 && number <= 65535
}

type rsyslogAlerter struct {
	settings *rsyslogSettings
	target   syslogTarget
	now      func() time.Time
}

var syslogSeverities = map[string]int{"CRITICAL": 2, "WARNING": 4, "LOW": 5, "INFO": 6}

// Notify sends one message.
func (r *rsyslogAlerter) Notify(ctx context.Context, n Notice) error {
	text, err := json.Marshal(r.event(n))
	if err != nil {
		return fault.Wrap(err, fault.Internal, "The message cannot be written")
	}
	severity, known := syslogSeverities[n.Alert.Severity]
	if !known {
		severity = 4
	}
	return r.target.send(ctx, syslogMessage{
		facility: *r.settings.Facility, severity: severity, at: r.now(), host: localName(), app: "muster", id: "alert", text: string(text),
	})
}

// columnPrefix stands before a column whose name is one of ours.
const columnPrefix = "column_"

// event has the keys of the original's rsyslog alerter (ESP reference, section 3).
// The row's columns lie beside them, and none of them replaces one of ours.
func (r *rsyslogAlerter) event(n Notice) map[string]any {
	columns := columnsOf(n.Event.Columns, maxColumns, maxValue)
	info := infoOf(n.Host)
	event := map[string]any{
		"event_type": "trigger", "service_key": r.settings.ServiceKey, "incident_key": "muster-alert-" + strconv.FormatInt(n.Alert.ID, 10),
		"description":     cut(n.Alert.Name+":"+filled(n.RuleDescription, columns), maxValue),
		"host_identifier": n.Host.Identifier, "client": "Muster", "client_url": n.Link,
		"query_name": n.Event.QueryName, "severity": n.Alert.Severity, "alert_type": "Threat Intel",
		"created_at": n.Alert.Created.UTC().Format("2006-01-02T15:04:05.000000"), "action": n.Event.Action,
		"platform": n.Host.Platform, "is_active": n.Host.Online(r.now()), "last_ip": n.Host.LastIP,
		"osname": info.os, "macaddress": info.mac, "computername": n.Host.ComputerName, "hardware_model": info.model,
	}
	if n.Alert.RuleID != 0 {
		event["alert_type"], event["rule_name"], event["rule_description"], event["rule_status"] = "Rule", n.Alert.Name, n.RuleDescription, n.RuleStatus
	} else {
		event["source"], event["source_data"] = n.Alert.Source, bounded64K(n.Alert.SourceData)
	}
	for _, c := range columns {
		name := c.name
		if _, ours := event[name]; ours {
			name = columnPrefix + name
		}
		event[name] = c.value
	}
	return event
}

var columnReference = regexp.MustCompile(`\$[A-Za-z_][A-Za-z0-9_]*`)

// filled is a description with the values of columns for $name; what names no column
// stays.
func filled(description string, columns []column) string {
	return columnReference.ReplaceAllStringFunc(description, func(reference string) string {
		for _, c := range columns {
			if c.name == strings.TrimPrefix(reference, "$") {
				return c.value
			}
		}
		return reference
	})
}
