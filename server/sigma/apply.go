package sigma

import (
	"fmt"
	"slices"
	"strings"

	"muster/server/condition"
	"muster/server/fault"
)

// apply gives the rule a variant for each target of its log source that can answer it.
func (r *Result) apply(rule node, m *Mapping, work *int) error {
	reported := false
	var why []string
	for _, t := range m.targetsOf(r.Rule.LogSource) {
		reported = true
		b := builder{target: t, tables: named(t.Tables), work: work}
		part, err := b.build(rule)
		if err != nil {
			return err
		}
		if reason := part.unusable(); reason != "" {
			why = append(why, reason)
			continue
		}
		v, err := t.variant(part.rule, r.Rule.LogSource)
		if err != nil {
			return err
		}
		r.Rule.Variants = append(r.Rule.Variants, v)
		for _, lack := range b.lacks {
			r.Warnings = append(r.Warnings, lack+": alternatives and exceptions that ask for it were left out")
		}
	}
	why = distinct(why)
	switch {
	case !reported:
		return unusable(0, "no table reports logsource %s", r.Rule.LogSource)
	case len(r.Rule.Variants) == 0:
		return unusable(0, "%s", strings.Join(why, "; "))
	}
	for _, reason := range why {
		r.Warnings = append(r.Warnings, "not applied: "+reason)
	}
	return nil
}

// unusable says why the rule cannot be asked of a target, or nothing.
func (p built) unusable() string {
	why := strings.Join(distinct(p.why), ", ")
	switch {
	case p.rule != nil:
		return ""
	case p.holds:
		return fmt.Sprintf("it would match everything (%s)", why)
	}
	return why
}

// distinct returns the texts, each once.
func distinct(texts []string) []string {
	var out []string
	for _, text := range texts {
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

// variant makes conditions of a rule, and checks that they can be parsed.
func (t *target) variant(rule map[string]any, source LogSource) (Variant, error) {
	v := Variant{Tables: t.Tables, Conditions: rule}
	v.Platforms, _ = t.platforms(source)
	if _, isGroup := rule["rules"]; !isGroup || len(t.Where) > 0 {
		v.Conditions = t.where(rule)
	}
	if _, err := condition.Parse(v.Conditions, ConditionOptions()); err != nil {
		return v, wrong(0, "the conditions cannot be used: %s", fault.Public(err))
	}
	return v, nil
}
