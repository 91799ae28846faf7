package outputs

import (
	"context"
	"log/slog"
	"time"

	"muster/server/alerts"
	"muster/server/hosts"
)

// Alerter tells somebody of an alert. It is safe for concurrent use.
type Alerter interface {
	// Notify delivers a notice, or fails with a fault. The cause of the fault says
	// whether another attempt may help: a *sendError, a *MailError. No text of it
	// holds a secret of the settings, whatever the receiver answered. What was
	// delivered may be delivered again.
	Notify(ctx context.Context, n Notice) error
}

// Notice is what is told of an alert.
type Notice struct {
	Alert           alerts.Alert
	Event           alerts.Event // what was seen, of those gathered into the alert
	Host            *hosts.Host
	RuleDescription string // empty: there is no rule, or it says nothing
	RuleStatus      string // ACTIVE, INACTIVE; empty: there is no such rule any more
	Link            string // to the alert in the console; empty: nobody said where that is
	Test            bool   // a sample: nothing was seen
}

// kindSettings are those of one alerter, as its kind understands them. The JSON names
// of their fields are those of the API. Secrets in them are plain.
type kindSettings interface {
	// check puts defaults in and reports what is wrong, naming the field. Faults:
	// Unprocessable.
	check() error
	secrets() []secret
	// receiver names who gets the secrets: when it changes, they are entered again.
	receiver() string
	// alerter is made once for settings that do not change any more.
	alerter(t tools) Alerter
}

// secret is a field that is sealed in the database and not shown.
type secret struct {
	field string // its JSON name
	value *string
	shown func(plain string) string // nil: Mask
}

// show is what stands in the place of a secret.
func (s secret) show() string {
	if *s.value == "" {
		return ""
	}
	if s.shown != nil {
		return s.shown(*s.value)
	}
	return Mask
}

// tools are what alerters are made of.
type tools struct {
	id     int64 // of the alerter
	mail   *Mail
	gather func(ctx context.Context, id int64, n Notice, at time.Time) error // see Alerters.gather
	log    *slog.Logger
	now    func() time.Time
}

// kinds is the registry: the kinds of alerters, each in a file of its own.
var kinds = map[string]func() kindSettings{
	"debug":     func() kindSettings { return &debugSettings{} },
	"email":     func() kindSettings { return &emailSettings{} },
	"rsyslog":   func() kindSettings { return &rsyslogSettings{} },
	"webhook":   func() kindSettings { return &webhookSettings{} },
	"slack":     func() kindSettings { return &slackSettings{} },
	"pagerduty": func() kindSettings { return &pagerDutySettings{} },
	"shoutrrr":  func() kindSettings { return &shoutrrrSettings{} },
}
