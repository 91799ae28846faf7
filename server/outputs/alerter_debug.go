package outputs

import (
	"context"
	"log/slog"

	"muster/server/fault"
)

// debugSettings are of an alerter that writes a line to the server's log.
type debugSettings struct {
	Level string `json:"level"` // debug, info, warn (the default), error
}

func (s *debugSettings) check() error {
	if s.Level == "" {
		s.Level = "warn"
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.Level)); err != nil {
		return fault.New(fault.Unprocessable, "level is one of debug, info, warn, error")
	}
	return nil
}

func (s *debugSettings) secrets() []secret { return nil }
func (s *debugSettings) receiver() string  { return "" }

func (s *debugSettings) alerter(t tools) Alerter {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.Level)) // it was checked
	return debugAlerter{t.log, level}
}

type debugAlerter struct {
	log   *slog.Logger
	level slog.Level
}

// Notify writes who and what, but not the row: logs hold no reports of hosts.
func (d debugAlerter) Notify(ctx context.Context, n Notice) error {
	d.log.Log(ctx, d.level, "alert", "alert_id", n.Alert.ID, "name", n.Alert.Name, "source", n.Alert.Source, "severity", n.Alert.Severity,
		"host", n.Host.DisplayName(), "host_id", n.Host.ID, "query", n.Event.QueryName, "test", n.Test)
	return nil
}
