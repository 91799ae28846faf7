package adminapi

import (
	"context"
	"encoding/json"

	"muster/server/condition"
	"muster/server/detect"
	"muster/server/fault"
	"muster/server/pipeline"
)

// testRule names a rule, or is a draft of one: conditions, or the Sigma text of one
// rule.
type testRule struct {
	RuleID     *int64         `arg:"rule_id,min=1"`
	Conditions map[string]any `arg:"conditions"`
	Sigma      string         `arg:"sigma"`
	Days       int            `arg:"days,default=7,min=1,max=365"`
}

// historyView is what a rule would have found in the last days.
type historyView struct {
	Matches    int64           `json:"matches"`    // without suppressed ones
	Suppressed int64           `json:"suppressed"` // by exceptions of the rule
	Undecided  int64           `json:"undecided"`  // rows that took too long
	Alerts     int64           `json:"alerts"`     // that it would have raised
	HostCount  int             `json:"host_count"`
	Hosts      []historyHost   `json:"hosts"`   // most matches first, at most 1,000
	Queries    []queryCount    `json:"queries"` // most matches first, at most 1,000
	Days       []dayCount      `json:"days"`    // the oldest first
	Sample     []sampleView    `json:"sample"`  // the newest matches, at most 20
	Truncated  bool            `json:"truncated"`
	Conditions json.RawMessage `json:"conditions"` // that were looked for
	Tables     []string        `json:"tables"`
	Platforms  []string        `json:"platforms"`
	Warnings   []string        `json:"warnings"`
}

type historyHost struct {
	ID             int64  `json:"id"`
	HostIdentifier string `json:"host_identifier"`
	Hostname       string `json:"hostname"`
	Matches        int64  `json:"matches"`
	Alerts         int64  `json:"alerts"`
}

type dayCount struct {
	Day   string `json:"day"`
	Count int64  `json:"count"`
}

// sampleView is a row that the rule meets, and why.
type sampleView struct {
	foundRow
	Why []evidenceView `json:"why"`
}

// evidenceView is one thing that made a rule match.
type evidenceView struct {
	Field    string `json:"field"`
	Operator string `json:"operator"`
	Value    string `json:"value"`  // of the rule
	Actual   string `json:"actual"` // of the row
	Negated  bool   `json:"negated,omitempty"`
}

// historyAnswer says how far the look back got.
type historyAnswer struct {
	said
	Data     historyView  `json:"data"`
	Searched searchedView `json:"searched"`
}

func (a *api) testRule(ctx context.Context, r testRule) (historyAnswer, error) {
	draft := detect.Draft{Sigma: r.Sigma}
	if r.RuleID != nil {
		draft.RuleID = *r.RuleID
	}
	if r.Conditions != nil {
		var err error
		if draft.Conditions, err = json.Marshal(r.Conditions); err != nil {
			return historyAnswer{}, fault.Wrap(err, fault.Invalid, "conditions must be a JSON object")
		}
	}
	h, err := a.Trials.Try(ctx, draft, r.Days)
	if err != nil {
		return historyAnswer{}, err
	}
	return historyAnswer{succeeded("The rule was tested on what hosts reported"), viewHistory(h), viewReach(h.Reach)}, nil
}

func viewHistory(h pipeline.RuleHistory) historyView {
	view := historyView{
		Matches: h.Matches, Suppressed: h.Suppressed, Undecided: h.Undecided, Alerts: h.Alerts, HostCount: h.HostCount, Truncated: h.Truncated,
		Conditions: orObject(h.Rule.Conditions), Tables: list(h.Rule.Tables), Platforms: list(h.Rule.Platforms), Warnings: list(h.Rule.Warnings),
		Hosts: []historyHost{}, Queries: []queryCount{}, Days: []dayCount{}, Sample: []sampleView{},
	}
	for _, one := range h.Hosts {
		view.Hosts = append(view.Hosts, historyHost{one.Host.ID, one.Host.Identifier, one.Host.DisplayName(), one.Matches, one.Alerts})
	}
	for _, q := range h.Queries {
		view.Queries = append(view.Queries, queryCount{QueryName: q.Name, Count: int(q.Count)})
	}
	for _, d := range h.Days {
		view.Days = append(view.Days, dayCount{d.Name, d.Count})
	}
	for _, row := range h.Sample {
		view.Sample = append(view.Sample, sampleView{knownHosts{row.Host.ID: row.Host}.row(row.Row), viewWhy(row.Why)})
	}
	return view
}

func viewWhy(why []condition.Evidence) []evidenceView {
	views := make([]evidenceView, 0, len(why))
	for _, e := range why {
		views = append(views, evidenceView{e.Field, e.Operator, e.Wanted, e.Actual, e.Negated})
	}
	return views
}
