package adminapi

import (
	"context"
	"strings"
	"unicode/utf8"

	"muster/server/fault"
	"muster/server/httpkit"
	"muster/server/indicator"
	"muster/server/results"
)

// huntLimit bounds what is uploaded for a hunt, in bytes.
const huntLimit = 32 << 20

func (a *api) huntRoutes() []route {
	in := a.signedIn
	return []route{
		{"POST", "/hunt-upload", in, handleUpTo(a, huntLimit, a.huntUpload), "Hunt for the indicators in a file"},
		{"POST", "/hunt-upload/export", in, handleUpTo(a, huntLimit, a.exportHuntUpload), "Export what a hunt for the indicators in a file finds on a host to a CSV file"},
		{"POST", "/indicators/hunt", in, handleUpTo(a, huntLimit, a.huntIndicators), "Hunt for indicators"},
		{"POST", "/indicators/hunt/export", in, handleUpTo(a, huntLimit, a.exportHuntIndicators), "Export what a hunt for indicators finds on a host to a CSV file"},
		{"POST", "/indicators/upload", in, handleUpTo(a, huntLimit, a.huntActivity), "Hunt for the indicators in a file: the newest rows of all hosts"},
		{"POST", "/indicators/upload/export", in, handleUpTo(a, huntLimit, a.exportHuntActivity), "Export what a hunt for the indicators in a file finds to a CSV file"},
	}
}

const (
	huntFetched    = "Successfully fetched the results through the hunt"
	huntHostWrong  = "Please provide correct host identifier!"
	huntNoQuery    = "Please provide the query name!"
	huntFileWrong  = "We are unable to read this file with this format!"
	huntExportHost = "Host identifier given is wrong!"
	huntExportName = "hunt_query_results.csv"
)

// huntFor are the arguments of every hunt of the document.
type huntFor struct {
	Type string `arg:"type,required,choices=md5|sha1|sha256|ja3_md5|domain_name|remote_address|url|path|process_guid|parent_process_guid|target_path|target_name|process_name"`
	From string `arg:"from"`
	To   string `arg:"to"`
}

// hunt is the hunt asked for, without its indicators.
func (r huntFor) hunt() (results.Hunt, error) {
	from, to, err := argStretch(r.From, r.To)
	return results.Hunt{Type: indicator.Type(r.Type), From: from, To: to}, err
}

// huntPage says of which host and query rows are wanted; without a host they are
// counted.
type huntPage struct {
	hostArgs
	QueryName string `arg:"query_name"`
	Start     int    `arg:"start,default=0,min=0"`
	Limit     int    `arg:"limit,default=100,min=0,max=10000,page"`
}

// huntAnswer is what a hunt found, and how far it looked.
type huntAnswer struct {
	said
	Data     matchesView  `json:"data"`
	Searched searchedView `json:"searched"`
}

type huntUploadRequest struct {
	huntFor
	huntPage
	File httpkit.File `arg:"file,required"`
}

func (a *api) huntUpload(ctx context.Context, r huntUploadRequest) (huntAnswer, error) {
	h, err := r.hunt()
	if err == nil {
		h.Values, err = indicatorsIn(r.File, h.Type)
	}
	if err != nil {
		return huntAnswer{}, err
	}
	return a.hunt(ctx, h, r.huntPage)
}

type huntIndicatorsRequest struct {
	huntFor
	huntPage
	Indicators []string `arg:"indicators,required"`
}

func (a *api) huntIndicators(ctx context.Context, r huntIndicatorsRequest) (huntAnswer, error) {
	h, err := r.hunt()
	if err != nil {
		return huntAnswer{}, err
	}
	h.Values = indicator.Lines(strings.Join(r.Indicators, "\n"))
	return a.hunt(ctx, h, r.huntPage)
}

// indicatorsIn reads an uploaded file. Its name says nothing and is not looked at.
func indicatorsIn(file httpkit.File, of indicator.Type) ([]string, error) {
	if !utf8.Valid(file.Content) {
		return nil, fault.New(fault.Unprocessable, huntFileWrong)
	}
	return of.SplitFile(string(file.Content)), nil
}

// hunt counts by host and query or, of one host and query, gives the rows.
func (a *api) hunt(ctx context.Context, h results.Hunt, p huntPage) (huntAnswer, error) {
	if p.named() {
		return a.huntRows(ctx, h, p)
	}
	known := a.activeHosts(ctx)
	h.Name, h.Visible = p.QueryName, known.visible
	groups, reach, err := a.Results.Hunt(ctx, h)
	if err != nil {
		return huntAnswer{}, err
	}
	return huntAnswer{succeeded(huntFetched), matchesView{groups: known.group(groups)}, viewReach(reach)}, nil
}

func (a *api) huntRows(ctx context.Context, h results.Hunt, p huntPage) (huntAnswer, error) {
	host, err := a.argHost(ctx, p.hostArgs, huntHostWrong, huntHostWrong)
	if err != nil {
		return huntAnswer{}, err
	}
	if p.QueryName == "" {
		return huntAnswer{}, fault.New(fault.Invalid, huntNoQuery)
	}
	h.HostID, h.Name = host.ID, p.QueryName
	rows, count, reach, err := a.Results.HuntRows(ctx, h, results.Page{Start: p.Start, Limit: p.Limit})
	if err != nil {
		return huntAnswer{}, err
	}
	return huntAnswer{succeeded(huntFetched), matchesView{rows: viewMatches(rows, count)}, viewReach(reach)}, nil
}
