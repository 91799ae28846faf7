package adminapi

import (
	"context"
	"maps"
	"slices"

	"muster/server/fault"
	"muster/server/schedule"
)

// updateConfigRequest is the document's, plus options and a comment for the list of
// versions.
type updateConfigRequest struct {
	dryRun
	configArgs
	Queries map[string]any `arg:"queries,required"`
	Filters map[string]any `arg:"filters,required"`
	Options map[string]any `arg:"options"`
	Comment string         `arg:"comment"`
}

// configUpdated answers a change with both keys that clients look at: config has the
// queries that were named, data all.
type configUpdated struct {
	said
	Config   configSummary `json:"config"`
	Data     configSummary `json:"data"`
	Ignored  []string      `json:"ignored"`  // queries that are not there and came without SQL
	Warnings []string      `json:"warnings"` // tables that only extensions may have
}

func (a *api) updateConfig(ctx context.Context, r updateConfigRequest) (configUpdated, error) {
	by := author(ctx, r.Comment)
	changed, err := a.scheduleOf(ctx).UpdateConfig(ctx, r.key(), schedule.ConfigChange{
		Queries: r.Queries, Filters: r.Filters, Options: r.Options, By: by,
	})
	if err != nil {
		return configUpdated{}, err
	}
	a.record(ctx, "config.update", changed.ConfigKey.String(), map[string]any{
		"before": map[string]any{"version": changed.Before},
		"after":  map[string]any{"version": changed.Version, "queries": someNames(r.Queries), "comment": by.Comment},
	})
	return viewChanged("Config is edited successfully for the platform given", changed, r.Queries), nil
}

// author is who changes a config. The content of both versions is kept with it, so
// the audit trail names versions only.
func author(ctx context.Context, comment string) schedule.Author {
	const longest = 1000
	if runes := []rune(comment); len(runes) > longest {
		comment = string(runes[:longest])
	}
	return schedule.Author{Username: callerOf(ctx).account.Username, Comment: comment}
}

// someNames are as many as the audit trail keeps.
func someNames(queries map[string]any) []string {
	const most = 100
	names := slices.Sorted(maps.Keys(queries))
	return names[:min(len(names), most)]
}

func viewChanged(message string, c schedule.ConfigChanged, named map[string]any) configUpdated {
	all := summarize(c.StoredConfig)
	some := all
	some.Queries = map[string]querySwitch{}
	for name := range named {
		if q, there := all.Queries[name]; there {
			some.Queries[name] = q
		}
	}
	return configUpdated{said: succeeded(message), Config: some, Data: all, Ignored: list(c.Ignored), Warnings: list(c.Warnings)}
}

type toggleConfigRequest struct {
	dryRun
	Platform string `arg:"platform,required,choices=linux|windows|darwin|freebsd"`
	Arch     string `arg:"arch,required,choices=x86|x86_64|arm64"`
	Type     string `arg:"type,required,choices=default|shallow|deep"`
}

func (a *api) toggleConfig(ctx context.Context, r toggleConfigRequest) (answer[none], error) {
	store := a.scheduleOf(ctx)
	key := schedule.ConfigKey{Platform: r.Platform, Arch: r.Arch, Type: r.Type}
	before, err := store.FindConfig(ctx, schedule.ConfigKey{Platform: r.Platform, Arch: r.Arch})
	// One that cannot be read can be toggled away from.
	if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Unprocessable) {
		return answer[none]{}, err
	}
	if err := store.ToggleConfig(ctx, key); err != nil {
		return answer[none]{}, err
	}
	a.record(ctx, "config.toggle", r.Platform+"/"+r.Arch, map[string]any{"before": before.Type, "after": r.Type})
	return answer[none]{message: "Default config for the platform and arch given is changed successfully"}, nil
}

// addConfigRequest starts from what the hosts of the platform and architecture run
// now; queries change that as in an update.
type addConfigRequest struct {
	dryRun
	configArgs
	Queries map[string]any `arg:"queries"`
	Filters map[string]any `arg:"filters"`
	Options map[string]any `arg:"options"`
	Comment string         `arg:"comment"`
}

func (a *api) addConfig(ctx context.Context, r addConfigRequest) (configUpdated, error) {
	by := author(ctx, r.Comment)
	added, err := a.scheduleOf(ctx).AddConfig(ctx, r.key(), schedule.ConfigChange{
		Queries: r.Queries, Filters: r.Filters, Options: r.Options, By: by,
	})
	if err != nil {
		return configUpdated{}, err
	}
	a.record(ctx, "config.add", added.ConfigKey.String(), map[string]any{"before": nil, "after": map[string]any{"version": 1, "active": added.Active, "comment": by.Comment}})
	return viewChanged("Config is added successfully for the platform given", added, r.Queries), nil
}
