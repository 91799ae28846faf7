package adminapi

import (
	"context"
	"time"

	"muster/server/fault"
	"muster/server/results"
)

func (a *api) retentionRoutes() []route {
	in := a.signedIn
	return []route{
		{"GET", "/purge/update", in, handle(a, a.viewPurge), "View how long results are kept"},
		{"POST", "/purge/update", in, act(a, a.setPurge), "Change how long results are kept"},
		{"GET", "/management/purge/update", in, handle(a, a.viewPurge), "View how long results are kept (other path)"},
		{"POST", "/management/purge/update", in, act(a, a.setPurge), "Change how long results are kept (other path)"},
		{"GET", "/management/settings", in, handle(a, a.viewPlatform), "View the settings of the platform"},
		{"PUT", "/management/settings", in, act(a, a.setPlatform), "Change the settings of the platform"},
		{"POST", "/management/settings", in, act(a, a.setPlatform), "Change the settings of the platform"},
	}
}

// viewPurge answers days; 0 is for ever.
func (a *api) viewPurge(ctx context.Context, _ nothing) (answer[int], error) {
	keep, err := a.Results.Retention(ctx, a.Keep)
	if err != nil {
		return answer[int]{}, err
	}
	return answer[int]{"Purge data present duration is fetched successfully", keep.ResultsDays}, nil
}

type setPurgeRequest struct {
	Days int `arg:"days,required,min=1,max=3650"`
}

func (a *api) setPurge(ctx context.Context, r setPurgeRequest) (answer[none], error) {
	if err := a.keepFor(ctx, r.Days); err != nil {
		return answer[none]{}, err
	}
	return answer[none]{message: "Purge data duration is changed successfully"}, nil
}

// keepFor keeps rows and status logs for that long, as the original's setting
// does; live answers have a setting of their own.
func (a *api) keepFor(ctx context.Context, days int) error {
	before, err := a.Results.Retention(ctx, a.Keep)
	if err != nil {
		return err
	}
	if err := a.Results.SetRetention(ctx, results.KeepChange{ResultsDays: &days, StatusDays: &days}); err != nil {
		return err
	}
	a.record(ctx, "retention.set", "", map[string]any{
		"before": map[string]int{"results_days": before.ResultsDays, "status_days": before.StatusDays},
		"after":  map[string]int{"results_days": days, "status_days": days},
	})
	return nil
}

// platformView is the platform's settings: days, seconds, and the days that resolved
// alerts are kept (not in the original); 0 is for ever.
type platformView struct {
	PurgeDataDuration        int `json:"purge_data_duration"`
	AlertAggregationDuration int `json:"alert_aggregation_duration"`
	AlertDays                int `json:"alert_days"`
}

func (a *api) viewPlatform(ctx context.Context, _ nothing) (answer[platformView], error) {
	keep, err := a.Results.Retention(ctx, a.Keep)
	if err != nil {
		return answer[platformView]{}, err
	}
	gather, err := a.Alerts.Aggregation(ctx)
	if err != nil {
		return answer[platformView]{}, err
	}
	days, err := a.Alerts.Days(ctx)
	if err != nil {
		return answer[platformView]{}, err
	}
	view := platformView{PurgeDataDuration: keep.ResultsDays, AlertAggregationDuration: int(gather / time.Second), AlertDays: days}
	return answer[platformView]{"Platform settings are fetched successfully", view}, nil
}

type setPlatformRequest struct {
	Days    *int `arg:"purge_data_duration,min=1,max=3650"`
	Seconds *int `arg:"alert_aggregation_duration,min=1,max=86400"`

	AlertDays *int `arg:"alert_days,min=0,max=3650"`
}

// Check wants something to change.
func (r *setPlatformRequest) Check() error {
	if r.Days == nil && r.Seconds == nil && r.AlertDays == nil {
		return fault.New(fault.Invalid, "purge_data_duration, alert_aggregation_duration or alert_days is required")
	}
	return nil
}

func (a *api) setPlatform(ctx context.Context, r setPlatformRequest) (answer[none], error) {
	if r.Days != nil {
		if err := a.keepFor(ctx, *r.Days); err != nil {
			return answer[none]{}, err
		}
	}
	if r.Seconds != nil {
		if err := a.gatherFor(ctx, time.Duration(*r.Seconds)*time.Second); err != nil {
			return answer[none]{}, err
		}
	}
	if r.AlertDays != nil {
		if err := a.keepAlertsFor(ctx, *r.AlertDays); err != nil {
			return answer[none]{}, err
		}
	}
	return answer[none]{message: "Platform settings are updated successfully"}, nil
}

func (a *api) keepAlertsFor(ctx context.Context, days int) error {
	before, err := a.Alerts.Days(ctx)
	if err != nil {
		return err
	}
	if err := a.Alerts.SetDays(ctx, days); err != nil {
		return err
	}
	a.record(ctx, "alerts.days.set", "", map[string]any{"before": before, "after": days})
	return nil
}

func (a *api) gatherFor(ctx context.Context, d time.Duration) error {
	before, err := a.Alerts.Aggregation(ctx)
	if err != nil {
		return err
	}
	if err := a.Alerts.SetAggregation(ctx, d); err != nil {
		return err
	}
	a.record(ctx, "alerts.aggregation.set", "", map[string]any{"before": int(before / time.Second), "after": int(d / time.Second)})
	return nil
}
