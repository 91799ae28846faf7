package alerts

import (
	"context"

	"muster/server/database"
)

// CountBySource counts the alerts that List would return, by source and severity;
// what has none is left out. Faults: Busy, Internal.
func (s *Store) CountBySource(ctx context.Context, f Filter) (map[Source]map[string]int, error) {
	where, args := s.where(f)
	var rows []struct {
		Source   Source
		Severity string
		Count    int
	}
	err := s.db.Read(ctx).Raw("SELECT a.source, a.severity, count(*) AS count"+where+" GROUP BY a.source, a.severity", args...).Scan(&rows).Error
	counts := map[Source]map[string]int{}
	for _, r := range rows {
		if counts[r.Source] == nil {
			counts[r.Source] = map[string]int{}
		}
		counts[r.Source][r.Severity] = r.Count
	}
	return counts, database.Fault(err)
}

// RuleCount is how many alerts a rule has. Name is that of its newest alert.
type RuleCount struct {
	RuleID int64
	Name   string
	Count  int
}

// HostCount is how many alerts a host has.
type HostCount struct {
	HostID int64
	Count  int
}

// QueryCount is how many alerts the rows of a query have raised.
type QueryCount struct {
	Name  string
	Count int
}

// Top is what has the most alerts, the most first.
type Top struct {
	Rules   []RuleCount // alerts of rules only
	Hosts   []HostCount
	Queries []QueryCount // alerts that have a query
}

// Top counts the alerts that List would return and names at most n of each kind.
// Faults: Busy, Internal.
func (s *Store) Top(ctx context.Context, f Filter, n int) (Top, error) {
	top := Top{Rules: []RuleCount{}, Hosts: []HostCount{}, Queries: []QueryCount{}}
	where, args := s.where(f)
	args = append(args, n)
	err := s.db.View(ctx, func(view *database.DB) error {
		db := view.Read(ctx)
		err := db.Raw("SELECT c.rule_id, newest.name, c.count FROM (SELECT a.rule_id, count(*) AS count, max(a.id) AS newest_id"+where+
			" AND a.rule_id > 0 GROUP BY a.rule_id ORDER BY count DESC, a.rule_id LIMIT ?) c JOIN alerts newest ON newest.id = c.newest_id"+
			" ORDER BY c.count DESC, c.rule_id", args...).Scan(&top.Rules).Error
		if err != nil {
			return err
		}
		err = db.Raw("SELECT a.host_id, count(*) AS count"+where+" GROUP BY a.host_id ORDER BY count DESC, a.host_id LIMIT ?", args...).Scan(&top.Hosts).Error
		if err != nil {
			return err
		}
		return db.Raw("SELECT a.query_name AS name, count(*) AS count"+where+
			" AND a.query_name <> '' GROUP BY a.query_name ORDER BY count DESC, min(a.id) LIMIT ?", args...).Scan(&top.Queries).Error
	})
	return top, database.Fault(err)
}

// CountByRule is how many alerts that are not resolved each rule has, of hosts
// that are active; rules without one are left out. Faults: Busy, Internal.
func (s *Store) CountByRule(ctx context.Context) (map[int64]int, error) {
	unresolved := false
	where, args := s.where(Filter{Resolved: &unresolved})
	var rows []RuleCount
	err := s.db.Read(ctx).Raw("SELECT a.rule_id, count(*) AS count"+where+" AND a.rule_id > 0 GROUP BY a.rule_id", args...).Scan(&rows).Error
	counts := make(map[int64]int, len(rows))
	for _, r := range rows {
		counts[r.RuleID] = r.Count
	}
	return counts, database.Fault(err)
}
