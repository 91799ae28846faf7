package carves

import (
	"context"
	"math"
	"strings"

	"muster/server/database"
)

// Filter chooses carves.
type Filter struct {
	HostID     int64  // 0: of every host
	QueryID    int64  // 0: whatever asked for them
	Search     string // part of a session id, guid, archive name or hostname, in any case
	ActiveOnly bool   // leave out those of hosts that were removed or deleted
	Start      int
	Limit      int // 0: all
}

// List returns the chosen carves, newest first. count is how many match the
// filter on all pages, total how many match without its Search.
func (s *Store) List(ctx context.Context, f Filter) (rows []*Carve, count, total int, err error) {
	rows = []*Carve{}
	from, args := scope(f)
	if total, err = s.count(ctx, from, args); err != nil {
		return nil, 0, 0, err
	}
	count = total
	if search := strings.TrimSpace(f.Search); search != "" {
		if !storable(search) {
			return rows, 0, total, nil
		}
		condition, more := s.contains(search)
		from, args = from+condition, append(args, more...)
		if count, err = s.count(ctx, from, args); err != nil {
			return nil, 0, 0, err
		}
	}
	limit := int64(f.Limit)
	if limit <= 0 {
		limit = math.MaxInt64
	}
	var found []carveRow
	err = s.db.Read(ctx).Raw("SELECT "+columns+from+" ORDER BY c.id DESC LIMIT ? OFFSET ?", append(args, limit, max(f.Start, 0))...).Scan(&found).Error
	if err != nil {
		return nil, 0, 0, database.Fault(err)
	}
	for _, row := range found {
		rows = append(rows, row.carve())
	}
	return rows, count, total, nil
}

// scope renders everything of a filter but its search and page.
func scope(f Filter) (from string, args []any) {
	from = " FROM carves c LEFT JOIN hosts h ON h.id = c.host_id WHERE 1 = 1"
	if f.HostID != 0 {
		from, args = from+" AND c.host_id = ?", append(args, f.HostID)
	}
	if f.QueryID != 0 {
		from, args = from+" AND c.query_id = ?", append(args, f.QueryID)
	}
	if f.ActiveOnly {
		from += " AND h.state = 'active'"
	}
	return from, args
}

// contains renders a search. Not LIKE: text has no wildcards.
func (s *Store) contains(search string) (condition string, args []any) {
	position := "instr"
	if s.db.Engine() == database.Postgres {
		position = "strpos"
	}
	var parts []string
	for _, column := range []string{"c.session_id", "c.carve_guid", "c.archive", "coalesce(h.hostname, '')"} {
		parts = append(parts, position+"(lower("+column+"), lower(?)) > 0")
		args = append(args, search)
	}
	return " AND (" + strings.Join(parts, " OR ") + ")", args
}

func (s *Store) count(ctx context.Context, from string, args []any) (int, error) {
	var n int
	err := s.db.Read(ctx).Raw("SELECT count(*)"+from, args...).Scan(&n).Error
	return n, database.Fault(err)
}

// Completed returns the ids of complete carves below an id, the newest first. Faults:
// those of the database.
func (s *Store) Completed(ctx context.Context, below int64, limit int) ([]int64, error) {
	var ids []int64
	err := s.db.Read(ctx).Raw("SELECT id FROM carves WHERE id < ? AND status = ? ORDER BY id DESC LIMIT ?", below, Completed, limit).Scan(&ids).Error
	return ids, database.Fault(err)
}
