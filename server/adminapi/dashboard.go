package adminapi

import (
	"context"
	"strconv"
)

func (a *api) dashboardRoutes() []route {
	return []route{{"GET", "/dashboard", a.signedIn, handle(a, a.dashboard), "View counts of alerts and hosts"}}
}

// dashboardView is the document's ("Get Dashboard data").
type dashboardView struct {
	AlertData     alertData    `json:"alert_data"`
	Distribution  distribution `json:"distribution_and_status"`
	PurgeDuration string       `json:"purge_duration"` // days that results are kept; 0 is for ever
}

type alertData struct {
	TopFive topFive      `json:"top_five"`
	Source  alertSources `json:"source"`
}

// topFive names what has the most alerts that nobody resolved, at most five each.
type topFive struct {
	Rules   []ruleAlertCount  `json:"rule"`
	Hosts   []hostAlertCount  `json:"hosts"`
	Queries []queryAlertCount `json:"query"`
}

type ruleAlertCount struct {
	Name  string `json:"rule_name"`
	Count int    `json:"count"`
}

type hostAlertCount struct {
	Identifier string `json:"host_identifier"`
	Count      int    `json:"count"`
}

type queryAlertCount struct {
	Name  string `json:"query_name"`
	Count int    `json:"count"`
}

// alertSources counts alerts by where they come from; the list is fixed.
type alertSources struct {
	IOC        severityCounts `json:"ioc"`
	Rule       severityCounts `json:"rule"`
	VirusTotal severityCounts `json:"virustotal"`
	IBMXForce  severityCounts `json:"ibmxforce"`
	AlienVault severityCounts `json:"alienvault"`
	YARA       severityCounts `json:"yara"` // not in the document
}

type severityCounts struct {
	Info     int `json:"INFO"`
	Low      int `json:"LOW"`
	Warning  int `json:"WARNING"`
	Critical int `json:"CRITICAL"`
	Total    int `json:"TOTAL"`
}

type distribution struct {
	Platforms []osCount     `json:"hosts_platform_count"`
	Status    platformCount `json:"hosts_status_count"`
}

type osCount struct {
	Name  string `json:"os_name"`
	Count int    `json:"count"`
}

func (a *api) dashboard(ctx context.Context, _ nothing) (answer[dashboardView], error) {
	distribution, err := a.countDistribution(ctx)
	if err != nil {
		return answer[dashboardView]{}, err
	}
	keep, err := a.Results.Retention(ctx, a.Keep)
	if err != nil {
		return answer[dashboardView]{}, err
	}
	counted, err := a.countAlerts(ctx)
	if err != nil {
		return answer[dashboardView]{}, err
	}
	return answer[dashboardView]{"Data is fetched successfully", dashboardView{
		AlertData: counted, Distribution: distribution, PurgeDuration: strconv.Itoa(keep.ResultsDays),
	}}, nil
}

// countDistribution counts the active hosts by system, and by whether they are online.
func (a *api) countDistribution(ctx context.Context) (distribution, error) {
	d := distribution{Platforms: []osCount{}}
	for _, count := range a.Hosts.CountOS(ctx) {
		d.Platforms = append(d.Platforms, osCount{count.OSPlatform, count.Hosts})
	}
	counts, err := a.Hosts.Counts(ctx)
	for _, count := range counts {
		d.Status.Online += count.Online
		d.Status.Offline += count.Offline
	}
	return d, err
}
