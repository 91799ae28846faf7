package adminapi

import (
	"context"

	"muster/server/httpkit"
	"muster/server/indicator"
	"muster/server/results"
)

// huntActivityRequest is a hunt as the original's community edition has it: type
// belongs to the window of time, and the indicators' has another name.
type huntActivityRequest struct {
	hostArgs
	windowArgs
	File          httpkit.File `arg:"file,required"`
	IndicatorType string       `arg:"indicator_type,required,choices=md5|sha1|sha256|ja3_md5|domain_name|remote_address|url|path|process_guid|parent_process_guid|target_path|target_name|process_name"`
	QueryName     string       `arg:"query_name"`
	Start         int          `arg:"start,default=0,min=0"`
	Limit         int          `arg:"limit,default=100,min=0,max=10000,page"`
}

// huntActivity gives the rows of all hosts, or of one.
func (a *api) huntActivity(ctx context.Context, r huntActivityRequest) (foundAnswer, error) {
	h, known, err := a.huntActivityOf(ctx, r)
	if err != nil {
		return foundAnswer{}, err
	}
	rows, count, reach, err := a.Results.HuntRows(ctx, h, results.Page{Start: r.Start, Limit: r.Limit})
	if err != nil {
		return foundAnswer{}, err
	}
	data := foundRows{Count: count, Results: make([]foundRow, 0, len(rows))}
	for _, row := range rows {
		data.Results = append(data.Results, known.row(row))
	}
	return foundAnswer{succeeded(huntFetched), data, viewReach(reach)}, nil
}

func (a *api) exportHuntActivity(ctx context.Context, r huntActivityRequest) (httpkit.CSV, error) {
	h, _, err := a.huntActivityOf(ctx, r)
	if err != nil {
		return httpkit.CSV{}, err
	}
	return a.exportHits(ctx, h)
}

func (a *api) huntActivityOf(ctx context.Context, r huntActivityRequest) (results.Hunt, knownHosts, error) {
	h := results.Hunt{Type: indicator.Type(r.IndicatorType), Name: r.QueryName}
	var err error
	if h.From, h.To, err = r.window(a.Now()); err != nil {
		return h, nil, err
	}
	if h.Values, err = indicatorsIn(r.File, h.Type); err != nil {
		return h, nil, err
	}
	known := a.activeHosts(ctx)
	if !r.named() {
		h.Visible = known.visible
		return h, known, nil
	}
	host, err := a.argHost(ctx, r.hostArgs, huntHostWrong, huntHostWrong)
	if err != nil {
		return h, nil, err
	}
	h.HostID, known[host.ID] = host.ID, host
	return h, known, nil
}
