package results

import (
	"context"
	"slices"
	"strings"

	"muster/server/database"
	"muster/server/fault"
)

// Bounds of what one call of Activity or StatusLogs returns.
const (
	DefaultLimit = 100
	MaxLimit     = 10_000
)

// ActivityFilter selects rows that one host reported for one query.
type ActivityFilter struct {
	HostID int64
	Name   string // of the query
	Search string // in any value of the columns, without regard to case; empty for all
	Start  int    // rows to skip
	Limit  int    // 0 means DefaultLimit; more than MaxLimit means MaxLimit
}

// Activity returns rows that are not of action removed, newest first, and how
// many there are with the search and without it.
func (s *Store) Activity(ctx context.Context, f ActivityFilter) (rows []Row, count, total int, err error) {
	where, args := "host_id = ? AND name = ? AND action <> 'removed'", []any{f.HostID, f.Name}
	if total, err = s.count(ctx, "results", where, args); err != nil {
		return nil, 0, 0, err
	}
	if f.Search == "" {
		rows, err = s.activityPage(ctx, where, args, f)
		return rows, total, total, err
	}
	args = append(args, f.Search)
	values := where + " AND " + s.valuesContain()
	count, err = s.count(ctx, "results", values, args)
	if fault.Is(err, fault.Internal) {
		// The engine's JSON functions refuse some row, for instance one with the
		// escape \u0000. The search must not fail for good, so it looks at the text.
		values = where + " AND " + contains(s.db.Engine(), "columns")
		count, err = s.count(ctx, "results", values, args)
	}
	if err != nil {
		return nil, 0, 0, err
	}
	rows, err = s.activityPage(ctx, values, args, f)
	return rows, count, total, err
}

// valuesContain is the condition that some value in columns holds the one
// argument. SQLite gives back the text of what is no text: a number as it was
// written, true rather than 1.
func (s *Store) valuesContain() string {
	each, value := "json_each_text(columns::json)", "field.value"
	if s.db.Engine() == database.SQLite {
		each = "json_each(columns)"
		value = "CASE field.type WHEN 'text' THEN field.value WHEN 'null' THEN NULL ELSE columns -> field.key END"
	}
	return "EXISTS (SELECT 1 FROM " + each + " AS field WHERE " + contains(s.db.Engine(), value) + ")"
}

func (s *Store) activityPage(ctx context.Context, where string, args []any, f ActivityFilter) ([]Row, error) {
	return readRows(s.db.Read(ctx).Raw("SELECT "+rowFields+" FROM results WHERE "+where+
		" ORDER BY id DESC LIMIT ? OFFSET ?", append(slices.Clip(args), limit(f.Limit), max(f.Start, 0))...))
}

// NameCount is how many rows a host reported for a query.
type NameCount struct {
	Name  string
	Count int
}

// ActivityCounts returns, by name, every query that the host has stored rows of,
// whatever their action.
func (s *Store) ActivityCounts(ctx context.Context, hostID int64) ([]NameCount, error) {
	counts := []NameCount{}
	err := s.db.Read(ctx).Raw("SELECT name, count(*) AS count FROM results WHERE host_id = ? GROUP BY name", hostID).Scan(&counts).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	slices.SortFunc(counts, func(a, b NameCount) int { return strings.Compare(a.Name, b.Name) })
	return counts, nil
}

func (s *Store) count(ctx context.Context, table, where string, args []any) (int, error) {
	var n int
	err := s.db.Read(ctx).Raw("SELECT count(*) FROM "+table+" WHERE "+where, args...).Scan(&n).Error
	return n, database.Fault(err)
}

// contains is the condition that an expression holds the next argument, without
// regard to case and without wildcards.
func contains(engine database.Engine, expression string) string {
	if engine == database.SQLite {
		return "instr(lower(" + expression + "), lower(?)) > 0"
	}
	return "strpos(lower(" + expression + "), lower(?)) > 0"
}

func limit(asked int) int {
	if asked <= 0 {
		return DefaultLimit
	}
	return min(asked, MaxLimit)
}
