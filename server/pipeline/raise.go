package pipeline

import (
	"context"

	"muster/server/alerts"
	"muster/server/bus"
	"muster/server/database"
	"muster/server/jobs"
	"muster/server/outputs"
)

// Raiser raises alerts and sees to it that people are told.
type Raiser struct {
	DB     *database.DB
	Alerts *alerts.Store
	Jobs   *jobs.Queue
	Bus    bus.Bus
	// Everyone names the alerters that are told of what names none itself, which is
	// everything but rules (esp-api 3).
	Everyone func(context.Context) ([]string, error)
}

// raise stores findings in a transaction, with a job for each alerter of every alert
// that is new: of what joins an alert that there is, its alerters were told. Call
// Committed after the commit.
func (r *Raiser) raise(ctx context.Context, tx *database.DB, all []found) (raised []alerts.Raised, err error) {
	findings := make([]alerts.Finding, len(all))
	for i, f := range all {
		findings[i] = f.Finding
	}
	if raised, err = r.Alerts.With(tx).Raise(ctx, findings); err != nil {
		return nil, err
	}
	told := r.listeners(all)
	var work []jobs.NewJob
	for _, one := range raised {
		if !one.New {
			continue
		}
		alerters, err := told(ctx, one.Alert)
		if err != nil {
			return nil, err
		}
		for _, alerter := range alerters {
			work = append(work, jobs.NewJob{Kind: outputs.NotifyKind, Args: outputs.NotifyArgs{AlertID: one.Alert.ID, EventID: one.EventID, Alerter: alerter}})
		}
	}
	return raised, r.Jobs.With(tx).Add(ctx, work...)
}

// listeners returns who is told of an alert: the alerters of the finding that raised it.
// Everyone is asked for once, and only if somebody needs it: others wait for the commit.
func (r *Raiser) listeners(all []found) func(context.Context, alerts.Alert) ([]string, error) {
	type group struct {
		host int64
		name string
	}
	named := map[group][]string{}
	for _, f := range all {
		if of := (group{f.HostID, f.Group}); f.alerters != nil && named[of] == nil {
			named[of] = f.alerters
		}
	}
	var everyone []string
	asked := false
	return func(ctx context.Context, a alerts.Alert) (names []string, err error) {
		if names, ok := named[group{a.HostID, a.Group}]; ok {
			return names, nil
		}
		if !asked {
			everyone, err = r.Everyone(ctx)
			asked = err == nil
		}
		return everyone, err
	}
}

// Committed tells everybody who waits that there are alerts and jobs.
func (r *Raiser) Committed() {
	r.Bus.Publish(alerts.Topic)
	r.Jobs.Hint()
}

// raiseAlone is raise in a transaction of its own, for what was found afterwards.
func (r *Raiser) raiseAlone(ctx context.Context, all []found, also func(tx *database.DB) error) error {
	err := r.DB.Tx(ctx, func(tx *database.DB) error {
		if _, err := r.raise(ctx, tx, all); err != nil {
			return err
		}
		return also(tx)
	})
	if err == nil {
		r.Committed()
	}
	return err
}
