package outputs

import (
	"context"
	"encoding/json"

	"muster/server/alerts"
	"muster/server/fault"
	"muster/server/hosts"
)

// Test tells an alerter of a sample now, be it active or not. It takes as long as
// the receiver does, up to some 20 seconds. Faults: NotFound; Unprocessable or
// Busy, which say what happened and hold no secret.
func (a *Alerters) Test(ctx context.Context, name string) error {
	row, err := findReceiver(ctx, a.DB, name)
	if err != nil {
		return err
	}
	to, err := a.open(row)
	if err != nil {
		return err
	}
	now := a.Now().UTC()
	err = to.Notify(ctx, Notice{
		Test: true, RuleDescription: "Sent to try the alerter " + row.Name, Link: a.ConsoleURL,
		Alert: alerts.Alert{Name: "Sample alert", Source: alerts.Rule, Severity: "INFO", Created: now},
		Event: alerts.Event{QueryName: "sample", Action: "added", Columns: json.RawMessage(`{"sample":"yes"}`), Why: json.RawMessage("[]"), Time: now},
		Host:  &hosts.Host{Identifier: "sample-host", Hostname: "sample-host"},
	})
	if fault.Is(err, fault.NotFound) { // of mail settings, not of the alerter
		return fault.Wrap(err, fault.Unprocessable, "%s", fault.Public(err))
	}
	return err
}
