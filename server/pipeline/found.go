package pipeline

import (
	"encoding/json"
	"strconv"

	"muster/server/alerts"
	"muster/server/condition"
	"muster/server/detect"
	"muster/server/intel"
)

// found is a finding and whom to tell of it.
type found struct {
	alerts.Finding
	alerters []string // nil: everyone
}

// matchFound is a rule that a row meets. It holds on to nothing of the row.
func matchFound(m *detect.Match) found {
	return found{
		Finding: alerts.Finding{
			Source: alerts.Rule, RuleID: m.RuleID, Name: m.Name, Severity: m.Severity, Group: "rule:" + strconv.FormatInt(m.RuleID, 10),
			TechniqueIDs: m.TechniqueIDs, Tactics: m.Tactics, ReconQueries: m.ReconQueries, Why: encoded(evidence(m.Why)),
		},
		alerters: m.Alerters,
	}
}

// hitFound is an indicator that a row holds. It holds on to nothing of the row.
func hitFound(hit *intel.Hit) found {
	i := hit.Indicator
	return found{Finding: alerts.Finding{
		Source: alerts.Indicator, Name: i.ThreatName, Severity: i.Severity, Group: indicatorGroup(i),
		Why:        encoded([]why{{Field: hit.Column, Operator: "is_indicator", Value: i.Value, Actual: hit.Value}}),
		SourceData: encoded(indicatorData(i)),
	}}
}

// indicatorGroup is what alerts of one indicator have in common.
func indicatorGroup(i intel.Indicator) string { return "ioc:" + strconv.FormatInt(i.ID, 10) }

// indicatorData is an indicator in an alert.
func indicatorData(i intel.Indicator) map[string]any {
	return map[string]any{
		"indicator_id": i.ID, "type": string(i.Type), "value": i.Value, "threat_name": i.ThreatName, "feed": i.Feed, "confidence": i.Confidence,
	}
}

// why is what made a row match, as alerts keep it.
type why struct {
	Field    string `json:"field"`
	Operator string `json:"operator"`
	Value    string `json:"value"`
	Actual   string `json:"actual"`
	Negated  bool   `json:"negated,omitempty"`
}

func evidence(all []condition.Evidence) []why {
	list := make([]why, 0, len(all))
	for _, e := range all {
		list = append(list, why{e.Field, e.Operator, e.Wanted, e.Actual, e.Negated})
	}
	return list
}

// encoded is a value of ours as JSON: none of them can fail.
func encoded(value any) json.RawMessage {
	text, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	return text
}
