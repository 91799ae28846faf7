package adminapi

import (
	"context"

	"muster/server/alerts"
)

type countAlertsRequest struct {
	alertArgs
	Resolved bool `arg:"resolved,default=false"`
}

// sourceCounts is the document's ("View alerts source distribution").
type sourceCounts struct {
	Sources []nameCount `json:"alert_source"`
}

func (a *api) countAlertsBySource(ctx context.Context, r countAlertsRequest) (answer[sourceCounts], error) {
	f, err := a.alertFilter(ctx, r.alertArgs)
	if err != nil {
		return answer[sourceCounts]{}, err
	}
	if f.Status == "" {
		f.Resolved = &r.Resolved
	}
	counts, err := a.Alerts.CountBySource(ctx, f)
	if err != nil {
		return answer[sourceCounts]{}, err
	}
	data := sourceCounts{Sources: []nameCount{}}
	for _, source := range alerts.Sources() {
		data.Sources = append(data.Sources, nameCount{string(source), sum(counts[source])})
	}
	return answer[sourceCounts]{alertsFetched, data}, nil
}

func sum(counts map[string]int) (total int) {
	for _, n := range counts {
		total += n
	}
	return total
}

func viewSeverities(counts map[string]int) severityCounts {
	return severityCounts{Info: counts["INFO"], Low: counts["LOW"], Warning: counts["WARNING"], Critical: counts["CRITICAL"], Total: sum(counts)}
}

func viewSources(counts map[alerts.Source]map[string]int) alertSources {
	return alertSources{
		IOC: viewSeverities(counts[alerts.Indicator]), Rule: viewSeverities(counts[alerts.Rule]), VirusTotal: viewSeverities(counts[alerts.VirusTotal]),
		IBMXForce: viewSeverities(counts[alerts.IBMXForce]), AlienVault: viewSeverities(counts[alerts.AlienVault]), YARA: viewSeverities(counts[alerts.YARA]),
	}
}

// unresolved chooses what nobody resolved.
func unresolved() alerts.Filter {
	resolved := false
	return alerts.Filter{Resolved: &resolved}
}

// topFives is how many of each kind the dashboard names.
const topFives = 5

// countAlerts is the alert part of the dashboard.
func (a *api) countAlerts(ctx context.Context) (alertData, error) {
	counts, err := a.Alerts.CountBySource(ctx, unresolved())
	if err != nil {
		return alertData{}, err
	}
	top, err := a.Alerts.Top(ctx, unresolved(), topFives)
	if err != nil {
		return alertData{}, err
	}
	data := alertData{Source: viewSources(counts), TopFive: topFive{Rules: []ruleAlertCount{}, Hosts: []hostAlertCount{}, Queries: []queryAlertCount{}}}
	for _, r := range top.Rules {
		data.TopFive.Rules = append(data.TopFive.Rules, ruleAlertCount{r.Name, r.Count})
	}
	known := a.activeHosts(ctx)
	for _, h := range top.Hosts {
		if host := known[h.HostID]; host != nil {
			data.TopFive.Hosts = append(data.TopFive.Hosts, hostAlertCount{host.Identifier, h.Count})
		}
	}
	for _, q := range top.Queries {
		data.TopFive.Queries = append(data.TopFive.Queries, queryAlertCount{q.Name, q.Count})
	}
	return data, nil
}

// hostAlerts counts a host's alerts that nobody resolved (reference 1.2).
type hostAlerts struct {
	Sources    alertSources   `json:"sources"`
	Rules      []nameCount    `json:"rules"` // the five that have most
	Severities severityCounts `json:"severities"`
}

func (a *api) countHostAlerts(ctx context.Context, r pathHost) (answer[hostAlerts], error) {
	host, err := a.findHost(ctx, r.Host, noSuchHost)
	if err != nil {
		return answer[hostAlerts]{}, err
	}
	f := unresolved()
	f.HostID = host.ID
	counts, err := a.Alerts.CountBySource(ctx, f)
	if err != nil {
		return answer[hostAlerts]{}, err
	}
	top, err := a.Alerts.Top(ctx, f, topFives)
	if err != nil {
		return answer[hostAlerts]{}, err
	}
	data := hostAlerts{Sources: viewSources(counts), Rules: []nameCount{}}
	for _, rule := range top.Rules {
		data.Rules = append(data.Rules, nameCount{rule.Name, rule.Count})
	}
	all := map[string]int{}
	for _, bySeverity := range counts {
		for severity, n := range bySeverity {
			all[severity] += n
		}
	}
	data.Severities = viewSeverities(all)
	return answer[hostAlerts]{"Alerts distribution details are fetched for the host", data}, nil
}

type graphAlertsRequest struct {
	alertArgs
	Source string `arg:"source,required,choices=virustotal|rule|ibmxforce|alienvault|ioc|yara"`
}

// alertPoint is an alert on a line of time (document, "View graph data"). Start is
// in milliseconds since 1970.
type alertPoint struct {
	Start     float64 `json:"start"`
	Content   string  `json:"content"`
	EventID   int64   `json:"event_id"`
	ClassName string  `json:"className"`
}

// graphColors are what the original's console paints a severity with.
var graphColors = map[string]string{"WARNING": "green-m", "CRITICAL": "yellow"}

func (a *api) graphAlerts(ctx context.Context, r graphAlertsRequest) (answer[[]alertPoint], error) {
	f, err := a.alertFilter(ctx, r.alertArgs)
	if err != nil {
		return answer[[]alertPoint]{}, err
	}
	f.Source = alerts.Source(r.Source)
	if f.Status == "" {
		f.Resolved = unresolved().Resolved
	}
	points, err := a.Alerts.Timeline(ctx, f)
	if err != nil {
		return answer[[]alertPoint]{}, err
	}
	views := make([]alertPoint, 0, len(points))
	for _, p := range points {
		views = append(views, alertPoint{Start: float64(p.Created.UnixMicro()) / 1000, EventID: p.ID, ClassName: graphColors[p.Severity]})
	}
	return answer[[]alertPoint]{alertsFetched, views}, nil
}
