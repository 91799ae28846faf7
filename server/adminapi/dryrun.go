package adminapi

import (
	"context"
	"reflect"
	"time"

	"muster/server/hosts"
	"muster/server/httpkit"
	"muster/server/schedule"
)

// dryRun is embedded in requests that change what hosts run: with dry_run nothing
// is changed, and the answer tells which hosts the change would touch.
type dryRun struct {
	DryRun bool `arg:"dry_run,default=false"`
}

func (d dryRun) dry() bool { return d.DryRun }

// rehearsal holds the stores of a transaction that will be undone, in the
// context of a dry run.
type rehearsal struct {
	schedule *schedule.Store
	hosts    *hosts.Store
}

type rehearsalKey struct{}

// scheduleOf and hostsOf are the stores that a change goes through: those of the
// dry run where it is one.
func (a *api) scheduleOf(ctx context.Context) *schedule.Store {
	if r, dry := ctx.Value(rehearsalKey{}).(rehearsal); dry {
		return r.schedule
	}
	return a.Schedule
}

func (a *api) hostsOf(ctx context.Context) *hosts.Store {
	if r, dry := ctx.Value(rehearsalKey{}).(rehearsal); dry {
		return r.hosts
	}
	return a.Hosts
}

// change is handle for what changes what hosts run. In a dry run fn does all that
// it would do, in a transaction that is undone; a failure is answered as ever.
func change[Req interface{ dry() bool }, Resp any](a *api, fn func(context.Context, Req) (Resp, error)) endpoint {
	return changeWith(a, a.door, fn)
}

// changeUpTo is change for requests larger than usual: up to limit bytes.
func changeUpTo[Req interface{ dry() bool }, Resp any](a *api, limit int64, fn func(context.Context, Req) (Resp, error)) endpoint {
	door := *a.door
	door.BodyLimit = limit
	return changeWith(a, &door, fn)
}

func changeWith[Req interface{ dry() bool }, Resp any](a *api, door *httpkit.Door, fn func(context.Context, Req) (Resp, error)) endpoint {
	e := handleWith(door, func(ctx context.Context, r Req) (any, error) {
		if !r.dry() {
			return fn(ctx, r)
		}
		return a.rehearse(ctx, func(ctx context.Context) error {
			_, err := fn(ctx, r)
			return err
		})
	})
	e.gives, e.rehearsed = reflect.TypeFor[Resp](), true
	return e
}

// rehearsing reports whether ctx is that of a dry run.
func rehearsing(ctx context.Context) bool {
	_, dry := ctx.Value(rehearsalKey{}).(rehearsal)
	return dry
}

// rehearsalTime bounds a dry run, which may hold the only writer of the database.
const rehearsalTime = 30 * time.Second

func (a *api) rehearse(ctx context.Context, change func(context.Context) error) (answer[dryRunView], error) {
	ctx, cancel := context.WithTimeout(ctx, rehearsalTime)
	defer cancel()
	preview, err := a.Schedule.Preview(ctx, a.Hosts, func(s *schedule.Store, h *hosts.Store) error {
		return change(context.WithValue(ctx, rehearsalKey{}, rehearsal{s, h}))
	})
	if err != nil {
		return answer[dryRunView]{}, err
	}
	view := dryRunView{Count: preview.Count, Results: []dryRunHost{}, Truncated: preview.Count > len(preview.Hosts)}
	for _, touched := range preview.Hosts {
		view.Results = append(view.Results, dryRunHost{
			ID: touched.Host.ID, HostIdentifier: touched.Host.Identifier, Hostname: touched.Host.DisplayName(), Changes: viewChanges(touched.Changes),
		})
	}
	return answer[dryRunView]{"Dry run: nothing was changed", view}, nil
}

// dryRunView is the answer of every dry run: the hosts whose config would differ.
type dryRunView struct {
	Count     int          `json:"count"`
	Results   []dryRunHost `json:"results"`
	Truncated bool         `json:"truncated"` // there are more hosts than results
}

type dryRunHost struct {
	ID             int64         `json:"id"`
	HostIdentifier string        `json:"host_identifier"`
	Hostname       string        `json:"hostname"`
	Changes        dryRunChanges `json:"changes"`
}

// dryRunChanges names what differs; keys are the top-level keys of the config
// besides schedule, packs and options.
type dryRunChanges struct {
	Schedule *dryRunNames `json:"schedule,omitempty"`
	Packs    *dryRunNames `json:"packs,omitempty"`
	Options  *dryRunNames `json:"options,omitempty"`
	Keys     *dryRunNames `json:"keys,omitempty"`
	Unusable bool         `json:"unusable,omitempty"` // agents would not take the new config as it stands
}

type dryRunNames struct {
	Added   []string `json:"added,omitempty"`
	Removed []string `json:"removed,omitempty"`
	Changed []string `json:"changed,omitempty"`
}

func viewChanges(c *schedule.Changes) dryRunChanges {
	return dryRunChanges{
		Schedule: viewNames(c.Schedule), Packs: viewNames(c.Packs), Options: viewNames(c.Options), Keys: viewNames(c.Keys), Unusable: c.Unusable,
	}
}

func viewNames(d schedule.Difference) *dryRunNames {
	if len(d.Added)+len(d.Removed)+len(d.Changed) == 0 {
		return nil
	}
	return &dryRunNames{d.Added, d.Removed, d.Changed}
}
