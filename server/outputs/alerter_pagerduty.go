package outputs

import (
	"context"
	"encoding/json"
	"regexp"
	"strconv"
	"time"

	"muster/server/fault"
)

// pagerDutySettings are of an alerter that raises incidents at PagerDuty (Events
// API v2).
type pagerDutySettings struct {
	RoutingKey string `json:"routing_key"` // of an integration
	URL        string `json:"url"`         // of the API, which in Europe is another
	Prefix     string `json:"dedup_prefix"`
}

const pagerDutyURL = "https://events.pagerduty.com/v2/enqueue"

var (
	pagerDutyKey    = regexp.MustCompile(`^[A-Za-z0-9]{32}$`)
	pagerDutyPrefix = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
)

func (s *pagerDutySettings) check() error {
	if s.URL == "" {
		s.URL = pagerDutyURL
	}
	if s.Prefix == "" {
		s.Prefix = "muster"
	}
	if !pagerDutyKey.MatchString(s.RoutingKey) {
		return fault.New(fault.Unprocessable, "routing_key has 32 letters and digits")
	}
	if !pagerDutyPrefix.MatchString(s.Prefix) {
		return fault.New(fault.Unprocessable, "dedup_prefix has up to 64 letters, digits, dots, dashes and underscores")
	}
	return checkURL("url", s.URL)
}

func (s *pagerDutySettings) secrets() []secret {
	return []secret{{"routing_key", &s.RoutingKey, nil}}
}

func (s *pagerDutySettings) receiver() string { return s.URL }

func (s *pagerDutySettings) alerter(t tools) Alerter {
	return &pagerDutyAlerter{s, newPoster(nil, t.now), t.now}
}

type pagerDutyAlerter struct {
	settings *pagerDutySettings
	poster   *poster
	now      func() time.Time
}

// pagerDutyEvent is what the API takes.
type pagerDutyEvent struct {
	RoutingKey string            `json:"routing_key"`
	Action     string            `json:"event_action"` // trigger, resolve
	DedupKey   string            `json:"dedup_key"`
	Client     string            `json:"client,omitempty"`
	ClientURL  string            `json:"client_url,omitempty"`
	Payload    *pagerDutyPayload `json:"payload,omitempty"`
}

type pagerDutyPayload struct {
	Summary   string     `json:"summary"`
	Source    string     `json:"source"`
	Severity  string     `json:"severity"`
	Timestamp string     `json:"timestamp"`
	Component string     `json:"component,omitempty"`
	Group     string     `json:"group,omitempty"`
	Class     string     `json:"class"`
	Details   noticeView `json:"custom_details"`
}

var pagerDutySeverities = map[string]string{"CRITICAL": "critical", "WARNING": "warning", "LOW": "info", "INFO": "info"}

const maxPagerDutySummary = 1024 // characters

// Notify triggers an incident, one for each alert however often it is told. A
// sample is resolved at once.
func (p *pagerDutyAlerter) Notify(ctx context.Context, n Notice) error {
	event := pagerDutyEvent{
		RoutingKey: p.settings.RoutingKey, Action: "trigger", DedupKey: p.settings.Prefix + "-alert-" + strconv.FormatInt(n.Alert.ID, 10),
		Client: "Muster", ClientURL: n.Link,
		Payload: &pagerDutyPayload{
			Summary: cut(summaryOf(n), maxPagerDutySummary), Source: n.Host.DisplayName(), Severity: pagerDutySeverities[n.Alert.Severity],
			Timestamp: seenAt(n).UTC().Format(time.RFC3339), Component: n.Event.QueryName, Group: n.Host.Platform, Class: string(n.Alert.Source),
			Details: viewNotice(n, p.now()),
		},
	}
	if event.Payload.Severity == "" {
		event.Payload.Severity = "warning"
	}
	if err := p.enqueue(ctx, event); err != nil || !n.Test {
		return err
	}
	event.Action, event.Payload = "resolve", nil
	return p.enqueue(ctx, event)
}

func (p *pagerDutyAlerter) enqueue(ctx context.Context, event pagerDutyEvent) error {
	body, err := json.Marshal(event)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "The event cannot be written")
	}
	return p.poster.send(ctx, post{url: p.settings.URL, body: body})
}

func (p *pagerDutyAlerter) close() { p.poster.close() }
