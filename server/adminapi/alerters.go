package adminapi

import (
	"context"
	"encoding/json"
	"strconv"

	"muster/server/fault"
	"muster/server/jobs"
	"muster/server/outputs"
)

// alerterRoutes are ours: the document knows the names of alerters only, in rules.
func (a *api) alerterRoutes() []route {
	in := a.signedIn
	return []route{
		{"GET", "/alerters", in, handle(a, a.listAlerters), "View whom alerts are told: rules may use their names"},
		{"POST", "/alerters/add", in, act(a, a.addAlerter), "Add an alerter"},
		{"GET", "/alerters/{name}", in, handle(a, a.viewAlerter), "View an alerter"},
		{"POST", "/alerters/{name}", in, act(a, a.changeAlerter), "Change an alerter"},
		{"DELETE", "/alerters/{name}", in, act(a, a.deleteAlerter), "Delete an alerter"},
		{"POST", "/alerters/{name}/test", in, act(a, a.testAlerter), "Send a sample to an alerter now"},
		{"GET", "/alerters/failed", in, handle(a, a.listUndelivered), "View what did not reach an alerter"},
		{"POST", "/alerters/failed/replay", in, act(a, a.replayUndelivered), "Try again what failed for good"},
		{"DELETE", "/alerters/failed/{id}/delete", in, act(a, a.discardUndelivered), "Give up what failed for good"},
	}
}

// alerterView is an alerter with masks in the place of secrets. The fields of its
// settings follow from its kind (docs/detection.md).
type alerterView struct {
	Name      string          `json:"name"`
	Kind      string          `json:"kind"`
	Active    bool            `json:"active"`
	BuiltIn   bool            `json:"built_in"`
	Settings  json.RawMessage `json:"settings"`
	CreatedAt *string         `json:"created_at"` // null: built in
	UpdatedAt *string         `json:"updated_at"`
}

func viewAlerter(r outputs.Receiver) alerterView {
	return alerterView{r.Name, r.Kind, r.Active, r.BuiltIn, orObject(r.Settings), iso(r.Created), iso(r.Updated)}
}

func (a *api) listAlerters(ctx context.Context, _ struct{}) (answer[[]alerterView], error) {
	all, err := a.Alerters.List(ctx)
	views := make([]alerterView, 0, len(all))
	for _, r := range all {
		views = append(views, viewAlerter(r))
	}
	return answer[[]alerterView]{"Successfully fetched the alerters", views}, err
}

type pathAlerter struct {
	Name string `path:"name"`
}

func (a *api) viewAlerter(ctx context.Context, r pathAlerter) (answer[alerterView], error) {
	found, err := a.Alerters.Find(ctx, r.Name)
	return answer[alerterView]{"Successfully fetched the alerter", viewAlerter(found)}, err
}

// addAlerter: settings come from the body alone, since they hold secrets.
type addAlerter struct {
	Name     string         `arg:"name,required"`
	Kind     string         `arg:"kind,required"`
	Active   bool           `arg:"active,default=true"`
	Settings map[string]any `arg:"settings,body"`
}

func (a *api) addAlerter(ctx context.Context, r addAlerter) (answer[alerterView], error) {
	settings, err := settingsJSON(r.Settings)
	if err != nil {
		return answer[alerterView]{}, err
	}
	added, err := a.Alerters.Add(ctx, outputs.NewReceiver{Name: r.Name, Kind: r.Kind, Active: r.Active, Settings: settings})
	if err != nil {
		return answer[alerterView]{}, err
	}
	a.record(ctx, "alerter.add", added.Name, map[string]any{"after": viewAlerter(added)})
	return answer[alerterView]{"The alerter is added successfully", viewAlerter(added)}, nil
}

type changeAlerter struct {
	Name     string         `path:"name"`
	Active   *bool          `arg:"active"`
	Settings map[string]any `arg:"settings,body"`
}

func (a *api) changeAlerter(ctx context.Context, r changeAlerter) (answer[alerterView], error) {
	settings, err := settingsJSON(r.Settings)
	if err != nil {
		return answer[alerterView]{}, err
	}
	before, after, err := a.Alerters.Change(ctx, r.Name, outputs.ReceiverChange{Active: r.Active, Settings: settings})
	if err != nil {
		return answer[alerterView]{}, err
	}
	given := make(map[string]bool, len(r.Settings)) // tells of secrets too, which look the same before and after
	for field := range r.Settings {
		given[field] = true
	}
	a.record(ctx, "alerter.set", after.Name, map[string]any{"before": viewAlerter(before), "after": viewAlerter(after), "given": given})
	return answer[alerterView]{"The alerter is changed successfully", viewAlerter(after)}, nil
}

// settingsJSON is nil where no settings were sent.
func settingsJSON(settings map[string]any) (json.RawMessage, error) {
	if settings == nil {
		return nil, nil
	}
	text, err := json.Marshal(settings)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "The settings are no JSON object")
	}
	return text, nil
}

func (a *api) deleteAlerter(ctx context.Context, r pathAlerter) (answer[none], error) {
	deleted, err := a.Alerters.Delete(ctx, r.Name)
	if err != nil {
		return answer[none]{}, err
	}
	a.record(ctx, "alerter.delete", deleted.Name, map[string]any{"before": viewAlerter(deleted)})
	return answer[none]{message: "The alerter is deleted successfully"}, nil
}

// testAlerter takes as long as the receiver does, up to some 20 seconds. That it
// failed is an answer of 422 that says why.
func (a *api) testAlerter(ctx context.Context, r pathAlerter) (answer[none], error) {
	err := a.Alerters.Test(ctx, r.Name)
	if fault.Is(err, fault.NotFound) {
		return answer[none]{}, err
	}
	outcome := "sent"
	if err != nil {
		outcome = fault.Public(err)
	}
	a.record(ctx, "alerter.test", r.Name, map[string]any{"outcome": outcome})
	return answer[none]{message: "A sample is sent successfully"}, err
}

// undeliveredView is a job that did not tell its alerter.
type undeliveredView struct {
	ID          int64   `json:"id"`
	Alerter     string  `json:"alerter"`
	AlertID     *int64  `json:"alert_id"` // null: a digest
	EventID     *int64  `json:"event_id"`
	Digest      bool    `json:"digest"`
	State       string  `json:"state"`
	Attempts    int     `json:"attempts"`
	Error       string  `json:"error"` // of the last attempt
	CreatedAt   *string `json:"created_at"`
	LastAttempt *string `json:"last_attempt"`
	NextAttempt *string `json:"next_attempt"` // null: none by itself
}

type listUndelivered struct {
	State string `arg:"state,default=dead,choices=dead|waiting|running"`
	Start int    `arg:"start,default=0,min=0"`
	Limit int    `arg:"limit,default=100,min=0,max=1000,page"`
}

func (a *api) listUndelivered(ctx context.Context, r listUndelivered) (answer[page[undeliveredView]], error) {
	found, count, err := a.Alerters.Undelivered(ctx, jobs.State(r.State), r.Start, r.Limit)
	views := make([]undeliveredView, 0, len(found))
	for _, u := range found {
		view := undeliveredView{
			ID: u.JobID, Alerter: u.Alerter, AlertID: orNull(u.AlertID), EventID: orNull(u.EventID), Digest: u.Digest, State: string(u.State),
			Attempts: u.Attempts, Error: u.LastError, CreatedAt: iso(u.Created), LastAttempt: iso(u.LastAttempt),
		}
		if u.State == jobs.Waiting {
			view.NextAttempt = iso(u.RunAt)
		}
		views = append(views, view)
	}
	return answer[page[undeliveredView]]{"Successfully fetched what did not reach an alerter", page[undeliveredView]{views, count, count}}, err
}

type replayUndelivered struct {
	ID  int64 `arg:"id,min=1"`
	All bool  `arg:"all,default=false"`
}

// Check asks for one of both, so that a forgotten id does not replay everything.
func (r *replayUndelivered) Check() error {
	if (r.ID != 0) == r.All {
		return fault.Fields(map[string]string{"id": "give an id, or all=true"})
	}
	return nil
}

type replayView struct {
	Replayed int `json:"replayed"`
}

func (a *api) replayUndelivered(ctx context.Context, r replayUndelivered) (answer[replayView], error) {
	n, err := a.Alerters.Replay(ctx, r.ID)
	if err != nil {
		return answer[replayView]{}, err
	}
	a.record(ctx, "alerter.replay", idOrAll(r.ID), map[string]any{"replayed": n})
	return answer[replayView]{"What failed is tried again", replayView{n}}, nil
}

func idOrAll(id int64) string {
	if id == 0 {
		return "all"
	}
	return strconv.FormatInt(id, 10)
}

type pathUndelivered struct {
	ID int64 `path:"id"`
}

func (a *api) discardUndelivered(ctx context.Context, r pathUndelivered) (answer[none], error) {
	if err := a.Alerters.Discard(ctx, r.ID); err != nil {
		return answer[none]{}, err
	}
	a.record(ctx, "alerter.discard", idOrAll(r.ID), nil)
	return answer[none]{message: "What failed is given up"}, nil
}
