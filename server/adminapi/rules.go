package adminapi

import (
	"context"
	"encoding/json"
	"strings"

	"muster/server/attack"
	"muster/server/detect"
	"muster/server/fault"
)

func (a *api) ruleRoutes() []route {
	in := a.signedIn
	return []route{
		{"POST", "/rules", in, handle(a, a.listRules), "View all rules"},
		{"GET", "/rules/{rule_id}", in, handle(a, a.viewRule), "View a rule"},
		{"POST", "/rules/{rule_id}", in, actUpTo(a, ruleUpload, a.editRule), "Modify a rule"},
		{"POST", "/rules/add", in, actUpTo(a, ruleUpload, a.addRule), "Add a rule"},
		{"POST", "/rules/tactics", in, handle(a, a.listTactics), "Get the tactics of techniques"},
		{"DELETE", "/rules/{rule_id}", in, act(a, a.deleteRule), "Delete a rule with its exceptions"},
		{"POST", "/rules/{rule_id}/status", in, act(a, a.setRuleStatus), "Make a rule active or inactive"},
		{"GET", "/rules/{rule_id}/counters", in, handle(a, a.viewCounters), "View what a rule did so far"},
		{"GET", "/rules/{rule_id}/exceptions", in, handle(a, a.listRuleExceptions), "View what a rule does not alert on"},
		{"POST", "/rules/{rule_id}/exceptions", in, act(a, a.addRuleException), "Add an exception to a rule"},
		{"GET", "/rules/{rule_id}/source", in, handle(a, a.viewSource), "View the Sigma text of a rule"},
		{"POST", "/rules/test", in, handleUpTo(a, ruleUpload, a.testRule), "Test a rule, or a draft of one, on what hosts reported"},
		{"POST", "/rules/sigma/import", in, tryUpTo(a, sigmaUpload, a.importRules), "Import Sigma rules"},
		{"GET", "/exceptions", in, handle(a, a.listExceptions), "View what no rule alerts on"},
		{"POST", "/exceptions", in, act(a, a.addException), "Add an exception to every rule"},
		{"POST", "/alerts/{alert_id}/exception", in, act(a, a.addAlertException), "Add an exception to the rule that raised an alert"},
		{"DELETE", "/exceptions/{exception_id}", in, act(a, a.deleteException), "Delete an exception"},
	}
}

const rulesFetched = "Successfully fetched the rules info"

// ruleView is a rule (document, "View a rule"). What follows technique_id is ours.
type ruleView struct {
	ID          int64           `json:"id"`
	Alerters    []string        `json:"alerters"`
	Conditions  json.RawMessage `json:"conditions"`
	Description string          `json:"description"`
	Name        string          `json:"name"`
	Severity    string          `json:"severity"`
	Status      string          `json:"status"`
	UpdatedAt   *string         `json:"updated_at"`
	Type        string          `json:"type"`
	Tactics     []string        `json:"tactics"`
	TechniqueID string          `json:"technique_id"`

	CreatedAt    *string         `json:"created_at"`
	Username     *string         `json:"username"` // who made it or changed it last
	ReconQueries json.RawMessage `json:"recon_queries"`
	Format       string          `json:"format"` // esp or sigma
	SigmaID      *string         `json:"sigma_id"`
	Shipped      bool            `json:"shipped"`
	Tables       []string        `json:"tables"`    // that it looks at; none: any
	Platforms    []string        `json:"platforms"` // none: any
	Problem      *string         `json:"problem"`   // why it cannot be evaluated
	Warnings     []string        `json:"warnings"`  // what a Sigma rule leaves out for lack of columns
}

// The formats of rules.
const (
	formatESP   = "esp"
	formatSigma = "sigma"
)

func viewRule(r detect.Rule) ruleView {
	view := ruleView{
		ID: r.ID, Alerters: list(r.Alerters), Conditions: orObject(r.Conditions), Description: r.Description, Name: r.Name, Severity: r.Severity,
		Status: r.Status, UpdatedAt: iso(r.Updated), Type: r.Type, Tactics: list(r.Tactics), TechniqueID: strings.Join(r.TechniqueIDs, ", "),
		CreatedAt: iso(r.Created), Username: orNull(r.Username), ReconQueries: orObject(r.ReconQueries), Format: formatESP, SigmaID: orNull(r.SigmaID),
		Shipped: r.Shipped != "", Tables: list(r.Tables), Platforms: list(r.Platforms), Problem: orNull(r.Problem), Warnings: list(r.Warnings),
	}
	if r.Source != "" {
		view.Format = formatSigma
	}
	return view
}

// countersView is what a rule did so far, on all replicas.
type countersView struct {
	Evaluated  int64   `json:"evaluated"`  // rows that were looked at closely
	Matched    int64   `json:"matched"`    // of these, suppressed ones included
	Suppressed int64   `json:"suppressed"` // matches that an exception kept from alerting
	Failed     int64   `json:"failed"`     // rows that could not be evaluated
	Seconds    float64 `json:"seconds"`
	LastMatch  *string `json:"last_match"`
}

func viewCounts(c detect.Counters) countersView {
	return countersView{
		Evaluated: c.Evaluated, Matched: c.Matched, Suppressed: c.Suppressed, Failed: c.Failed, Seconds: c.Time.Seconds(), LastMatch: iso(c.LastMatch),
	}
}

// countedRule is a rule with what it did.
type countedRule struct {
	ruleView
	Counters countersView `json:"counters"`
}

type pathRule struct {
	ID int64 `path:"rule_id"`
}

func (a *api) viewRule(ctx context.Context, r pathRule) (answer[countedRule], error) {
	rule, err := a.Detect.Find(ctx, r.ID)
	if err != nil {
		return answer[countedRule]{}, err
	}
	counters, err := a.Detect.Counters(ctx, r.ID)
	if err != nil {
		return answer[countedRule]{}, err
	}
	return answer[countedRule]{rulesFetched, countedRule{viewRule(rule), viewCounts(counters[r.ID])}}, nil
}

func (a *api) viewCounters(ctx context.Context, r pathRule) (answer[countersView], error) {
	if _, err := a.Detect.Find(ctx, r.ID); err != nil {
		return answer[countersView]{}, err
	}
	counters, err := a.Detect.Counters(ctx, r.ID)
	return answer[countersView]{"Successfully fetched the counters of the rule", viewCounts(counters[r.ID])}, err
}

// listRules: with alerts_count, rules with most open alerts come first.
type listRules struct {
	Search string `arg:"searchterm"`
	Start  int    `arg:"start,default=0,min=0"`
	Limit  int    `arg:"limit,default=5000,min=0,max=5000,page"`
	Counts bool   `arg:"alerts_count,default=true"`
}

// listedRule is a rule in a list.
type listedRule struct {
	countedRule
	AlertsCount *int `json:"alerts_count,omitempty"` // not resolved
}

func (a *api) listRules(ctx context.Context, r listRules) (answer[page[listedRule]], error) {
	var open map[int64]int
	var err error
	if r.Counts {
		if open, err = a.Alerts.CountByRule(ctx); err != nil {
			return answer[page[listedRule]]{}, err
		}
	}
	rules, count, total, err := a.Detect.List(ctx, detect.Filter{Search: r.Search, First: open, Start: r.Start, Limit: r.Limit})
	if err != nil {
		return answer[page[listedRule]]{}, err
	}
	ids := make([]int64, 0, len(rules))
	for _, rule := range rules {
		ids = append(ids, rule.ID)
	}
	counters, err := a.Detect.Counters(ctx, ids...)
	if err != nil {
		return answer[page[listedRule]]{}, err
	}
	views := make([]listedRule, 0, len(rules))
	for _, rule := range rules {
		view := listedRule{countedRule: countedRule{viewRule(rule), viewCounts(counters[rule.ID])}}
		if n := open[rule.ID]; r.Counts {
			view.AlertsCount = &n
		}
		views = append(views, view)
	}
	return answer[page[listedRule]]{rulesFetched, page[listedRule]{views, count, total}}, nil
}

type tacticsRequest struct {
	IDs []string `arg:"technique_ids,required"`
}

// tacticsView are the tactics of each technique, one after the other, and a line
// about each (document, "Get tactics for technique ids").
type tacticsView struct {
	Tactics     []string `json:"tactics"`
	Description string   `json:"description"`
}

func (a *api) listTactics(_ context.Context, r tacticsRequest) (answer[tacticsView], error) {
	ids, err := attack.ParseIDs(r.IDs...)
	if err != nil {
		return answer[tacticsView]{}, fault.New(fault.Invalid, "technique_ids: %s", err)
	}
	return answer[tacticsView]{"Tactics are fetched successfully from technique ids", tacticsView{attack.Tactics(ids), attack.Describe(ids)}}, nil
}
