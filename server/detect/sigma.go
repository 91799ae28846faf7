package detect

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"muster/server/condition"
	"muster/server/sigma"
)

// translate reads a rule's Sigma text. Reason says why it cannot be evaluated, and is
// empty when it can.
func (s *Store) translate(source string) (result sigma.Result, reason string) {
	results, err := sigma.Translate([]byte(source), s.o.Mapping)
	switch {
	case err != nil:
		return sigma.Result{}, err.Error()
	case len(results) != 1:
		return sigma.Result{}, fmt.Sprintf("The text holds %d rules and not one", len(results))
	case results[0].Outcome != sigma.Translated:
		return results[0], fmt.Sprintf("%s: line %d: %s", results[0].Outcome, results[0].Line, results[0].Reason)
	}
	return results[0], ""
}

// readSigma is readable for a rule that came as Sigma.
func (s *Store) readSigma(r *Rule) []variant {
	r.Conditions = json.RawMessage("{}")
	result, reason := s.translate(r.Source)
	if reason != "" {
		r.Problem = reason
		return nil
	}
	var variants []variant
	var all []any
	for _, v := range result.Rule.Variants {
		tree, err := condition.Parse(v.Conditions, sigma.ConditionOptions())
		if err != nil {
			r.Problem = err.Error()
			return nil
		}
		variants = append(variants, variant{tree: tree, tables: v.Tables, platforms: v.Platforms})
		r.Tables, r.Platforms = merge(r.Tables, v.Tables), merge(r.Platforms, v.Platforms)
		all = append(all, v.Conditions)
	}
	together := result.Rule.Variants[0].Conditions
	if len(all) > 1 {
		together = map[string]any{"condition": "OR", "rules": all}
	}
	r.Conditions, _ = json.Marshal(together) // they came from text, and have nothing that JSON lacks
	r.Warnings = result.Warnings
	return variants
}

func merge(list, more []string) []string {
	for _, word := range more {
		if !slices.Contains(list, word) {
			list = append(list, word)
		}
	}
	return list
}

// severities are those of Sigma's levels; a rule without one is taken for medium.
var severities = map[string]string{"informational": Info, "low": Low, "": Warning, "medium": Warning, "high": Warning, "critical": Critical}

// derive is the rule that a Sigma document makes where nobody says otherwise. One
// that its author does not trust yet, or any more, is inactive.
func derive(result sigma.Result, source string) Rule {
	from := result.Rule
	r := Rule{
		Name: oneLine(from.Title), Description: cut(from.Description, maxDescription), Severity: severities[from.Level], Status: Active,
		TechniqueIDs: from.Techniques, Tactics: from.Tactics, SigmaID: from.ID, Source: source,
	}
	if slices.Contains([]string{"experimental", "deprecated", "unsupported"}, from.Status) {
		r.Status = Inactive
	}
	return r
}

// oneLine is a title as a name.
func oneLine(title string) string {
	return cut(strings.Join(strings.Fields(title), " "), maxName-len(" (12345678)"))
}

func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}

// another is a name for a rule whose own is taken: with the beginning of its id.
func another(r Rule) string { return fmt.Sprintf("%s (%s)", r.Name, cut(r.SigmaID, 8)) }

// renew gives a stored rule the text and the properties of next, but for those that
// people changed since it was made from was.
func renew(stored *Rule, was, next Rule) {
	keep := func(now *string, was, next string) {
		if *now == was {
			*now = next
		}
	}
	keep(&stored.Name, was.Name, next.Name)
	keep(&stored.Description, was.Description, next.Description)
	keep(&stored.Severity, was.Severity, next.Severity)
	keep(&stored.Status, was.Status, next.Status)
	keep(&stored.Type, was.Type, next.Type)
	if slices.Equal(stored.TechniqueIDs, was.TechniqueIDs) {
		stored.TechniqueIDs = next.TechniqueIDs
	}
	if slices.Equal(stored.Tactics, was.Tactics) {
		stored.Tactics = next.Tactics
	}
	stored.SigmaID, stored.Source = next.SigmaID, next.Source
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
