package alerts

import (
	"cmp"
	"context"
	"slices"
	"time"

	"muster/server/attack"
	"muster/server/database"
)

// claim returns the findings that may be raised: those without a Once, and the
// first of each Once that nobody raised before. Keys are claimed in their order,
// so that two transactions cannot wait for each other.
func (s *Store) claim(ctx context.Context, findings []Finding) ([]Finding, error) {
	var keys []string
	for _, f := range findings {
		if f.Once != "" {
			keys = append(keys, f.Once)
		}
	}
	if len(keys) == 0 {
		return findings, nil
	}
	slices.Sort(keys)
	var rows records
	for _, key := range slices.Compact(keys) {
		rows = append(rows, []any{key})
	}
	arg, err := rows.arg()
	if err != nil {
		return nil, err
	}
	var claimed []string
	err = s.db.Write(ctx).Raw("INSERT INTO alert_onces (once_key) SELECT f.once_key FROM "+s.recordsFrom("once_key text")+
		" WHERE 1 = 1 ORDER BY f.n ON CONFLICT DO NOTHING RETURNING once_key", arg).Scan(&claimed).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	free := make(map[string]bool, len(claimed))
	for _, key := range claimed {
		free[key] = true
	}
	kept := make([]Finding, 0, len(findings))
	for _, f := range findings {
		if f.Once == "" || free[f.Once] {
			delete(free, f.Once)
			kept = append(kept, f)
		}
	}
	return kept, nil
}

// young returns the alerts that take events of the groups, the newest of a group
// last, and keeps others from changing them until the transaction ends.
func (s *Store) young(ctx context.Context, groups []*gathered, after time.Time) ([]alertRow, error) {
	var keys records
	for _, of := range groups {
		keys = append(keys, []any{of.key.host, of.key.group})
	}
	arg, err := keys.arg()
	if err != nil {
		return nil, err
	}
	lock := locking(s.db)
	if lock != "" {
		lock += " OF a"
	}
	var rows []alertRow
	err = s.db.Read(ctx).Raw("SELECT "+alertFields+" FROM "+s.recordsFrom("host_id bigint", "group_key text")+
		" JOIN alerts a ON a.host_id = f.host_id AND a.group_key = f.group_key WHERE a.created_at > ? AND a.status <> 'resolved' ORDER BY a.id"+lock,
		arg, database.Micros(after)).Scan(&rows).Error
	return rows, database.Fault(err)
}

// insertAlerts stores the alerts that are new and fills in their ids. Ids rise in
// the order of the rows, whoever else inserts meanwhile.
func (s *Store) insertAlerts(ctx context.Context, groups []*gathered) error {
	var rows records
	var fresh []*gathered
	for _, of := range groups {
		if r := of.alert; !of.joined {
			fresh = append(fresh, of)
			rows = append(rows, []any{
				r.HostID, r.Source, r.RuleID, r.Name, r.GroupKey, r.Severity, r.QueryName, r.Action, r.Message, r.ResultID, r.UnixTime, r.Why,
				r.SourceData, r.ReconQueries, r.TechniqueIDs, r.Tactics, r.Retro, r.EventCount, r.CreatedAt, r.LastEventAt, r.UpdatedAt,
			})
		}
	}
	ids, err := s.insert(ctx, "alerts", rows, "host_id bigint", "source text", "rule_id bigint", "name text", "group_key text", "severity text",
		"query_name text", "action text", "message text", "result_id bigint", "unix_time bigint", "why text", "source_data text", "recon_queries text",
		"technique_ids text", "tactics text", "retro bigint", "event_count bigint", "created_at bigint", "last_event_at bigint", "updated_at bigint")
	for i, id := range ids {
		fresh[i].alert.ID = id
	}
	return err
}

// insertEvents stores the events that are kept and notes their ids.
func (s *Store) insertEvents(ctx context.Context, groups []*gathered) error {
	var rows records
	for _, of := range groups {
		for _, f := range of.findings[:of.kept()] {
			rows = append(rows, []any{of.alert.ID, f.QueryName, f.Action, string(f.Columns), string(f.Why), f.ResultID, f.UnixTime, of.alert.LastEventAt})
		}
	}
	ids, err := s.insert(ctx, "alert_events", rows, "alert_id bigint", "query_name text", "action text", "columns text", "why text",
		"result_id bigint", "unix_time bigint", "created_at bigint")
	if err != nil {
		return err
	}
	for _, of := range groups {
		of.events, ids = ids[:of.kept()], ids[of.kept():]
	}
	return nil
}

// insertTechniques makes new alerts be found by their techniques; one of a
// sub-technique is found by the technique as well.
func (s *Store) insertTechniques(ctx context.Context, groups []*gathered) error {
	var rows records
	for _, of := range groups {
		if of.joined {
			continue
		}
		var ids []string
		for _, id := range of.findings[0].TechniqueIDs {
			ids = append(ids, id, attack.Parent(id))
		}
		slices.Sort(ids)
		for _, id := range slices.Compact(ids) {
			rows = append(rows, []any{id, of.alert.ID})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	arg, err := rows.arg()
	if err != nil {
		return err
	}
	return database.Fault(s.db.Write(ctx).Exec("INSERT INTO alert_techniques (technique_id, alert_id) SELECT f.technique_id, f.alert_id FROM "+
		s.recordsFrom("technique_id text", "alert_id bigint")+" WHERE 1 = 1", arg).Error)
}

// countEvents adds to the counts of the alerts that were there.
func (s *Store) countEvents(ctx context.Context, groups []*gathered) error {
	var rows records
	for _, of := range groups {
		if of.joined {
			rows = append(rows, []any{of.alert.ID, of.alert.EventCount, of.alert.LastEventAt})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	arg, err := rows.arg()
	if err != nil {
		return err
	}
	return database.Fault(s.db.Write(ctx).Exec("UPDATE alerts SET event_count = f.event_count, last_event_at = f.at, updated_at = f.at FROM "+
		s.recordsFrom("id bigint", "event_count bigint", "at bigint")+" WHERE alerts.id = f.id", arg).Error)
}

// nameOnces notes which alert each claimed Once went into.
func (s *Store) nameOnces(ctx context.Context, groups []*gathered) error {
	var rows records
	for _, of := range groups {
		for _, f := range of.findings {
			if f.Once != "" {
				rows = append(rows, []any{f.Once, of.alert.ID})
			}
		}
	}
	if len(rows) == 0 {
		return nil
	}
	arg, err := rows.arg()
	if err != nil {
		return err
	}
	return database.Fault(s.db.Write(ctx).Exec("UPDATE alert_onces SET alert_id = f.alert_id FROM "+
		s.recordsFrom("once_key text", "alert_id bigint")+" WHERE alert_onces.once_key = f.once_key", arg).Error)
}

// insert stores rows in a table and returns their ids in the order of the rows.
func (s *Store) insert(ctx context.Context, table string, rows records, columns ...string) ([]int64, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	arg, err := rows.arg()
	if err != nil {
		return nil, err
	}
	names := columnNames(columns)
	var ids []int64
	err = s.db.Write(ctx).Raw("INSERT INTO "+table+" ("+names+") SELECT "+names+" FROM "+s.recordsFrom(columns...)+
		" WHERE 1 = 1 ORDER BY f.n RETURNING id", arg).Scan(&ids).Error
	slices.SortFunc(ids, cmp.Compare[int64])
	return ids, database.Fault(err)
}
