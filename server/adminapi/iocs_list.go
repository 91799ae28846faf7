package adminapi

import (
	"context"
	"strings"

	"muster/server/indicator"
	"muster/server/intel"
)

// indicatorView is an indicator of any feed.
type indicatorView struct {
	ID          int64   `json:"id"`
	Type        string  `json:"type"`
	Value       string  `json:"value"`
	ThreatName  string  `json:"threat_name"`
	Severity    string  `json:"severity"`
	IntelType   string  `json:"intel_type"` // the feed, by the document's name for it
	Confidence  int     `json:"confidence"`
	Description string  `json:"description"`
	CreatedAt   *string `json:"created_at"`
	UpdatedAt   *string `json:"updated_at"`
	ExpiresAt   *string `json:"expires_at"`
	Expired     bool    `json:"expired"`
}

func (a *api) viewIndicator(i intel.Indicator) indicatorView {
	return indicatorView{
		ID: i.ID, Type: string(i.Type), Value: i.Value, ThreatName: i.ThreatName, Severity: i.Severity, IntelType: i.Feed, Confidence: i.Confidence,
		Description: i.Description, CreatedAt: iso(i.Created), UpdatedAt: iso(i.Updated), ExpiresAt: iso(i.Expires),
		Expired: !i.Expires.IsZero() && !i.Expires.After(a.Now()),
	}
}

func (a *api) viewIndicators(all []intel.Indicator) []indicatorView {
	views := make([]indicatorView, 0, len(all))
	for _, i := range all {
		views = append(views, a.viewIndicator(i))
	}
	return views
}

// iocPage is a part of a list, and how many there are of what is asked for.
type iocPage struct {
	Results []indicatorView `json:"results"`
	Count   int             `json:"count"`
}

type listIOCsRequest struct {
	Feed       string `arg:"feed"`
	Type       string `arg:"type,choices=md5|sha1|sha256|domain_name|remote_address|url|path"`
	ThreatName string `arg:"threat_name"`
	Search     string `arg:"searchterm"`
	Start      int    `arg:"start,default=0,min=0"`
	Limit      int    `arg:"limit,default=100,min=0,max=10000,page"`
}

func (a *api) listIOCs(ctx context.Context, r listIOCsRequest) (answer[iocPage], error) {
	all, count, err := a.Intel.List(ctx, intel.Filter{
		Feed: strings.TrimSpace(r.Feed), Type: indicator.Type(r.Type), ThreatName: strings.TrimSpace(r.ThreatName), Search: strings.TrimSpace(r.Search),
		Start: r.Start, Limit: r.Limit,
	})
	return answer[iocPage]{"Successfully fetched the iocs", iocPage{a.viewIndicators(all), count}}, err
}

// feedView is a feed with how many indicators it has, of each type.
type feedView struct {
	Name      string         `json:"feed"`
	Count     int            `json:"count"`
	Expired   int            `json:"expired"`
	Types     map[string]int `json:"types"`
	UpdatedAt *string        `json:"updated_at"`
}

func (a *api) listFeeds(ctx context.Context, _ nothing) (answer[[]feedView], error) {
	feeds, err := a.Intel.Feeds(ctx)
	views := make([]feedView, 0, len(feeds))
	for _, f := range feeds {
		types := map[string]int{}
		for t, n := range f.Types {
			types[string(t)] = n
		}
		views = append(views, feedView{Name: f.Name, Count: f.Count, Expired: f.Expired, Types: types, UpdatedAt: iso(f.Updated)})
	}
	return answer[[]feedView]{"Successfully fetched the feeds", views}, err
}

type feedRequest struct {
	Feed string `path:"feed"`
}

// deletedView is how many indicators were deleted.
type deletedView struct {
	Deleted int `json:"deleted"`
}

func (a *api) deleteFeed(ctx context.Context, r feedRequest) (answer[deletedView], error) {
	deleted, err := a.Intel.DeleteFeed(ctx, r.Feed)
	if deleted > 0 {
		a.record(ctx, "iocs.feed.delete", r.Feed, map[string]any{"deleted": deleted, "complete": err == nil})
	}
	return answer[deletedView]{"Successfully deleted the feed", deletedView{deleted}}, err
}

type deleteIOCsRequest struct {
	IDs []int64 `arg:"ids,required"`
}

func (a *api) deleteIOCs(ctx context.Context, r deleteIOCsRequest) (answer[deletedView], error) {
	gone, err := a.Intel.Delete(ctx, r.IDs)
	if err != nil {
		return answer[deletedView]{}, err
	}
	if len(gone) > 0 {
		some := []map[string]any{} // the trail need not hold ten thousand
		for _, i := range gone[:min(len(gone), 100)] {
			some = append(some, map[string]any{"id": i.ID, "feed": i.Feed, "type": i.Type, "value": i.Value, "threat_name": i.ThreatName})
		}
		a.record(ctx, "iocs.delete", "", map[string]any{"deleted": len(gone), "before": some})
	}
	return answer[deletedView]{"Successfully deleted the iocs", deletedView{len(gone)}}, nil
}

// retroView is one search for new indicators in what was stored before.
type retroView struct {
	StartedAt  *string `json:"started_at"`
	EndedAt    *string `json:"ended_at"` // null while it goes on
	Indicators int     `json:"indicators"`
	Sightings  int     `json:"sightings"`
	Alerts     int     `json:"alerts"`
	Rows       int64   `json:"rows"` // looked at one by one, for networks and domains
	From       *string `json:"from"` // since when these rows arrived
	Complete   bool    `json:"complete"`
	Error      *string `json:"error"`
}

func (a *api) listRetro(ctx context.Context, _ nothing) (answer[[]retroView], error) {
	runs, err := a.Intel.RetroRuns(ctx)
	views := make([]retroView, 0, len(runs))
	for _, r := range runs {
		views = append(views, retroView{
			StartedAt: iso(r.Started), EndedAt: iso(r.Ended), Indicators: r.Indicators, Sightings: r.Sightings, Alerts: r.Alerts,
			Rows: r.Rows, From: iso(r.From), Complete: r.Complete && !r.Ended.IsZero(), Error: orNull(r.Error),
		})
	}
	return answer[[]retroView]{"Successfully fetched the searches", views}, err
}
