package adminapi

import (
	"context"

	"muster/server/httpkit"
	"muster/server/schedule"
)

// importConfigRequest is a file with the config of a platform; tags are for the
// packs that it brings.
type importConfigRequest struct {
	dryRun
	configArgs
	File httpkit.File `arg:"file,required"`
	Tags []string     `arg:"tags"`
}

// configImported has the config as the answer to a change has it. Warnings name
// everything that was left out, and what agents do not get.
type configImported struct {
	said
	Config   configSummary `json:"config"`
	Packs    []string      `json:"packs"`
	Warnings []string      `json:"warnings"`
}

func (a *api) importConfig(ctx context.Context, r importConfigRequest) (configImported, error) {
	if _, err := fileName(r.File.Name); err != nil {
		return configImported{}, err
	}
	file, warnings, err := schedule.ParseConfigFile(r.Platform, r.File.Content)
	if err != nil {
		return configImported{}, err
	}
	for i := range file.Packs {
		file.Packs[i].Tags = r.Tags
	}
	if len(r.Tags) > 0 && len(file.Packs) == 0 {
		warnings = append(warnings, "the file brings no packs that could carry the tags")
	}
	by := author(ctx, "imported "+r.File.Name)
	done, err := a.scheduleOf(ctx).ImportConfig(ctx, r.key(), file, by)
	if err != nil {
		return configImported{}, err
	}
	a.recordImport(ctx, r.File.Name, done)
	answer := configImported{
		said: succeeded("Config is imported successfully for the platform given"), Config: summarize(done.StoredConfig),
		Packs: []string{}, Warnings: list(append(warnings, done.Warnings...)),
	}
	for _, p := range done.Packs {
		answer.Packs = append(answer.Packs, p.Name)
	}
	return answer, nil
}

// recordImport notes the config, whose versions hold what it was and is, and each
// pack as an upload of packs does.
func (a *api) recordImport(ctx context.Context, file string, done schedule.ConfigImported) {
	var before map[string]any
	if done.Before > 0 {
		before = map[string]any{"version": done.Before}
	}
	a.record(ctx, "config.import", done.ConfigKey.String(), map[string]any{
		"file": file, "before": before,
		"after": map[string]any{"version": done.Version, "active": done.Active, "queries": len(done.Queries), "packs": len(done.Packs)},
	})
	for _, p := range done.Packs {
		a.record(ctx, "pack.upload", p.Name, map[string]any{"file": file, "after": auditPack(p)})
	}
}
