package adminapi

import (
	"context"

	"muster/server/schedule"
)

// configVersionView is a version in the list; current is the newest one.
type configVersionView struct {
	Version   int     `json:"version"`
	Username  string  `json:"username"`
	Comment   string  `json:"comment"`
	CreatedAt *string `json:"created_at"`
	Current   bool    `json:"current"`
}

func (a *api) listConfigVersions(ctx context.Context, r configArgs) (answer[page[configVersionView]], error) {
	versions, err := a.Schedule.Versions(ctx, r.key())
	if err != nil {
		return answer[page[configVersionView]]{}, err
	}
	views := make([]configVersionView, 0, len(versions))
	for i, v := range versions {
		views = append(views, viewVersion(v, i == 0))
	}
	return answer[page[configVersionView]]{"Successfully fetched the versions of the config", page[configVersionView]{views, len(views), len(views)}}, nil
}

func viewVersion(v schedule.ConfigVersion, current bool) configVersionView {
	return configVersionView{Version: v.Version, Username: v.Username, Comment: v.Comment, CreatedAt: iso(v.Created), Current: current}
}

type configVersionRequest struct {
	configArgs
	Version int `arg:"version,required,min=1"`
}

// configDocument is a version with its content.
type configDocument struct {
	Platform  string                   `json:"platform"`
	Arch      string                   `json:"arch"`
	Type      string                   `json:"type"`
	Version   int                      `json:"version"`
	Username  string                   `json:"username"`
	Comment   string                   `json:"comment"`
	CreatedAt *string                  `json:"created_at"`
	Queries   map[string]configDefault `json:"queries"`
	Filters   map[string]any           `json:"filters"`
	Options   map[string]any           `json:"options"`
}

func (a *api) viewConfigVersion(ctx context.Context, r configVersionRequest) (answer[configDocument], error) {
	v, err := a.Schedule.FindVersion(ctx, r.key(), r.Version)
	if err != nil {
		return answer[configDocument]{}, err
	}
	item := viewConfigItem(v.Config)
	return answer[configDocument]{"Successfully fetched the version of the config", configDocument{
		Platform: v.Config.Platform, Arch: v.Config.Arch, Type: v.Config.Type, Version: v.Version,
		Username: v.Username, Comment: v.Comment, CreatedAt: iso(v.Created),
		Queries: item.Queries, Filters: item.Filters, Options: item.Options,
	}}, nil
}

type restoreConfigRequest struct {
	dryRun
	configArgs
	Version int    `arg:"version,required,min=1"`
	Comment string `arg:"comment"`
}

// restoreConfig keeps what was there as one more version.
func (a *api) restoreConfig(ctx context.Context, r restoreConfigRequest) (answer[configSummary], error) {
	by := author(ctx, r.Comment)
	restored, err := a.scheduleOf(ctx).RestoreConfig(ctx, r.key(), r.Version, by)
	if err != nil {
		return answer[configSummary]{}, err
	}
	a.record(ctx, "config.restore", restored.ConfigKey.String(), map[string]any{
		"before": map[string]any{"version": restored.Before},
		"after":  map[string]any{"version": restored.Version, "restored": r.Version, "comment": by.Comment},
	})
	return answer[configSummary]{"Config is restored successfully", summarize(restored.StoredConfig)}, nil
}
