package adminapi

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"muster/server/alerts"
	"muster/server/hosts"
	"muster/server/lineage"
	"muster/server/osquery"
	"muster/server/results"
)

func (a *api) investigateRoutes() []route {
	in := a.signedIn
	return []route{
		{"GET", "/alerts/{alert_id}/events", in, handle(a, a.listEventsAround), "View what happened around an alert"},
		{"POST", "/alerts/process", in, handle(a, a.viewProcess), "View a process and what it did"},
		{"POST", "/alerts/process/child", in, handle(a, a.viewProcessChildren), "View more of what a process did"},
		{"GET", "/alerts/{alert_id}/tree", in, handle(a, a.viewProcessTree), "View the processes around an alert"},
		{"GET", "/alerts/{alert_id}/prevalence", in, handle(a, a.viewPrevalence), "View on how many hosts what an alert names was seen"},
	}
}

// How far rows may be from the moment that they tell of.
const (
	aroundSeconds = 30   // before and after the alert (reference 1.13)
	reportedLate  = 3600 // seconds between an event and the run of the query that tells of it
	clocksDiffer  = 15 * time.Minute
	longAgo       = 7 * 24 * time.Hour // an event that a host tells of later than that is not looked for
)

// Bounds of the rows around an alert, of one query.
const (
	aroundRead  = 2_000
	aroundShown = 1_000
)

// queryData are rows of a query (document, "View alerted events").
type queryData struct {
	Name string            `json:"name"`
	Data []json.RawMessage `json:"data"` // columns, and the time as date
}

// aroundView is what happened around an alert. Complete is false when there was too
// much of it.
type aroundView struct {
	Events   []queryData `json:"schedule_query_data_list_obj"`
	States   []string    `json:"system_state_data_list"`
	Complete bool        `json:"complete"`
}

// moment is when something happened: on the host's clock, and when a row that tells
// of it arrived.
type moment struct {
	at, unix int64 // of the event, and of the query that told of it
	arrived  time.Time
}

// momentOf is when an alert's event happened.
func (a *api) momentOf(ctx context.Context, alert alerts.Alert) (moment, error) {
	m := moment{arrived: alert.Created}
	if !alert.Time.IsZero() {
		m.unix = alert.Time.Unix()
	}
	m.at = lineage.Time(alert.Columns, m.unix)
	if alert.ResultID == 0 {
		return m, nil
	}
	rows, err := a.Results.Find(ctx, []int64{alert.ResultID})
	if len(rows) == 1 {
		m.arrived = rows[0].ReceivedAt
	}
	return m, err
}

// arrival is when rows that tell of the moment may have arrived, a clock of the host
// that is far off aside.
func (m moment) arrival() (from, to time.Time) {
	at := time.Unix(m.at, 0)
	if at.Before(m.arrived.Add(-longAgo)) || at.After(m.arrived.Add(day)) {
		at = m.arrived
	}
	from, to = at, m.arrived
	if to.Before(from) {
		from, to = to, from
	}
	return from.Add(-clocksDiffer), to.Add(clocksDiffer + reportedLate*time.Second)
}

func (a *api) listEventsAround(ctx context.Context, r pathAlert) (answer[aroundView], error) {
	alert, host, err := a.findAlert(ctx, r.ID)
	if err != nil {
		return answer[aroundView]{}, err
	}
	names, err := a.Results.Names(ctx, host.ID)
	if err != nil {
		return answer[aroundView]{}, err
	}
	view := aroundView{Events: []queryData{}, States: []string{}, Complete: true}
	var events []string
	for _, name := range names {
		switch tables := a.Schedule.Tables(host, name); {
		case tellsEvents(tables):
			events = append(events, name)
		case len(tables) > 0:
			view.States = append(view.States, name)
		}
	}
	m, err := a.momentOf(ctx, alert)
	if err == nil && m.at != 0 {
		err = a.fillAround(ctx, &view, host, events, m)
	}
	return answer[aroundView]{"Successfully fetched the Alert's events data", view}, err
}

// tellsEvents reports whether a query that reads these tables tells what happened,
// rather than how things are.
func tellsEvents(tables []string) bool {
	for _, name := range tables {
		table, known := osquery.Find(name)
		if known && table.Evented || strings.HasPrefix(name, "win_") && name != "win_epp_table" {
			return true
		}
	}
	return false
}

// fillAround adds the rows of queries that tell of the seconds around a moment.
func (a *api) fillAround(ctx context.Context, view *aroundView, host *hosts.Host, names []string, m moment) error {
	q := results.Around{HostID: host.ID, Names: names, UnixFrom: m.at - aroundSeconds, UnixTo: max(m.at, m.unix) + reportedLate, Limit: aroundRead, First: true}
	q.From, q.To = m.arrival()
	rows, complete, err := a.Results.Around(ctx, q)
	view.Complete = complete
	for _, row := range rows {
		at := lineage.Time(row.Columns, row.Time.Unix())
		if at < m.at-aroundSeconds || at > m.at+aroundSeconds {
			continue
		}
		last := len(view.Events) - 1
		if last < 0 || view.Events[last].Name != row.Name {
			view.Events = append(view.Events, queryData{Name: row.Name})
			last++
		}
		if of := &view.Events[last]; len(of.Data) < aroundShown {
			of.Data = append(of.Data, dated(row.Columns, at))
		} else {
			view.Complete = false
		}
	}
	return err
}

// dated is columns with the time for people under date.
func dated(columns json.RawMessage, at int64) json.RawMessage {
	date, _ := object(columns)["utc_time"].(string)
	if date == "" {
		date = time.Unix(at, 0).UTC().Format("Mon Jan 02 15:04:05 2006 UTC")
	}
	return with(columns, map[string]string{"date": date})
}

// with is an object with texts put into it; what is no object becomes one.
func with(object json.RawMessage, texts map[string]string) json.RawMessage {
	members := map[string]json.RawMessage{}
	if json.Unmarshal(object, &members) != nil || members == nil {
		members = map[string]json.RawMessage{}
	}
	for name, text := range texts {
		members[name], _ = json.Marshal(text) //nolint:errchkjson // a text always has a JSON form
	}
	together, err := json.Marshal(members)
	if err != nil {
		return json.RawMessage("{}")
	}
	return together
}
