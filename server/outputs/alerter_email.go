package outputs

import (
	"context"
	"slices"
	"strings"
	"time"

	"muster/server/fault"
)

// emailSettings are of an alerter that sends mail, by the mail server of the mail
// settings. A digest gathers alerts and sends them together.
type emailSettings struct {
	Recipients    []string `json:"recipients"` // empty: those of the mail settings
	Digest        bool     `json:"digest"`
	DigestMinutes int      `json:"digest_minutes"` // between two digests; 0: one a day
	DigestHour    *int     `json:"digest_hour"`    // of the daily one, UTC; 8 unless it is said
}

const (
	defaultDigestHour = 8
	maxDigestMinutes  = 7 * 24 * 60
)

func (s *emailSettings) check() error {
	if s.DigestHour == nil {
		hour := defaultDigestHour
		s.DigestHour = &hour
	}
	unique := []string{}
	for _, recipient := range s.Recipients {
		recipient = strings.TrimSpace(recipient)
		if !isAddress(recipient) {
			return fault.New(fault.Unprocessable, "recipients: %.80q is no mail address", recipient)
		}
		if !slices.Contains(unique, recipient) {
			unique = append(unique, recipient)
		}
	}
	s.Recipients = unique
	switch {
	case len(unique) > maxRecipients:
		return fault.New(fault.Unprocessable, "recipients has more than %d addresses", maxRecipients)
	case s.DigestMinutes < 0 || s.DigestMinutes > maxDigestMinutes:
		return fault.New(fault.Unprocessable, "digest_minutes is between 0 and %d", maxDigestMinutes)
	case *s.DigestHour < 0 || *s.DigestHour > 23:
		return fault.New(fault.Unprocessable, "digest_hour is between 0 and 23")
	}
	return nil
}

func (s *emailSettings) secrets() []secret { return nil }
func (s *emailSettings) receiver() string  { return "" }

func (s *emailSettings) alerter(t tools) Alerter { return &emailAlerter{s, t} }

type emailAlerter struct {
	settings *emailSettings
	tools    tools
}

// Notify sends a mail, or puts the alert into the next digest. A sample is sent in
// any case.
func (e *emailAlerter) Notify(ctx context.Context, n Notice) error {
	if e.settings.Digest && !n.Test {
		return e.tools.gather(ctx, e.tools.id, n, e.settings.nextDigest(e.tools.now()))
	}
	return e.tools.mail.Send(ctx, Message{To: e.settings.Recipients, Subject: subjectPrefix + summaryOf(n), Text: textOf(n, mailColumns)})
}

const subjectPrefix = "[Muster] "

// nextDigest is when what is gathered now is sent.
func (s *emailSettings) nextDigest(now time.Time) time.Time {
	if s.DigestMinutes > 0 {
		return now.Add(time.Duration(s.DigestMinutes) * time.Minute)
	}
	now = now.UTC()
	at := time.Date(now.Year(), now.Month(), now.Day(), *s.DigestHour, 0, 0, 0, time.UTC)
	if !at.After(now) {
		at = at.AddDate(0, 0, 1)
	}
	return at
}
