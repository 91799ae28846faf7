package adminapi

import (
	"context"
	"maps"
	"slices"
)

func (a *api) settingRoutes() []route {
	in := a.signedIn
	return []route{
		{"GET", "/options", in, handle(a, a.viewOptions), "View the options of all agents"},
		{"POST", "/options/add", in, handle(a, a.setOptions), "Replace the options of all agents"},
	}
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
	Option map[string]any `arg:"option,required"`
}

// setOptions replaces the stored options; what is not sent is gone.
func (a *api) setOptions(ctx context.Context, r setOptions) (answer[map[string]any], error) {
	if err := a.Schedule.SetOptions(ctx, r.Option); err != nil {
		return answer[map[string]any]{}, err
	}
	// Names only: a value may be a secret of somebody's extension.
	a.record(ctx, "options.set", "", map[string]any{"names": slices.Sorted(maps.Keys(r.Option))})
	options, err := a.Schedule.Options(ctx)
	if err != nil {
		return answer[map[string]any]{}, err
	}
	return answer[map[string]any]{"options are updated successfully", options}, nil
}
