package adminapi

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"muster/server/fault"
	"muster/server/indicator"
	"muster/server/intel"
)

// iocsLimit bounds what people enter at once, in bytes.
const iocsLimit = 8 << 20

func (a *api) iocRoutes() []route {
	in := a.signedIn
	return []route{
		{"GET", "/iocs", in, handle(a, a.viewIOCs), "View the indicators that people entered"},
		{"POST", "/iocs/add", in, actUpTo(a, iocsLimit, a.setIOCs), "Replace the indicators that people entered"},
		{"POST", "/iocs/import", in, patiently(actUpTo(a, importLimit, a.importIOCs), importTime), "Import a file of indicators: CSV, a list, STIX 2.1, MISP or OTX"},
		{"GET", "/iocs/list", in, handle(a, a.listIOCs), "List indicators of all feeds"},
		{"GET", "/iocs/feeds", in, handle(a, a.listFeeds), "List the feeds of indicators with their counts"},
		{"DELETE", "/iocs/feeds/{feed}", in, act(a, a.deleteFeed), "Delete a feed with its indicators"},
		{"POST", "/iocs/delete", in, act(a, a.deleteIOCs), "Delete indicators by their ids"},
		{"GET", "/iocs/lookup", in, handle(a, a.lookupIOC), "Look up whether a value is an indicator, and which hosts had it"},
		{"GET", "/iocs/retro", in, handle(a, a.listRetro), "View the last searches for new indicators in what was stored before"},
	}
}

// iocView is a threat with its indicators, separated by commas (document, "View IOCs").
type iocView struct {
	Type      string `json:"type"`
	Severity  string `json:"severity"`
	IntelType string `json:"intel_type"`
	Values    string `json:"values"`
}

func (a *api) viewIOCs(ctx context.Context, _ nothing) (answer[map[string]iocView], error) {
	all, err := a.Intel.Self(ctx)
	if err != nil {
		return answer[map[string]iocView]{}, err
	}
	values := map[string][]string{}
	views := map[string]iocView{}
	for _, i := range all {
		values[i.ThreatName] = append(values[i.ThreatName], i.Value)
		views[i.ThreatName] = iocView{Type: string(i.Type), Severity: i.Severity, IntelType: i.Feed}
	}
	for name, v := range views {
		v.Values = strings.Join(values[name], ",")
		views[name] = v
	}
	return answer[map[string]iocView]{"Successfully fetched the iocs", views}, nil
}

type setIOCsRequest struct {
	Data map[string]any `arg:"data,required"`
}

// setIOCs takes all or nothing: the first entry that is wrong is named.
func (a *api) setIOCs(ctx context.Context, r setIOCsRequest) (answer[none], error) {
	var all []intel.NewIndicator
	for _, name := range slices.Sorted(maps.Keys(r.Data)) {
		some, err := enteredIOCs(name, r.Data[name])
		if err != nil {
			return answer[none]{}, err
		}
		all = append(all, some...)
	}
	done, err := a.Intel.SetSelf(ctx, all)
	if err != nil {
		return answer[none]{}, err
	}
	a.record(ctx, "iocs.set", intel.Self, map[string]any{
		"entries": len(r.Data), "added": done.Added, "changed": done.Changed, "deleted": done.Deleted,
	})
	return answer[none]{message: "Successfully updated the intel data"}, nil
}

// enteredIOCs reads one threat of the document's form, with an expiry and more if it
// has them. Its values are a text with commas, or a list.
func enteredIOCs(name string, raw any) ([]intel.NewIndicator, error) {
	entry, ok := raw.(map[string]any)
	if !ok {
		return nil, wrongIOC(name, "it is no object")
	}
	values, err := enteredValues(entry["values"])
	if err != nil {
		return nil, wrongIOC(name, err.Error())
	}
	of, _ := entry["type"].(string)
	severity, _ := entry["severity"].(string)
	all := make([]intel.NewIndicator, 0, len(values))
	for _, value := range values {
		n := intel.NewIndicator{Type: indicator.Type(strings.TrimSpace(of)), Value: value, ThreatName: name, Severity: severity}
		if err := intel.CheckNew(n); err != nil {
			return nil, wrongIOC(name, fault.Public(err))
		}
		all = append(all, n)
	}
	return all, nil
}

func enteredValues(raw any) ([]string, error) {
	var values []string
	switch raw := raw.(type) {
	case string:
		values = indicator.Split(raw)
	case []any:
		for _, item := range raw {
			text, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("one of its values is no text")
			}
			if text = strings.TrimSpace(text); text != "" {
				values = append(values, text)
			}
		}
	default:
		return nil, fmt.Errorf("values must be a text with commas, or a list of texts")
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("it has no values")
	}
	return values, nil
}

func wrongIOC(name, problem string) error {
	if len(name) > 80 {
		name = strings.ToValidUTF8(name[:80], "") + "..."
	}
	return fault.New(fault.Unprocessable, "%s: %s", name, problem).Naming(map[string]string{name: problem})
}
