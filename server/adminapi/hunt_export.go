package adminapi

import (
	"context"
	"strings"

	"muster/server/httpkit"
	"muster/server/indicator"
	"muster/server/results"
)

// huntExport says of which host and query rows go into a file.
type huntExport struct {
	HostIdentifier string `arg:"host_identifier,required"`
	QueryName      string `arg:"query_name,required"`
}

type exportHuntUploadRequest struct {
	huntFor
	huntExport
	File httpkit.File `arg:"file,required"`
}

func (a *api) exportHuntUpload(ctx context.Context, r exportHuntUploadRequest) (httpkit.CSV, error) {
	h, err := r.hunt()
	if err == nil {
		h.Values, err = indicatorsIn(r.File, h.Type)
	}
	if err != nil {
		return httpkit.CSV{}, err
	}
	return a.exportHunt(ctx, h, r.huntExport)
}

type exportHuntIndicatorsRequest struct {
	huntFor
	huntExport
	Indicators []string `arg:"indicators,required"`
}

func (a *api) exportHuntIndicators(ctx context.Context, r exportHuntIndicatorsRequest) (httpkit.CSV, error) {
	h, err := r.hunt()
	if err != nil {
		return httpkit.CSV{}, err
	}
	h.Values = indicator.Lines(strings.Join(r.Indicators, "\n"))
	return a.exportHunt(ctx, h, r.huntExport)
}

func (a *api) exportHunt(ctx context.Context, h results.Hunt, of huntExport) (httpkit.CSV, error) {
	host, err := a.findHost(ctx, of.HostIdentifier, huntExportHost)
	if err != nil {
		return httpkit.CSV{}, err
	}
	h.HostID, h.Name = host.ID, of.QueryName
	return a.exportHits(ctx, h)
}

// exportHits is a file of the rows' columns. It is empty when nothing was found,
// as the original's.
func (a *api) exportHits(ctx context.Context, h results.Hunt) (httpkit.CSV, error) {
	rows, err := a.Results.EachHuntRow(ctx, h)
	if err != nil {
		return httpkit.CSV{}, err
	}
	table, err := results.Layout(rows)
	if err != nil {
		return httpkit.CSV{}, err
	}
	return a.tableFile(huntExportName, table), nil
}
