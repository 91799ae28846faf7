package adminapi

import (
	"context"

	"muster/server/fault"
	"muster/server/indicator"
	"muster/server/intel"
	"muster/server/results"
)

type lookupRequest struct {
	Value string `arg:"value,required"`
	Type  string `arg:"type,choices=md5|sha1|sha256|domain_name|remote_address|url|path"`
}

// lookupView is what is known about a value: the indicators that it is, or that it is
// below or within, and the hosts that reported it itself.
type lookupView struct {
	Value      string          `json:"value"`
	Type       string          `json:"type"`
	Indicators []indicatorView `json:"indicators"`
	Hosts      int             `json:"hosts"`
	Seen       []huntGroup     `json:"seen"`
	Searched   searchedView    `json:"searched"`
}

func (a *api) lookupIOC(ctx context.Context, r lookupRequest) (answer[lookupView], error) {
	of := indicator.Type(r.Type)
	if of == "" {
		if of = intel.TypeOf(r.Value); of == "" {
			return answer[lookupView]{}, fault.Fields(map[string]string{"value": "This is nothing that indicators are; say its type"})
		}
	}
	found, err := a.Intel.Holding(ctx, of, r.Value)
	if err != nil {
		return answer[lookupView]{}, err
	}
	known := a.activeHosts(ctx)
	groups, reach, err := a.Results.Hunt(ctx, results.Hunt{Type: of, Values: []string{r.Value}, Visible: known.visible})
	if err != nil {
		return answer[lookupView]{}, err
	}
	seen := known.group(groups)
	return answer[lookupView]{"Successfully looked up the value", lookupView{
		Value: of.Normalize(r.Value), Type: string(of), Indicators: a.viewIndicators(found), Hosts: len(seen), Seen: seen, Searched: viewReach(reach),
	}}, nil
}
