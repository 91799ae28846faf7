package outputs

import (
	"context"
	"crypto/tls"
	"net"
	"strconv"

	"muster/server/fault"
)

// syslogSettings are those of a syslog server that lines are sent to (RFC 5424).
type syslogSettings struct {
	Address  string `json:"address"` // host:port
	TLS      bool   `json:"tls"`
	CA       string `json:"ca,omitempty"` // PEM; empty: the system's
	Facility *int   `json:"facility"`     // 0-23 (16, local0)
}

func (s *syslogSettings) check(DestinationOptions) error {
	if err := checkAddress("address", s.Address); err != nil {
		return err
	}
	if s.Facility == nil {
		local := 16
		s.Facility = &local
	}
	if *s.Facility < 0 || *s.Facility > 23 {
		return fault.New(fault.Unprocessable, "facility is between 0 and 23")
	}
	_, err := authorities(s.CA)
	return err
}

// checkAddress reports what is wrong with host:port.
func checkAddress(field, address string) error {
	host, port, err := net.SplitHostPort(address)
	if n, wrong := strconv.Atoi(port); err != nil || wrong != nil || n < 1 || n > 65535 || host == "" || len(address) > 300 {
		return fault.New(fault.Unprocessable, "%s is a host and a port, such as logs.example.com:6514", field)
	}
	return nil
}

func (s *syslogSettings) secrets() map[string]*string { return nil }
func (s *syslogSettings) receiver() string            { return s.Address }
func (s *syslogSettings) batching() batching          { return batching{maxLine: maxSyslogText} }

func (s *syslogSettings) open(o DestinationOptions) (sender, error) {
	target := syslogTarget{address: s.Address, timeout: o.SendTimeout}
	if s.TLS {
		host, _, err := net.SplitHostPort(s.Address)
		if err != nil {
			return nil, err
		}
		roots, err := authorities(s.CA)
		if err != nil {
			return nil, err
		}
		if roots == nil {
			roots = o.Roots
		}
		target.tls = &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12}
	}
	return &syslogSender{target, *s.Facility}, nil
}

// syslogSender sends each batch over a connection of its own: that it was closed in
// order is the nearest thing to a receipt that syslog has.
type syslogSender struct {
	target   syslogTarget
	facility int
}

// Severities of RFC 5424.
const (
	syslogWarning = 4
	syslogInfo    = 6
)

func (s *syslogSender) send(ctx context.Context, b batch) error {
	severity := syslogInfo
	if b.stream == StreamAlerts {
		severity = syslogWarning
	}
	messages := make([]syslogMessage, 0, len(b.lines))
	for _, l := range b.lines {
		messages = append(messages, syslogMessage{
			facility: s.facility, severity: severity, at: l.at, host: l.name, app: "muster", id: string(b.stream), text: string(l.text),
		})
	}
	return s.target.send(ctx, messages...)
}

func (s *syslogSender) close() {}
