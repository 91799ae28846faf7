package adminapi

import (
	"context"
	"fmt"
	"iter"
	"regexp"

	"muster/server/fault"
	"muster/server/hosts"
	"muster/server/httpkit"
	"muster/server/results"
)

const exportHostWrong = "Host identifier given is invalid!"

type exportSearchRequest struct {
	hostArgs
	windowArgs
	Conditions map[string]any `arg:"conditions"`
	QueryName  string         `arg:"query_name,required"`
}

// exportSearch is the rows of a host and query that match, every action included
// as in a search; all of them without conditions.
func (a *api) exportSearch(ctx context.Context, r exportSearchRequest) (httpkit.CSV, error) {
	host, err := a.argHost(ctx, r.hostArgs, "Atleast one of host identifier or node id is required!", exportHostWrong)
	if err != nil {
		return httpkit.CSV{}, err
	}
	q := results.Search{HostID: host.ID, Name: r.QueryName}
	if q.From, q.To, err = r.window(noDate); err != nil {
		return httpkit.CSV{}, err
	}
	empty := "Unable to find data for the payload given"
	if len(r.Conditions) > 0 {
		empty = "There are no matching results for the payload given"
		if q.Where, err = conditions(r.Conditions); err != nil {
			return httpkit.CSV{}, err
		}
	}
	return a.exportRows(ctx, q, a.exportName(r.QueryName, host), empty)
}

type exportActivityRequest struct {
	QueryName      string `arg:"query_name,required"`
	HostIdentifier string `arg:"host_identifier,required"`
}

func (a *api) exportActivity(ctx context.Context, r exportActivityRequest) (httpkit.CSV, error) {
	host, err := a.findHost(ctx, r.HostIdentifier, "Node doesnot exists for the id given")
	if err != nil {
		return httpkit.CSV{}, err
	}
	q := results.Search{HostID: host.ID, Name: r.QueryName, NoRemoved: true}
	return a.exportRows(ctx, q, "query_results.csv", "Results can't be retrieved for the Payload given! May be data is empty")
}

// exportRows is a file of the rows' columns; without rows it is NotFound, in the
// endpoint's own words.
func (a *api) exportRows(ctx context.Context, q results.Search, filename, empty string) (httpkit.CSV, error) {
	rows, err := a.Results.EachRow(ctx, q)
	if err != nil {
		return httpkit.CSV{}, err
	}
	table, err := results.Layout(rows)
	if err != nil {
		return httpkit.CSV{}, err
	}
	if table.Count == 0 {
		return httpkit.CSV{}, fault.New(fault.NotFound, "%s", empty)
	}
	return a.tableFile(filename, table), nil
}

// tableFile is a table as a file. What goes wrong while it is sent is logged: the
// client only sees that the file ends.
func (a *api) tableFile(filename string, table results.Table) httpkit.CSV {
	return httpkit.CSV{Filename: filename, Header: table.Header, Rows: a.loggedRows(filename, table.Rows)}
}

func (a *api) loggedRows(filename string, rows iter.Seq2[[]string, error]) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		for row, err := range rows {
			if err != nil {
				a.Log.Warn("an export is cut", "file", filename, "error", err)
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

var notInFilename = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// exportName is QUERY_ID_TIME.csv, in letters that every system takes.
func (a *api) exportName(query string, host *hosts.Host) string {
	name := notInFilename.ReplaceAllString(query, "_")
	return fmt.Sprintf("%.100s_%d_%s.csv", name, host.ID, a.Now().UTC().Format("2006-01-02T15-04-05"))
}
