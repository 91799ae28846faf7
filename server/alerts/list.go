package alerts

import (
	"context"
	"strings"
	"time"

	"muster/server/database"
)

// MaxLimit bounds a page of List, Events or History.
const MaxLimit = 10_000

// Nobody as an assignee of a Filter finds alerts that nobody is assigned to.
const Nobody = "-"

// Filter chooses alerts of hosts that are active. The zero value chooses all.
type Filter struct {
	Source   Source
	Resolved *bool
	Status   Status
	Verdict  Verdict
	IDs      []int64 // any of these; none is all
	// From and To bound when an alert was raised: From is in it and To is not. The
	// zero time bounds nothing.
	From, To  time.Time
	HostID    int64
	RuleID    int64
	QueryName string
	Technique string // of ATT&CK; a technique finds its sub-techniques too
	Severity  string
	Assignee  string // a username, or Nobody
	// Search is a part of the name, severity, name of the host, name of the query or
	// the time in UTC, whatever the case.
	Search string
	Start  int
	Limit  int // 0 means all up to MaxLimit
}

// List returns alerts, the newest first: count is how many match the filter on all
// pages, total how many match without its Search. Faults: Busy, Internal.
func (s *Store) List(ctx context.Context, f Filter) (rows []Alert, count, total int, err error) {
	err = s.db.View(ctx, func(view *database.DB) error {
		where, args := s.where(f)
		db := view.Read(ctx)
		if err := db.Raw("SELECT count(*)"+where, args...).Scan(&total).Error; err != nil {
			return err
		}
		count = total
		if f.Search != "" {
			condition, more := s.contains(f.Search)
			where, args = where+condition, append(args, more...)
			if err := db.Raw("SELECT count(*)"+where, args...).Scan(&count).Error; err != nil {
				return err
			}
		}
		var found []alertRow
		err := db.Raw("SELECT "+alertFields+where+" ORDER BY a.id DESC LIMIT ? OFFSET ?", append(args, limit(f.Limit), max(f.Start, 0))...).Scan(&found).Error
		rows = make([]Alert, 0, len(found))
		for _, row := range found {
			rows = append(rows, row.alert())
		}
		return err
	})
	return rows, count, total, database.Fault(err)
}

func limit(asked int) int {
	if asked <= 0 {
		return MaxLimit
	}
	return min(asked, MaxLimit)
}

// where renders everything of a filter but its search and page, from FROM on.
func (s *Store) where(f Filter) (where string, args []any) {
	where = " FROM alerts a WHERE a.host_id NOT IN (SELECT h.id FROM hosts h WHERE h.state <> 'active')"
	add := func(condition string, more ...any) { where, args = where+" AND "+condition, append(args, more...) }
	if f.Resolved != nil && *f.Resolved {
		add("a.status = 'resolved'")
	} else if f.Resolved != nil {
		add("a.status <> 'resolved'")
	}
	for _, equal := range []struct{ column, value string }{
		{"a.source", string(f.Source)}, {"a.status", string(f.Status)}, {"a.verdict", string(f.Verdict)},
		{"a.query_name", f.QueryName}, {"a.severity", f.Severity}, {"a.assignee", somebody(f.Assignee)},
	} {
		if equal.value != "" {
			add(equal.column+" = ?", storable(equal.value))
		}
	}
	if len(f.IDs) > 0 {
		add("a.id IN ?", f.IDs)
	}
	if !f.From.IsZero() {
		add("a.created_at >= ?", database.Micros(f.From))
	}
	if !f.To.IsZero() {
		add("a.created_at < ?", database.Micros(f.To))
	}
	if f.HostID != 0 {
		add("a.host_id = ?", f.HostID)
	}
	if f.RuleID != 0 {
		add("a.rule_id = ?", f.RuleID)
	}
	if f.Technique != "" {
		add("a.id IN (SELECT t.alert_id FROM alert_techniques t WHERE t.technique_id = ?)", storable(f.Technique))
	}
	if f.Assignee == Nobody {
		add("a.assignee = ''")
	}
	return where, args
}

// contains renders a search. Not LIKE: text has no wildcards.
func (s *Store) contains(search string) (condition string, args []any) {
	position, raised := "instr", "strftime('%Y-%m-%d %H:%M:%S', a.created_at / 1000000, 'unixepoch')"
	if s.db.Engine() == database.Postgres {
		position, raised = "strpos", "to_char(to_timestamp(a.created_at / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
	}
	has := func(columns ...string) string {
		parts := make([]string, 0, len(columns))
		for _, column := range columns {
			parts = append(parts, position+"(lower("+column+"), lower(?)) > 0")
			args = append(args, storable(search))
		}
		return strings.Join(parts, " OR ")
	}
	return " AND (" + has("a.name", "a.severity", "a.query_name", raised) +
		" OR a.host_id IN (SELECT h.id FROM hosts h WHERE " + has("h.hostname", "h.computer_name", "h.identifier") + "))", args
}

// storable is a text that both engines take as an argument.
func storable(t string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(t, "\uFFFD"), "\x00", "\uFFFD")
}

// somebody is the username of a filter; empty for nobody, and for anybody.
func somebody(assignee string) string {
	if assignee == Nobody {
		return ""
	}
	return assignee
}
