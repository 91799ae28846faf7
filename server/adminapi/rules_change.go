package adminapi

import (
	"context"
	"encoding/json"
	"strconv"

	"muster/server/attack"
	"muster/server/detect"
	"muster/server/fault"
)

// ruleUpload bounds a rule: its conditions may list many values.
const ruleUpload = 4 << 20

// ruleSpec is what a rule is made of (document, "Add a rule"). What is absent is a
// default in a new rule, and stays as it is in one that is modified.
type ruleSpec struct {
	Name         string         `arg:"name,required"`
	Conditions   map[string]any `arg:"conditions,required"`
	Alerters     *[]string      `arg:"alerters"`
	Description  *string        `arg:"description"`
	ReconQueries map[string]any `arg:"recon_queries"`
	Severity     *string        `arg:"severity"`
	Status       *string        `arg:"status"`
	Type         *string        `arg:"type"`
	Tactics      *[]string      `arg:"tactics"`
	TechniqueID  *[]string      `arg:"technique_id"`
}

// onto writes what was sent over a rule; wrongIDs is what the endpoint says of
// technique ids that are none.
func (r *ruleSpec) onto(rule *detect.Rule, wrongIDs string) (err error) {
	rule.Name = r.Name
	if rule.Conditions, err = json.Marshal(r.Conditions); err != nil {
		return fault.Wrap(err, fault.Invalid, "conditions must be a JSON object")
	}
	if r.ReconQueries != nil {
		if rule.ReconQueries, err = json.Marshal(r.ReconQueries); err != nil {
			return fault.Wrap(err, fault.Invalid, "recon_queries must be a JSON object")
		}
	}
	set(&rule.Alerters, r.Alerters)
	set(&rule.Description, r.Description)
	set(&rule.Severity, r.Severity)
	set(&rule.Status, r.Status)
	set(&rule.Type, r.Type)
	set(&rule.Tactics, r.Tactics)
	if r.TechniqueID == nil {
		return nil
	}
	ids, err := attack.ParseIDs(*r.TechniqueID...)
	if err != nil {
		return fault.New(fault.Invalid, "%s", wrongIDs).Naming(map[string]string{"technique_id": err.Error()})
	}
	rule.TechniqueIDs = ids
	return nil
}

// ruleAdded has the id beside the envelope (document, "Add a rule").
type ruleAdded struct {
	said
	RuleID int64 `json:"rule_id"`
}

func (a *api) addRule(ctx context.Context, r ruleSpec) (ruleAdded, error) {
	rule := detect.Rule{Username: callerOf(ctx).account.Username}
	if err := r.onto(&rule, "Technique id(s) provided is invalid, please provide valid technique id"); err != nil {
		return ruleAdded{}, err
	}
	added, err := a.Detect.Add(ctx, rule)
	if err != nil {
		return ruleAdded{}, err
	}
	a.record(ctx, "rule.add", added.Name, map[string]any{"after": viewRule(added)})
	return ruleAdded{succeeded("Rule is added successfully"), added.ID}, nil
}

type editRule struct {
	pathRule
	ruleSpec
}

func (a *api) editRule(ctx context.Context, r editRule) (answer[ruleView], error) {
	after, err := a.updateRule(ctx, "rule.edit", r.ID, func(rule *detect.Rule) error {
		return r.onto(rule, "Technique id provided is invalid, please provide exact technique id")
	})
	if err != nil {
		return answer[ruleView]{}, err
	}
	return answer[ruleView]{"Successfully modified the rules info", viewRule(after)}, nil
}

// updateRule changes a rule and notes who did what.
func (a *api) updateRule(ctx context.Context, action string, id int64, edit func(*detect.Rule) error) (detect.Rule, error) {
	before, after, err := a.Detect.Update(ctx, id, func(rule *detect.Rule) error {
		rule.Username = callerOf(ctx).account.Username
		return edit(rule)
	})
	if err != nil {
		return detect.Rule{}, err
	}
	a.record(ctx, action, after.Name, map[string]any{"before": viewRule(before), "after": viewRule(after)})
	return after, nil
}

type ruleStatus struct {
	pathRule
	Status string `arg:"status,required"`
}

func (a *api) setRuleStatus(ctx context.Context, r ruleStatus) (answer[ruleView], error) {
	after, err := a.updateRule(ctx, "rule.status", r.ID, func(rule *detect.Rule) error {
		rule.Status = r.Status
		return nil
	})
	if err != nil {
		return answer[ruleView]{}, err
	}
	return answer[ruleView]{"Successfully changed the status of the rule", viewRule(after)}, nil
}

func (a *api) deleteRule(ctx context.Context, r pathRule) (answer[none], error) {
	gone, err := a.Detect.Delete(ctx, r.ID)
	if err != nil {
		return answer[none]{}, err
	}
	a.record(ctx, "rule.delete", gone.Name, map[string]any{"rule_id": strconv.FormatInt(gone.ID, 10), "before": viewRule(gone)})
	return answer[none]{message: "Successfully deleted the rule"}, nil
}
