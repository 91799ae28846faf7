package distributed

import (
	"context"
	"encoding/json"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// Progress counts the targets of a query. Sent counts those that were handed it
// at least once, whatever became of them; the rest are outcomes.
type Progress struct {
	Targeted, Sent                              int
	Answered, Empty, Failed, Expired, Cancelled int // Failed: error and denylisted
}

// Open is how many targets have no outcome yet.
func (p Progress) Open() int {
	return p.Targeted - p.Answered - p.Empty - p.Failed - p.Expired - p.Cancelled
}

// count adds n tasks of an outcome.
func (p *Progress) count(state State, n int) {
	switch state {
	case Answered:
		p.Answered += n
	case Empty:
		p.Empty += n
	case Failed, Denylisted:
		p.Failed += n
	case Expired:
		p.Expired += n
	case Cancelled:
		p.Cancelled += n
	}
}

// Query is a live query.
type Query struct {
	ID                         int64
	SQL, Description, Username string
	Identifiers, Tags          []string // the targets as they were named; both empty: all hosts
	CreatedAt, ExpiresAt       time.Time
	FinishedAt, CancelledAt    time.Time // zero: not so
	Progress                   Progress
}

// Finished reports whether every target has an outcome.
func (q Query) Finished() bool { return !q.FinishedAt.IsZero() }

// selection is what live_queries.selection holds.
type selection struct {
	Hosts []string `json:"hosts,omitempty"` // stored, not a wire shape
	Tags  []string `json:"tags,omitempty"`
}

// queryRow is a row of live_queries.
type queryRow struct {
	ID                                            int64
	SQL, Description, Username, Selection         string
	CreatedAt, ExpiresAt, FinishedAt, CancelledAt int64
	LastSeq                                       int64
	Progress                                      `gorm:"embedded"`
}

func (r queryRow) query() Query {
	var chosen selection
	_ = json.Unmarshal([]byte(r.Selection), &chosen) // ours; a broken one shows no names
	return Query{
		ID: r.ID, SQL: r.SQL, Description: r.Description, Username: r.Username,
		Identifiers: chosen.Hosts, Tags: chosen.Tags,
		CreatedAt: database.FromMicros(r.CreatedAt), ExpiresAt: database.FromMicros(r.ExpiresAt),
		FinishedAt: database.FromMicros(r.FinishedAt), CancelledAt: database.FromMicros(r.CancelledAt),
		Progress: r.Progress,
	}
}

// errNoQuery is the fault of every method that names a query.
func errNoQuery() error { return fault.New(fault.NotFound, "Live query with this id does not exist") }

// Find returns a query. Faults: NotFound, Busy, Internal.
func (s *Store) Find(ctx context.Context, id int64) (Query, error) {
	row, err := s.findRow(ctx, id)
	return row.query(), err
}

func (s *Store) findRow(ctx context.Context, id int64) (queryRow, error) {
	var rows []queryRow
	if err := s.db.Read(ctx).Raw("SELECT * FROM live_queries WHERE id = ?", id).Scan(&rows).Error; err != nil {
		return queryRow{}, database.Fault(err)
	}
	if len(rows) == 0 {
		return queryRow{}, errNoQuery()
	}
	return rows[0], nil
}

// Filter selects queries of a list.
type Filter struct {
	Open         bool // only those with a target that has no outcome yet
	Start, Limit int  // Limit 0 is 100; at most 1000
}

// List returns queries, the newest first, and how many match. Faults: Busy, Internal.
func (s *Store) List(ctx context.Context, f Filter) (queries []Query, count int, err error) {
	where := ""
	if f.Open {
		where = " WHERE finished_at = 0"
	}
	db := s.db.Read(ctx)
	if err := db.Raw("SELECT count(*) FROM live_queries" + where).Scan(&count).Error; err != nil {
		return nil, 0, database.Fault(err)
	}
	var rows []queryRow
	list := "SELECT * FROM live_queries" + where + " ORDER BY id DESC LIMIT ? OFFSET ?"
	if err := db.Raw(list, pageSize(f.Limit), max(f.Start, 0)).Scan(&rows).Error; err != nil {
		return nil, 0, database.Fault(err)
	}
	for _, row := range rows {
		queries = append(queries, row.query())
	}
	return queries, count, nil
}

func pageSize(limit int) int {
	if limit <= 0 {
		return 100
	}
	return min(limit, 1000)
}
