package alerts

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"muster/server/database"
)

// MaxEvents is how many events of an alert are kept; more are counted only.
const MaxEvents = 10_000

// Raised is what became of a finding.
type Raised struct {
	Alert   Alert // with everything that the call gathered into it
	EventID int64 // 0 when the alert has MaxEvents already
	New     bool  // the finding raised the alert: true once for an alert
}

// Raise stores findings: each joins the alert of its host and group that is not
// resolved and was raised less than Aggregation ago, or raises one. Those whose
// Once was raised before, here or anywhere, are left out; the others come back in
// their order. Severity and the row of an alert are those of its first finding.
//
// It takes a handful of statements however many findings there are, and belongs
// in the transaction that stores their rows; without one it makes its own. Several
// at once, of any replica, end in one alert: they wait for each other's commit
// where they may meet. After the commit the caller publishes Topic.
//
// Faults: Invalid for a finding without a host, of an unknown source or severity;
// nothing is stored then. Busy, Internal.
func (s *Store) Raise(ctx context.Context, findings []Finding) ([]Raised, error) {
	if len(findings) == 0 {
		return nil, nil
	}
	sound := make([]Finding, 0, len(findings))
	for _, f := range findings {
		f, err := f.sound()
		if err != nil {
			return nil, err
		}
		sound = append(sound, f)
	}
	if s.db.InTx() {
		return s.raise(ctx, sound)
	}
	var raised []Raised
	err := s.db.Tx(ctx, func(tx *database.DB) (err error) {
		raised, err = s.With(tx).raise(ctx, sound)
		return err
	})
	return raised, err
}

// lockNames bounds how many locks one transaction takes.
const lockNames = 64

func (s *Store) raise(ctx context.Context, findings []Finding) ([]Raised, error) {
	names := make([]string, 0, len(findings))
	for _, f := range findings {
		names = append(names, "alerts/"+strconv.FormatInt(f.HostID%lockNames, 10))
	}
	slices.Sort(names)
	if err := s.db.Lock(ctx, slices.Compact(names)...); err != nil {
		return nil, err
	}
	window, err := s.Aggregation(ctx)
	if err != nil {
		return nil, err
	}
	if findings, err = s.claim(ctx, findings); err != nil || len(findings) == 0 {
		return nil, err
	}
	now := s.Now()
	g := gathering{now: now, groups: map[groupKey]*gathered{}}
	for _, f := range findings {
		g.add(f)
	}
	young, err := s.young(ctx, g.order, now.Add(-window))
	if err != nil {
		return nil, err
	}
	for _, row := range young {
		g.groups[groupKey{row.HostID, row.GroupKey}].join(row)
	}
	return s.store(ctx, &g)
}

// groupKey is what findings of one alert share.
type groupKey struct {
	host  int64
	group string
}

// gathered is what one call puts into one alert.
type gathered struct {
	key      groupKey
	alert    alertRow
	joined   bool // the alert was there before
	before   int  // its events then
	findings []Finding
	events   []int64 // ids, in the order of findings; fewer when the alert is full
	told     int     // findings that were reported back
}

// gathering is one call of Raise.
type gathering struct {
	now      time.Time
	groups   map[groupKey]*gathered
	order    []*gathered
	findings []Finding
}

func (g *gathering) add(f Finding) {
	key := groupKey{f.HostID, f.Group}
	of := g.groups[key]
	if of == nil {
		of = &gathered{key: key}
		g.groups[key], g.order = of, append(g.order, of)
	}
	of.findings = append(of.findings, f)
	g.findings = append(g.findings, f)
}

// join makes an alert that is there the one of its group; the last call counts.
func (of *gathered) join(row alertRow) { of.alert, of.joined, of.before = row, true, row.EventCount }

// kept is how many of the findings are kept as events.
func (of *gathered) kept() int { return min(len(of.findings), max(MaxEvents-of.before, 0)) }

// store writes what was gathered.
func (s *Store) store(ctx context.Context, g *gathering) ([]Raised, error) {
	at := database.Micros(g.now)
	for _, of := range g.order {
		if !of.joined {
			of.alert = of.findings[0].row(at)
		}
		of.alert.EventCount = of.before + len(of.findings)
		of.alert.LastEventAt, of.alert.UpdatedAt = at, at
	}
	if err := s.insertAlerts(ctx, g.order); err != nil {
		return nil, err
	}
	if err := s.insertTechniques(ctx, g.order); err != nil {
		return nil, err
	}
	if err := s.insertEvents(ctx, g.order); err != nil {
		return nil, err
	}
	if err := s.countEvents(ctx, g.order); err != nil {
		return nil, err
	}
	if err := s.nameOnces(ctx, g.order); err != nil {
		return nil, err
	}
	return g.raised(), nil
}

// raised reports on every finding, in their order.
func (g *gathering) raised() []Raised {
	all := make([]Raised, 0, len(g.findings))
	for _, f := range g.findings {
		of := g.groups[groupKey{f.HostID, f.Group}]
		r := Raised{Alert: of.alert.alert(), New: !of.joined && of.told == 0}
		if of.told < len(of.events) {
			r.EventID = of.events[of.told]
		}
		of.told++
		all = append(all, r)
	}
	return all
}

// row is the alert that a finding raises.
func (f Finding) row(at int64) alertRow {
	row := alertRow{
		HostID: f.HostID, Source: f.Source, RuleID: f.RuleID, Name: f.Name, GroupKey: f.Group, Severity: f.Severity,
		QueryName: f.QueryName, Action: f.Action, Message: string(f.Columns), ResultID: f.ResultID, UnixTime: f.UnixTime,
		Why: string(f.Why), SourceData: string(f.SourceData), ReconQueries: string(f.ReconQueries),
		TechniqueIDs: listText(f.TechniqueIDs), Tactics: listText(f.Tactics), Status: Open, CreatedAt: at,
	}
	if f.Retro {
		row.Retro = 1
	}
	return row
}

// listText is a list as it is stored.
func listText(list []string) string {
	if list == nil {
		list = []string{}
	}
	text, _ := json.Marshal(list) //nolint:errchkjson // texts always have a JSON form
	return string(text)
}
