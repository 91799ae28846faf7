package adminapi

import (
	"context"

	"muster/server/fault"
)

type deleteResultsRequest struct {
	Days int `arg:"days_of_data,required,max=36500"`
}

// deleteResults deletes what arrived more than so many days ago, and answers with
// their number. What was begun is ended though the client goes away.
func (a *api) deleteResults(ctx context.Context, r deleteResultsRequest) (answer[int], error) {
	if r.Days <= 0 {
		return answer[int]{}, fault.New(fault.Invalid, "days of data should be a positive number!")
	}
	before := a.Now().AddDate(0, 0, -r.Days)
	ctx = context.WithoutCancel(ctx)
	if err := a.Results.Delete(ctx, before); err != nil {
		return answer[int]{}, err
	}
	a.record(ctx, "results.delete", "", map[string]any{"days_of_data": r.Days, "before": iso(before)})
	return answer[int]{"Query result data is deleted successfully", r.Days}, nil
}
