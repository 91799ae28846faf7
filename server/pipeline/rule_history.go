package pipeline

import (
	"cmp"
	"context"
	"slices"
	"time"
	"unsafe"

	"muster/server/alerts"
	"muster/server/condition"
	"muster/server/detect"
	"muster/server/hosts"
	"muster/server/results"
)

// Bounds of the answer to what a rule would have found.
const (
	maxHistory     = 500_000 // matches; the look back ends with them
	maxNamed       = 1000    // hosts, and names of queries
	maxSample      = 20
	tryTime        = time.Second // of a rule for one row
	MaxHistoryDays = 365
)

// RuleTrials tries rules on what hosts reported before.
type RuleTrials struct {
	Hosts   *hosts.Store
	Results *results.Store
	Detect  *detect.Store
	Alerts  *alerts.Store
	// Tables names the tables that a host's query reads.
	Tables func(h *hosts.Host, query string) []string
	Now    func() time.Time
}

// RuleHistory is what a rule would have found in what is stored of active hosts.
type RuleHistory struct {
	Rule       detect.Rule // of a draft: its conditions and what it looks at
	Matches    int64       // without those that its exceptions suppress
	Suppressed int64
	Undecided  int64 // rows that took too long
	// Alerts is how many there would be, with those that are alike and close in time
	// gathered into one as they are now, and none resolved meanwhile.
	Alerts    int64
	Hosts     []HostHistory // those with most matches first, at most 1,000
	HostCount int           // of all hosts with matches
	Queries   []NamedCount  // most first, at most 1,000
	Days      []NamedCount  // by day of arrival in UTC, as 2006-01-02, the oldest first
	Sample    []SampleRow   // the newest matches, at most 20
	Truncated bool          // there are more matches than are counted
	Reach     results.Reach
}

// HostHistory is what a rule would have found on one host.
type HostHistory struct {
	Host            *hosts.Host
	Matches, Alerts int64
}

// NamedCount is a number of matches.
type NamedCount struct {
	Name  string
	Count int64
}

// SampleRow is a row that the rule meets, and why.
type SampleRow struct {
	results.Row
	Host *hosts.Host
	Why  []condition.Evidence
}

// Try looks from the newest row back through some days, for as long as a search may
// take; the reach of the answer says how far it got. Faults: those of detect.Probe
// and results.Search.
func (t *RuleTrials) Try(ctx context.Context, d detect.Draft, days int) (RuleHistory, error) {
	probe, err := t.Detect.Probe(ctx, d)
	if err != nil {
		return RuleHistory{}, err
	}
	window, err := t.Alerts.Aggregation(ctx)
	if err != nil {
		return RuleHistory{}, err
	}
	active, _, _, err := t.Hosts.List(ctx, hosts.Filter{})
	if err != nil {
		return RuleHistory{}, err
	}
	l := lookBack{probe: probe, tables: t.Tables, hosts: make(map[int64]*hosts.Host, len(active)), found: map[int64][]int64{}, queries: map[string]int64{}, days: map[string]int64{}}
	for _, h := range active {
		l.hosts[h.ID] = h
	}
	l.Rule = probe.Rule
	l.Reach, err = t.Results.Walk(ctx, results.Search{
		Where: probe.Where, From: t.Now().AddDate(0, 0, -days), Visible: func(id int64) bool { return l.hosts[id] != nil },
		Identifier: func(id int64) string { return l.hosts[id].Identifier },
	}, l.row)
	if err != nil {
		return RuleHistory{}, err
	}
	return l.sum(window), nil
}

// lookBack gathers what a rule finds, from the newest row back.
type lookBack struct {
	RuleHistory
	probe   *detect.Probe
	tables  func(h *hosts.Host, query string) []string
	hosts   map[int64]*hosts.Host
	found   map[int64][]int64 // host -> when its matches arrived, the newest first
	queries map[string]int64
	days    map[string]int64
	object  condition.Object
}

// row takes one row that may match, and reports whether there is room for more.
func (l *lookBack) row(r results.Row) bool {
	h := l.hosts[r.HostID]
	if l.object.Load(unsafe.String(unsafe.SliceData(r.Columns), len(r.Columns))) != nil {
		return true // no row of columns: rules do not see it either
	}
	verdict := l.probe.Try(detect.Event{
		HostID: h.ID, HostIdentifier: h.Identifier, Platform: h.Platform, Query: r.Name, Action: r.Action, UnixTime: r.Time.Unix(),
		Tables: l.tables(h, r.Name), Row: &l.object, Within: tryTime,
	}, len(l.Sample) < maxSample)
	switch {
	case verdict.Undecided:
		l.Undecided++
	case verdict.Suppressed:
		l.Suppressed++
	case verdict.Met:
		l.match(h, r, verdict)
	}
	l.Truncated = l.Matches >= maxHistory
	return !l.Truncated
}

func (l *lookBack) match(h *hosts.Host, r results.Row, v detect.Verdict) {
	l.Matches++
	l.found[h.ID] = append(l.found[h.ID], r.ReceivedAt.UnixMicro())
	l.days[r.ReceivedAt.UTC().Format(time.DateOnly)]++
	if _, known := l.queries[r.Name]; known || len(l.queries) < maxNamed {
		l.queries[r.Name]++
	}
	if len(l.Sample) < maxSample {
		l.Sample = append(l.Sample, SampleRow{r, h, v.Why})
	}
}

func (l *lookBack) sum(window time.Duration) RuleHistory {
	h := l.RuleHistory
	for id, times := range l.found {
		one := HostHistory{Host: l.hosts[id], Matches: int64(len(times)), Alerts: alertsOf(times, window)}
		h.Alerts += one.Alerts
		h.Hosts = append(h.Hosts, one)
	}
	slices.SortFunc(h.Hosts, func(a, b HostHistory) int {
		return cmp.Or(cmp.Compare(b.Matches, a.Matches), cmp.Compare(a.Host.ID, b.Host.ID))
	})
	h.HostCount = len(h.Hosts)
	h.Hosts = h.Hosts[:min(len(h.Hosts), maxNamed)]
	byName := func(a, b NamedCount) int { return cmp.Compare(a.Name, b.Name) }
	h.Days = counted(l.days, byName)
	h.Queries = counted(l.queries, func(a, b NamedCount) int { return cmp.Or(cmp.Compare(b.Count, a.Count), byName(a, b)) })
	return h
}

// alertsOf is how many alerts matches of one host make: one gathers those that come
// less than the window after it was raised. Times come the newest first.
func alertsOf(times []int64, window time.Duration) (n int64) {
	slices.Sort(times) // as replicas store them, they are nearly in order
	until := int64(0)
	for _, at := range times {
		if n == 0 || at >= until {
			n++
			until = at + window.Microseconds()
		}
	}
	return n
}

func counted(counts map[string]int64, order func(a, b NamedCount) int) []NamedCount {
	list := make([]NamedCount, 0, len(counts))
	for name, n := range counts {
		list = append(list, NamedCount{name, n})
	}
	slices.SortFunc(list, order)
	return list
}
