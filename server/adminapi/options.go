package adminapi

import (
	"context"
	"strings"

	"muster/server/schedule"
)

func (a *api) settingRoutes() []route {
	in := a.signedIn
	options := []route{
		{"GET", "/options", in, handle(a, a.viewOptions), "View the options of all agents"},
		{"POST", "/options/add", in, change(a, a.setOptions), "Replace the options of all agents"},
	}
	for _, more := range [][]route{a.mailRoutes(), a.intelRoutes(), a.retentionRoutes()} {
		options = append(options, more...)
	}
	return options
}

// viewOptions says "updated" as the document does, though nothing is.
func (a *api) viewOptions(ctx context.Context, _ nothing) (answer[map[string]any], error) {
	options, err := a.Schedule.Options(ctx)
	if err != nil {
		return answer[map[string]any]{}, err
	}
	return answer[map[string]any]{"options are updated successfully", options}, nil
}

type setOptions struct {
	dryRun
	Option map[string]any `arg:"option,required"`
}

// optionsSet is what is stored now; warnings name what agents do not get of it.
type optionsSet struct {
	said
	Data     map[string]any `json:"data"`
	Warnings []string       `json:"warnings,omitempty"`
}

// setOptions replaces the stored options; what is not sent is gone.
func (a *api) setOptions(ctx context.Context, r setOptions) (optionsSet, error) {
	before, err := a.scheduleOf(ctx).Options(ctx)
	if err != nil {
		return optionsSet{}, err
	}
	if err := a.scheduleOf(ctx).SetOptions(ctx, r.Option); err != nil {
		return optionsSet{}, err
	}
	after, err := a.scheduleOf(ctx).Options(ctx)
	if err != nil {
		return optionsSet{}, err
	}
	a.record(ctx, "options.set", "", map[string]any{"before": differingOptions(before, after), "after": differingOptions(after, before)})
	stored := optionsSet{said: succeeded("options are updated successfully"), Data: after}
	for _, name := range schedule.Withheld(after) {
		stored.Warnings = append(stored.Warnings, "The option "+name+" is kept, but agents do not get it")
	}
	return stored, nil
}

// differingOptions are the options that another version does not have, or has with
// another value. A value that may be a secret of somebody's extension is masked.
func differingOptions(options, others map[string]any) map[string]any {
	differ := map[string]any{}
	for name, value := range options {
		if other, found := others[name]; found && other == value {
			continue
		}
		if mayBeSecret(name) {
			value = mask
		}
		differ[name] = value
	}
	return differ
}

func mayBeSecret(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"secret", "pass", "token", "key", "credential"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
