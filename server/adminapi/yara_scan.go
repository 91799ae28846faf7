package adminapi

import (
	"context"
	"strings"

	"muster/server/fault"
	"muster/yara"
)

func (a *api) yaraScanRoutes() []route {
	in := a.signedIn
	return []route{
		{"POST", "/yara/scan", in, act(a, a.scanHosts), "Scan files on hosts with a YARA file, by a live query"},
		{"POST", "/carves/scan", in, handle(a, a.viewScan), "View how a carve was scanned with the YARA files"},
	}
}

// Bounds of a scan of hosts.
const (
	maxScanPaths = 20
	maxScanPath  = 1024 // bytes
)

// scanHosts asks for files as osquery does: % stands for anything within a folder,
// %% for all below it. The rest is as in a live query.
type scanHosts struct {
	FileName    string   `arg:"file_name,required"`
	Paths       []string `arg:"paths,required"`
	Tags        []string `arg:"tags"`
	Nodes       []string `arg:"nodes"`
	Description string   `arg:"description"`
	Expires     int64    `arg:"expires,default=3600,min=10,max=604800"`
}

// scanHosts makes a live query on the table yara, which fetches the file from here.
func (a *api) scanHosts(ctx context.Context, r scanHosts) (answer[launchView], error) {
	if len(r.Nodes)+len(r.Tags) == 0 { // a scan is dear: nobody gets it by leaving something out
		return answer[launchView]{}, fault.New(fault.Unprocessable, "nodes or tags must say which hosts are scanned")
	}
	f, err := a.YARA.Find(ctx, r.FileName)
	if err != nil {
		return answer[launchView]{}, err
	}
	sql, err := scanSQL(r.Paths, a.signatureURL(f))
	if err != nil {
		return answer[launchView]{}, err
	}
	if r.Description == "" {
		r.Description = "YARA scan with " + f.Name
	}
	request := launchRequest{Query: sql, Tags: r.Tags, Nodes: r.Nodes, Description: r.Description, Expires: r.Expires}
	return a.launchShown(ctx, request, "YARA scan of "+strings.Join(r.Paths, ", ")+" with "+f.Name)
}

// scanSQL looks for matches at each path in a SELECT of its own: the table yara wants
// to know its path and its rules from the WHERE clause, which OR would hide from it.
func scanSQL(paths []string, url string) (string, error) {
	if len(paths) > maxScanPaths {
		return "", fault.New(fault.Unprocessable, "paths has more than %d entries", maxScanPaths)
	}
	var parts []string
	for _, path := range paths {
		path = strings.TrimSpace(path)
		if path == "" || len(path) > maxScanPath || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "", fault.New(fault.Unprocessable, "paths must be absolute paths of 1 to %d bytes", maxScanPath)
		}
		operator := "="
		if strings.ContainsAny(path, "%*?") {
			operator = "LIKE"
		}
		parts = append(parts, "SELECT path, matches, count, strings, tags FROM yara WHERE path "+operator+" "+quotedSQL(path)+
			" AND sigurl = "+quotedSQL(url)+" AND count > 0")
	}
	return strings.Join(parts, " UNION ALL "), nil
}

func quotedSQL(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// signatureURL is where agents fetch a file.
func (a *api) signatureURL(f yara.File) string { return a.AgentURL + "/yara/" + f.Token + "/" + f.Name }

// scanView is how a carve was scanned last: its matches are alerts of source yara.
type scanView struct {
	Status    string  `json:"status"`
	Members   int     `json:"members"`
	Matches   int     `json:"matches"`
	Error     *string `json:"error"`
	ScannedAt *string `json:"scanned_at"`
}

type carveScan struct {
	SessionID string `arg:"session_id,required"`
}

func (a *api) viewScan(ctx context.Context, r carveScan) (answer[scanView], error) {
	carve, err := a.Carves.Find(ctx, r.SessionID)
	if err != nil {
		return answer[scanView]{}, err
	}
	scan, err := a.YARA.FindScan(ctx, carve.ID)
	return answer[scanView]{"Successfully fetched the scan of the carve", scanView{
		Status: string(scan.Status), Members: scan.Members, Matches: scan.Matches, Error: orNull(scan.Error), ScannedAt: iso(scan.At),
	}}, err
}
