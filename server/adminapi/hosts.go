package adminapi

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"muster/server/fault"
	"muster/server/hosts"
	"muster/server/httpkit"
)

func (a *api) hostRoutes() []route {
	in := a.signedIn
	return []route{
		{"POST", "/hosts", in, handle(a, a.listHosts), "View all hosts"},
		{"GET", "/hosts/export", in, handle(a, a.exportHosts), "Export hosts to a CSV file"},
		{"GET", "/hosts/count", in, handle(a, a.countHosts), "Count hosts by platform and status"},
		{"POST", "/hosts/status_logs", in, handle(a, a.listStatusLogs), "View the status logs of a host"},
		{"POST", "/hosts/recent_activity", in, handle(a, a.listActivity), "View what a host reported for a query"},
		{"POST", "/hosts/recent_activity/count", in, handle(a, a.countActivity), "Count what a host reported by query"},
		{"POST", "/hosts/config", in, handle(a, a.hostConfig), "View the config of a host"},
		{"POST", "/hosts/additional_config", in, handle(a, a.additionalConfig), "View what tags add to the config of a host"},
		{"GET", "/hosts/{host}/config/explain", in, handle(a, a.explainConfig), "View where each part of the config of a host comes from"},
		{"GET", "/hosts/{host}", in, handle(a, a.viewHost), "View a host"},
		{"GET", "/hosts/{host}/tags", in, handle(a, a.listHostTags), "View the tags of a host"},
		{"POST", "/hosts/{host}/tags", in, change(a, a.addHostTag), "Add a tag to a host"},
		{"DELETE", "/hosts/{host}/tags", in, change(a, a.removeHostTag), "Remove a tag from a host"},
		{"PUT", "/hosts/{host}/delete", in, act(a, a.removeHost), "Remove a host: it is refused until it is enabled again"},
		{"DELETE", "/hosts/{host}/delete", in, act(a, a.deleteHost), "Delete a host for good"},
		{"PUT", "/hosts/{host}/enable", in, act(a, a.enableHost), "Enable a host that was removed"},
	}
}

// The original's words for a host that cannot be found differ by endpoint
// (reference 1.2).
const (
	noSuchHost     = "There is no host exists with this host identifier or node id given!"
	hostNotPresent = "Node is not present with this node id or host identifier"
	hostNotCorrect = "Host identifier or node id passed is not correct!"
	tagHostWrong   = "Host id or node id passed it not correct"
)

// hostItem is a host in a list (document, "View all hosts").
type hostItem struct {
	ID             int64          `json:"id"`
	DisplayName    string         `json:"display_name"`
	HostIdentifier string         `json:"host_identifier"`
	OSInfo         map[string]any `json:"os_info"`
	Tags           []string       `json:"tags"`
	LastIP         string         `json:"last_ip"`
	IsActive       bool           `json:"is_active"`
	Platform       string         `json:"platform"`
	State          string         `json:"state"`
	LastCheckin    *string        `json:"last_checkin"`
}

func (a *api) viewHostItem(h *hosts.Host) hostItem {
	return hostItem{
		ID: h.ID, DisplayName: h.DisplayName(), HostIdentifier: h.Identifier, OSInfo: osInfo(h), Tags: list(h.Tags), LastIP: h.LastIP,
		IsActive: h.Online(a.Now()), Platform: h.Platform, State: string(h.State), LastCheckin: iso(h.LastCheckin),
	}
}

// osInfo is what the host said of its system; the name falls back to the platform.
func osInfo(h *hosts.Host) map[string]any {
	info := object(h.OSInfo)
	if name, _ := info["name"].(string); name == "" {
		info["name"] = h.Platform
	}
	return info
}

// nodeInfo is what the host said of its hardware; the keys of the document are
// there even where the host was silent.
func nodeInfo(h *hosts.Host) *map[string]any {
	info := object(h.NodeInfo)
	if len(info) == 0 {
		return nil
	}
	for _, key := range []string{"computer_name", "hardware_model", "hardware_serial", "hardware_vendor", "physical_memory", "cpu_physical_cores"} {
		if _, said := info[key]; !said {
			info[key] = ""
		}
	}
	return &info
}

type listHosts struct {
	Status   *bool  `arg:"status"`
	Platform string `arg:"platform,choices=windows|linux|darwin|freebsd"`
	Search   string `arg:"searchterm"`
	Enabled  bool   `arg:"enabled,default=true"`
	Start    int    `arg:"start,default=0,min=0"`
	Limit    int    `arg:"limit,default=0,min=0"`
}

func (a *api) listHosts(ctx context.Context, r listHosts) (answer[page[hostItem]], error) {
	rows, count, total, err := a.Hosts.List(ctx, hosts.Filter{
		Online: r.Status, Platform: r.Platform, Search: strings.TrimSpace(r.Search), Removed: !r.Enabled, Start: r.Start, Limit: r.Limit,
	})
	if err != nil {
		return answer[page[hostItem]]{}, err
	}
	items := make([]hostItem, 0, len(rows))
	for _, h := range rows {
		items = append(items, a.viewHostItem(h))
	}
	return answer[page[hostItem]]{"Successfully fetched the nodes details", page[hostItem]{items, count, total}}, nil
}

func (a *api) exportHosts(ctx context.Context, _ nothing) (httpkit.CSV, error) {
	rows, _, _, err := a.Hosts.List(ctx, hosts.Filter{})
	if err != nil {
		return httpkit.CSV{}, err
	}
	file := httpkit.CSV{Filename: "nodes.csv", Header: []string{"Host_Identifier", "os", "last_ip", "tags", "id", "health", "platform"}}
	var cells [][]string
	for _, h := range rows {
		name, _ := osInfo(h)["name"].(string)
		cells = append(cells, []string{
			h.DisplayName(), name, h.LastIP, strings.Join(h.Tags, ","), strconv.FormatInt(h.ID, 10), strconv.FormatBool(h.Online(a.Now())), h.Platform,
		})
	}
	file.Rows = httpkit.Listed(cells)
	return file, nil
}

// hostView is one host (document, "View a host"), with what we know besides.
type hostView struct {
	hostItem
	NodeKey        string          `json:"node_key"`
	NodeInfo       *map[string]any `json:"node_info"` // null until the host was asked
	NetworkInfo    json.RawMessage `json:"network_info"`
	HostDetails    map[string]any  `json:"host_details"`
	CloneOf        *int64          `json:"clone_of"`
	EnrolledOn     *string         `json:"enrolled_on"`
	LastEnrollment *string         `json:"last_enrollment"`
	LastStatus     *string         `json:"last_status"`
	LastResult     *string         `json:"last_result"`
	LastConfig     *string         `json:"last_config"`
	LastQueryRead  *string         `json:"last_query_read"`
	LastQueryWrite *string         `json:"last_query_write"`
}

type pathHost struct {
	Host string `path:"host"`
}

func (a *api) viewHost(ctx context.Context, r pathHost) (answer[hostView], error) {
	h, err := a.findHost(ctx, r.Host, noSuchHost)
	if err != nil {
		return answer[hostView]{}, err
	}
	details := object(h.OsqueryInfo)
	details["osquery_version"] = h.OsqueryVersion
	return answer[hostView]{"Node details is fetched successfully", hostView{
		hostItem: a.viewHostItem(h), NodeKey: mask, NodeInfo: nodeInfo(h), NetworkInfo: orList(h.NetworkInfo),
		HostDetails: details, CloneOf: orNull(h.CloneOf), EnrolledOn: iso(h.EnrolledOn), LastEnrollment: iso(h.LastEnrollment),
		LastStatus: iso(h.LastStatus), LastResult: iso(h.LastResult), LastConfig: iso(h.LastConfig),
		LastQueryRead: iso(h.LastQueryRead), LastQueryWrite: iso(h.LastQueryWrite),
	}}, nil
}

type platformCount struct {
	Online  int `json:"online"`
	Offline int `json:"offline"`
}

func (a *api) countHosts(ctx context.Context, _ nothing) (answer[map[string]platformCount], error) {
	counts, err := a.Hosts.Counts(ctx)
	if err != nil {
		return answer[map[string]platformCount]{}, err
	}
	data := map[string]platformCount{}
	for _, platform := range []string{"windows", "linux", "darwin"} {
		data[platform] = platformCount(counts[platform])
	}
	return answer[map[string]platformCount]{"Successfully fetched the nodes status count", data}, nil
}

// findHost finds a host by id or identifier; one that cannot be seen is NotFound
// in the endpoint's own words.
func (a *api) findHost(ctx context.Context, identifierOrID, unknown string) (*hosts.Host, error) {
	host, err := a.hostsOf(ctx).Find(ctx, identifierOrID)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "%s", unknown)
	}
	return host, err
}

// hostArgs name a host in a body; the identifier wins.
type hostArgs struct {
	HostIdentifier string `arg:"host_identifier"`
	NodeID         *int64 `arg:"node_id"`
}

// argHost finds the host that a body names. neither and unknown are the
// endpoint's words for the two failures.
func (a *api) argHost(ctx context.Context, args hostArgs, neither, unknown string) (*hosts.Host, error) {
	switch {
	case args.HostIdentifier != "":
		return a.findHost(ctx, args.HostIdentifier, unknown)
	case args.NodeID != nil:
		return a.findHost(ctx, strconv.FormatInt(*args.NodeID, 10), unknown)
	}
	return nil, fault.New(fault.Invalid, "%s", neither)
}
