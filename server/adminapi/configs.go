package adminapi

import (
	"context"
	"slices"
	"strconv"

	"muster/server/fault"
	"muster/server/schedule"
)

// configLimit bounds the request of a change, in bytes: a config is as large as a pack.
const configLimit = 4 << 20

func (a *api) configRoutes() []route {
	in := a.signedIn
	return []route{
		{"GET", "/configs/all", in, handle(a, a.listConfigs), "View all configs"},
		{"POST", "/configs/view", in, handle(a, a.viewConfig), "View the config that is active"},
		{"POST", "/configs/update", in, changeUpTo(a, configLimit, a.updateConfig), "Change a config"},
		{"PUT", "/configs/toggle", in, change(a, a.toggleConfig), "Make a config the active one of its platform and architecture"},
		{"POST", "/configs/add", in, changeUpTo(a, configLimit, a.addConfig), "Add a config for a platform and architecture"},
		{"POST", "/configs/import", in, changeUpTo(a, packLimit, a.importConfig), "Import a config from a file"},
		{"POST", "/configs/versions", in, handle(a, a.listConfigVersions), "View the versions of a config"},
		{"POST", "/configs/version", in, handle(a, a.viewConfigVersion), "View one version of a config"},
		{"POST", "/configs/restore", in, change(a, a.restoreConfig), "Make an earlier version of a config the newest"},
	}
}

// configArgs name a config as the document does.
type configArgs struct {
	Platform string `arg:"platform,required,choices=linux|windows|darwin|freebsd"`
	Arch     string `arg:"arch,default=x86_64,choices=x86|x86_64|arm64"`
	Type     string `arg:"type,default=default,choices=default|shallow|deep"`
}

func (r configArgs) key() schedule.ConfigKey {
	return schedule.ConfigKey{Platform: r.Platform, Arch: r.Arch, Type: r.Type}
}

// configItem is a config of the list (document, "View all configs"). Status is
// whether it is the active one; id, version and options are ours.
type configItem struct {
	ID      int64                    `json:"id"`
	Queries map[string]configDefault `json:"queries"`
	Status  bool                     `json:"status"`
	Filters map[string]any           `json:"filters"`
	Options map[string]any           `json:"options"`
	Version int                      `json:"version"`
}

// configDefault is a query of a config. Status is whether it is switched on.
type configDefault struct {
	ID          int64   `json:"id"`
	Query       string  `json:"query"`
	Interval    int     `json:"interval"`
	Platform    *string `json:"platform"`
	Version     *string `json:"version"`
	Description *string `json:"description"`
	Value       *string `json:"value"`
	Removed     bool    `json:"removed"`
	Shard       *int    `json:"shard"`
	Snapshot    bool    `json:"snapshot"`
	Status      bool    `json:"status"`
}

// listConfigs answers platform, architecture and number of the type, nested.
func (a *api) listConfigs(ctx context.Context, _ nothing) (answer[map[string]map[string]map[string]configItem], error) {
	configs, err := a.Schedule.Configs(ctx)
	if err != nil {
		return answer[map[string]map[string]map[string]configItem]{}, err
	}
	all := map[string]map[string]map[string]configItem{}
	for _, c := range configs {
		if all[c.Platform] == nil {
			all[c.Platform] = map[string]map[string]configItem{}
		}
		if all[c.Platform][c.Arch] == nil {
			all[c.Platform][c.Arch] = map[string]configItem{}
		}
		number := strconv.Itoa(slices.Index(schedule.ConfigTypes, c.Type))
		all[c.Platform][c.Arch][number] = viewConfigItem(c)
	}
	return answer[map[string]map[string]map[string]configItem]{"Successfully fetched the configs", all}, nil
}

func viewConfigItem(c schedule.StoredConfig) configItem {
	item := configItem{
		ID: c.ID, Queries: map[string]configDefault{}, Status: c.Active,
		Filters: orEmpty(c.Filters), Options: orEmpty(c.Options), Version: c.Version,
	}
	for name, q := range c.Queries {
		item.Queries[name] = configDefault{
			ID: q.ID, Query: q.SQL, Interval: q.Interval, Platform: orNull(q.Platform), Version: orNull(q.Version),
			Description: orNull(q.Description), Value: orNull(q.Value), Removed: q.Removed, Shard: orNull(q.Shard),
			Snapshot: q.Snapshot, Status: q.Status,
		}
	}
	return item
}

// querySwitch is what the document shows of a config's query.
type querySwitch struct {
	Status   bool `json:"status"`
	Interval int  `json:"interval"`
}

// configSummary is the active config (document, "View a config"); what stands after
// the type is ours.
type configSummary struct {
	Queries  map[string]querySwitch `json:"queries"`
	Filters  map[string]any         `json:"filters"`
	Type     string                 `json:"type"`
	Platform string                 `json:"platform"`
	Arch     string                 `json:"arch"`
	Version  int                    `json:"version"`
	Options  map[string]any         `json:"options"`
}

func summarize(c schedule.StoredConfig) configSummary {
	s := configSummary{
		Queries: map[string]querySwitch{}, Filters: orEmpty(c.Filters), Type: c.Type,
		Platform: c.Platform, Arch: c.Arch, Version: c.Version, Options: orEmpty(c.Options),
	}
	for name, q := range c.Queries {
		s.Queries[name] = querySwitch{q.Status, q.Interval}
	}
	return s
}

// viewConfigRequest names a platform and architecture, or a host that has them.
type viewConfigRequest struct {
	Platform       *string `arg:"platform,choices=linux|windows|darwin|freebsd"`
	Arch           *string `arg:"arch,choices=x86|x86_64|arm64"`
	HostIdentifier string  `arg:"host_identifier"`
}

func (a *api) viewConfig(ctx context.Context, r viewConfigRequest) (answer[configSummary], error) {
	key, err := a.askedConfig(ctx, r)
	if err != nil {
		return answer[configSummary]{}, err
	}
	c, err := a.Schedule.FindConfig(ctx, key)
	if err != nil {
		return answer[configSummary]{}, err
	}
	return answer[configSummary]{"Config is fetched successfully for the platform given", summarize(c)}, nil
}

// askedConfig is the config that a host gets, or the active one of a platform and
// architecture.
func (a *api) askedConfig(ctx context.Context, r viewConfigRequest) (schedule.ConfigKey, error) {
	if r.HostIdentifier != "" {
		host, err := a.findHost(ctx, r.HostIdentifier, "Host identifier passed is not valid!")
		if err != nil {
			return schedule.ConfigKey{}, err
		}
		full, err := a.Schedule.FullConfig(ctx, host)
		return full.Key, err
	}
	wrong := map[string]string{}
	if r.Platform == nil {
		wrong["platform"] = configArgMissing
	}
	if r.Arch == nil {
		wrong["arch"] = configArgMissing
	}
	if len(wrong) > 0 {
		return schedule.ConfigKey{}, fault.Fields(wrong)
	}
	return schedule.ConfigKey{Platform: *r.Platform, Arch: *r.Arch}, nil
}

const configArgMissing = "Missing required parameter in the JSON body or the post body or the query string; or give a host_identifier"
