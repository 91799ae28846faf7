package adminapi

import (
	"context"
	"encoding/json"
	"slices"

	"muster/server/alerts"
	"muster/server/condition"
	"muster/server/detect"
	"muster/server/fault"
	"muster/server/hosts"
)

// alertException makes an exception of the rule that raised an alert: for rows that
// have in these fields what the alert's row has. Fields are columns, or host_identifier,
// query_name and action.
type alertException struct {
	pathAlert
	Fields []string `arg:"fields,required"`
	Reason string   `arg:"reason,required"`
	exceptionEnd
}

// maxExceptionFields bounds how many fields an exception is made of.
const maxExceptionFields = 100

func (a *api) addAlertException(ctx context.Context, r alertException) (answer[exceptionView], error) {
	alert, host, err := a.findAlert(ctx, r.ID)
	if err != nil {
		return answer[exceptionView]{}, err
	}
	if alert.RuleID == 0 {
		return answer[exceptionView]{}, fault.New(fault.Unprocessable, "Only alerts of rules have exceptions; this one is of the source %s", alert.Source)
	}
	e := detect.Exception{RuleID: alert.RuleID, AlertID: alert.ID, Reason: r.Reason}
	if e.Expires, err = r.moment(); err != nil {
		return answer[exceptionView]{}, err
	}
	if e.Conditions, err = sameFields(alert, host, r.Fields); err != nil {
		return answer[exceptionView]{}, err
	}
	return a.storeException(ctx, e)
}

// sameFields are conditions for rows that have in these fields what the alert's has.
func sameFields(alert alerts.Alert, host *hosts.Host, fields []string) (json.RawMessage, error) {
	if len(fields) == 0 || len(fields) > maxExceptionFields {
		return nil, fault.Fields(map[string]string{"fields": "name columns of the alert's row, or host_identifier, query_name, action"})
	}
	var row condition.Object
	if err := row.Load(string(alert.Columns)); err != nil {
		return nil, fault.Wrap(err, fault.Unprocessable, "The alert has no row that could be compared")
	}
	own := map[string]string{"query_name": alert.QueryName, "action": alert.Action, "host_identifier": host.Identifier}
	rules := []any{}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(fields))) {
		value, there := own[name]
		if !there {
			value, there = row.Value(condition.Field{Name: name})
		}
		if !there {
			return nil, fault.Fields(map[string]string{"fields": "the alert's row has no " + name})
		}
		rules = append(rules, map[string]any{"id": name, "field": name, "type": "string", "input": "text", "operator": "equal", "value": value})
	}
	return json.Marshal(map[string]any{"condition": "AND", "valid": true, "rules": rules})
}
