package adminapi

import (
	"context"
	"maps"
	"slices"
)

// viewOptions says "updated" as the document does, though nothing is.
func (a *api) viewOptions(ctx context.Context, _ nothing) (answer, error) {
	options, err := a.Schedule.Options(ctx)
	if err != nil {
		return answer{}, err
	}
	return answer{"options are updated successfully", options}, nil
}

type setOptions struct {
	Option map[string]any `arg:"option,required"`
}

// setOptions replaces the stored options; what is not sent is gone.
func (a *api) setOptions(ctx context.Context, r setOptions) (answer, error) {
	if err := a.Schedule.SetOptions(ctx, r.Option); err != nil {
		return answer{}, err
	}
	// Names only: a value may be a secret of somebody's extension.
	a.record(ctx, "options.set", "", map[string]any{"names": slices.Sorted(maps.Keys(r.Option))})
	options, err := a.Schedule.Options(ctx)
	if err != nil {
		return answer{}, err
	}
	return answer{"options are updated successfully", options}, nil
}
