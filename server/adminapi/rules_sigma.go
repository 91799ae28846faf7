package adminapi

import (
	"context"

	"muster/server/detect"
	"muster/server/fault"
	"muster/server/httpkit"
)

// sigmaUpload bounds an import: the largest text, as JSON or in a form.
const sigmaUpload = 2*detect.MaxImport + 64<<10

// importRules are the Sigma rules of a file, or of a text; status is that of new
// rules, by default active but for those that their author does not trust yet.
type importRules struct {
	File   *httpkit.File `arg:"file"`
	Rules  string        `arg:"rules"`
	Status string        `arg:"status"`
	DryRun bool          `arg:"dry_run,default=false"`
}

// importView says what became of each rule, in the order of the text.
type importView struct {
	Imported      []importedView `json:"imported"`
	Updated       []importedView `json:"updated"`
	Unchanged     []importedView `json:"unchanged"`
	NotApplicable []refusedView  `json:"not_applicable"` // well-formed, and no table can answer it
	Failed        []refusedView  `json:"failed"`
	DryRun        bool           `json:"dry_run"` // nothing was stored
}

type importedView struct {
	ID       int64    `json:"id"` // 0 of a new rule in a dry run
	Name     string   `json:"name"`
	Tables   []string `json:"tables"`
	Warnings []string `json:"warnings"` // what it leaves out for lack of columns
}

type refusedView struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
	File   string `json:"file"`
	Line   int    `json:"line"`
}

func (a *api) importRules(ctx context.Context, r importRules) (answer[importView], error) {
	text, file := []byte(r.Rules), ""
	switch {
	case r.File != nil && r.Rules != "":
		return answer[importView]{}, fault.New(fault.Invalid, "Send a file or rules, not both")
	case r.File != nil:
		text, file = r.File.Content, r.File.Name
	case r.Rules == "":
		return answer[importView]{}, fault.Fields(map[string]string{"file": "send a file with Sigma rules, or rules: their text"})
	}
	report, err := a.Detect.Import(ctx, text, detect.ImportOptions{
		File: file, Username: callerOf(ctx).account.Username, DryRun: r.DryRun, Status: r.Status,
	})
	if !r.DryRun && len(report.Imported)+len(report.Updated) > 0 { // those before a failure are stored
		a.record(ctx, "rule.import", file, map[string]any{
			"imported": ruleNames(report.Imported), "updated": ruleNames(report.Updated), "not_applicable": len(report.NotApplicable), "failed": len(report.Failed),
		})
		for _, rule := range report.Updated {
			a.record(ctx, "rule.update", rule.Name, map[string]any{
				"rule_id": rule.ID, "before": map[string]any{"source": rule.Before}, "after": map[string]any{"source": rule.After},
			})
		}
	}
	if err != nil {
		return answer[importView]{}, err
	}
	message := "Sigma rules are imported"
	if r.DryRun {
		message = "Dry run: nothing was changed"
	}
	return answer[importView]{message, importView{
		Imported: viewImported(report.Imported), Updated: viewImported(report.Updated), Unchanged: viewImported(report.Unchanged),
		NotApplicable: viewRefused(report.NotApplicable), Failed: viewRefused(report.Failed), DryRun: r.DryRun,
	}}, nil
}

func viewImported(rules []detect.ImportedRule) []importedView {
	views := make([]importedView, 0, len(rules))
	for _, r := range rules {
		views = append(views, importedView{r.ID, r.Name, list(r.Tables), list(r.Warnings)})
	}
	return views
}

func viewRefused(rules []detect.RefusedRule) []refusedView {
	views := make([]refusedView, 0, len(rules))
	for _, r := range rules {
		views = append(views, refusedView(r))
	}
	return views
}

// namedInTrail is how many names of rules one entry of the trail has.
const namedInTrail = 1000

// ruleNames are rules in the audit trail: their ids and names.
func ruleNames(rules []detect.ImportedRule) map[string]any {
	named := make([]map[string]any, 0, len(rules))
	for _, r := range rules[:min(len(rules), namedInTrail)] {
		named = append(named, map[string]any{"id": r.ID, "name": r.Name})
	}
	return map[string]any{"count": len(rules), "rules": named}
}

// sourceView is the Sigma text of a rule.
type sourceView struct {
	ID       int64    `json:"id"`
	Name     string   `json:"name"`
	SigmaID  *string  `json:"sigma_id"`
	Source   string   `json:"source"`
	Warnings []string `json:"warnings"` // what its translation leaves out
}

func (a *api) viewSource(ctx context.Context, r pathRule) (answer[sourceView], error) {
	rule, err := a.Detect.Find(ctx, r.ID)
	if err != nil {
		return answer[sourceView]{}, err
	}
	if rule.Source == "" {
		return answer[sourceView]{}, fault.New(fault.NotFound, "The rule was not made of Sigma text, or its conditions were changed since")
	}
	return answer[sourceView]{"Successfully fetched the source of the rule", sourceView{rule.ID, rule.Name, orNull(rule.SigmaID), rule.Source, list(rule.Warnings)}}, nil
}
