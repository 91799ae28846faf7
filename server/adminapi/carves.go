package adminapi

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"muster/server/carves"
	"muster/server/fault"
	"muster/server/httpkit"
)

func (a *api) carveRoutes() []route {
	in := a.signedIn
	return []route{
		{"POST", "/carves", in, handle(a, a.listCarves), "View all carves"},
		{"POST", "/carves/query", in, handle(a, a.queryCarve), "View the carve that a live query started on a host"},
		{"GET", "/carves/download/{session_id}", in, handle(a, a.downloadCarve), "Download a carve"},
		{"POST", "/carves/delete", in, act(a, a.deleteCarve), "Delete a carve"},
	}
}

const noSuchNode = "Node with this identifier does not exists"

// carveView is a carve on the wire (document, "View all carves"). Archive is
// null until the file is complete; what follows hostname is ours.
type carveView struct {
	ID         int64   `json:"id"`
	NodeID     int64   `json:"node_id"`
	SessionID  string  `json:"session_id"`
	CarveGUID  string  `json:"carve_guid"`
	CarveSize  int64   `json:"carve_size"`
	BlockSize  int64   `json:"block_size"`
	BlockCount int64   `json:"block_count"`
	Archive    *string `json:"archive"`
	Status     string  `json:"status"`
	CreatedAt  *string `json:"created_at"`
	Hostname   string  `json:"hostname"`
	Received   int64   `json:"received_blocks"`
	QueryID    *int64  `json:"query_id"`
	SHA256     *string `json:"sha256"`
	Error      *string `json:"error"`
}

type listCarves struct {
	HostIdentifier string `arg:"host_identifier"`
	Start          int    `arg:"start,default=0,min=0"`
	Limit          int    `arg:"limit,default=10,min=0,max=1000,page"`
	Search         string `arg:"searchterm"`
}

func (a *api) listCarves(ctx context.Context, r listCarves) (answer[page[carveView]], error) {
	filter := carves.Filter{Search: r.Search, ActiveOnly: true, Start: r.Start, Limit: r.Limit}
	if r.HostIdentifier != "" {
		host, err := a.findHost(ctx, r.HostIdentifier, noSuchNode)
		if err != nil {
			return answer[page[carveView]]{}, err
		}
		filter.HostID = host.ID
	}
	rows, count, total, err := a.Carves.List(ctx, filter)
	if err != nil {
		return answer[page[carveView]]{}, err
	}
	views := make([]carveView, 0, len(rows))
	for _, c := range rows {
		views = append(views, a.viewCarve(ctx, c))
	}
	return answer[page[carveView]]{"Successfully fetched the Carves data", page[carveView]{views, count, total}}, nil
}

func (a *api) viewCarve(ctx context.Context, c *carves.Carve) carveView {
	view := carveView{
		ID: c.ID, NodeID: c.HostID, SessionID: c.SessionID, CarveGUID: c.GUID, CarveSize: c.Size, BlockSize: c.BlockSize,
		BlockCount: c.BlockCount, Archive: orNull(c.Archive), Status: string(c.Status), CreatedAt: iso(c.CreatedAt),
		Received: c.ReceivedBlocks, QueryID: orNull(c.QueryID), SHA256: orNull(c.SHA256), Error: orNull(c.Error),
	}
	if host, err := a.Hosts.FindByID(ctx, c.HostID); err == nil {
		view.Hostname = host.DisplayName()
	}
	return view
}

type queryCarve struct {
	QueryID        string `arg:"query_id,required"`
	HostIdentifier string `arg:"host_identifier,required"`
}

// queryCarve is for clients of the original: they poll it after a live query
// (reference 1.5).
func (a *api) queryCarve(ctx context.Context, r queryCarve) (answer[carveView], error) {
	const badQuery = "Query id provided is invalid!"
	id, err := strconv.ParseInt(strings.TrimSpace(r.QueryID), 10, 64)
	if err != nil {
		return answer[carveView]{}, fault.New(fault.Invalid, badQuery)
	}
	host, err := a.findHost(ctx, r.HostIdentifier, noSuchNode)
	if err != nil {
		return answer[carveView]{}, err
	}
	carve, err := a.Carves.FindByQuery(ctx, host.ID, id)
	if fault.Is(err, fault.NotFound) {
		// Whether nothing came of the query or there is none: carves outlive queries.
		if _, missing := a.Distributed.Find(ctx, id); fault.Is(missing, fault.NotFound) {
			err = fault.New(fault.NotFound, badQuery)
		}
	}
	if err != nil {
		return answer[carveView]{}, err
	}
	return answer[carveView]{"Successfully fetched the Carve", a.viewCarve(ctx, carve)}, nil
}

type deleteCarve struct {
	SessionID string `arg:"session_id,required"`
}

func (a *api) deleteCarve(ctx context.Context, r deleteCarve) (answer[none], error) {
	carve, err := a.Carves.Find(ctx, r.SessionID)
	if err == nil {
		err = a.Carves.Delete(ctx, carve.SessionID)
	}
	if fault.Is(err, fault.NotFound) {
		return answer[none]{}, fault.New(fault.NotFound, "No Carve is found for the session id provided!")
	}
	if err != nil {
		return answer[none]{}, err
	}
	a.record(ctx, "carve.delete", carve.SessionID, map[string]any{"before": map[string]any{
		"node_id": carve.HostID, "carve_guid": carve.GUID, "status": string(carve.Status), "size": carve.Size, "sha256": carve.SHA256,
	}})
	return answer[none]{message: "Carve is deleted successfully"}, nil
}

type downloadCarve struct {
	SessionID string `path:"session_id"`
}

// downloadCarve answers the archive's bytes, or a range of them.
func (a *api) downloadCarve(ctx context.Context, r downloadCarve) (http.Handler, error) {
	file, carve, err := a.Carves.Open(ctx, r.SessionID)
	if err != nil {
		return nil, err
	}
	a.record(ctx, "carve.download", carve.SessionID, map[string]any{"node_id": carve.HostID})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { _ = file.Close() }()
		httpkit.Attachment(w, "application/octet-stream", carve.Archive)
		if carve.SHA256 != "" {
			w.Header().Set("ETag", `"`+carve.SHA256+`"`)
		}
		http.ServeContent(httpkit.Patient(w), r, carve.Archive, carve.EndedAt, file)
	}), nil
}
