package distributed

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"muster/server/database"
	"muster/server/fault"
	"muster/server/hosts"
	"muster/server/osquery"
)

// How long a query waits for its targets.
const (
	DefaultExpiry = time.Hour
	MinExpiry     = 10 * time.Second
	MaxExpiry     = 7 * 24 * time.Hour
)

// insertChunk is how many tasks one statement inserts.
const insertChunk = 1000

// Launch is a query to start.
type Launch struct {
	SQL, Description, Username string
	Identifiers, Tags          []string      // hosts named so or tagged so, each once; both empty: every active host
	Expires                    time.Duration // 0 is DefaultExpiry
}

// Launched is a query that was started.
type Launched struct {
	Query   Query
	Targets []*hosts.Host // online or not: those that come back before it expires get it
	Online  []*hosts.Host // the targets that are online now
}

// Launch starts a query: every target has a task when it returns.
//
// Faults: Unprocessable, the SQL (see osquery.Check); Invalid, an expiry out of
// bounds; NotFound, an unknown name or no host at all; Busy, Internal.
func (s *Store) Launch(ctx context.Context, l Launch) (Launched, error) {
	l.SQL = strings.TrimSpace(l.SQL)
	if l.Expires == 0 {
		l.Expires = DefaultExpiry
	}
	if l.Expires < MinExpiry || l.Expires > MaxExpiry {
		return Launched{}, fault.Fields(map[string]string{"expires": "must be between 10 seconds and 7 days"})
	}
	if err := osquery.Check(ctx, l.SQL); err != nil {
		return Launched{}, err
	}
	targets, unknown, err := s.hosts.Targets(ctx, l.Identifiers, l.Tags)
	switch {
	case err != nil:
		return Launched{}, err
	case len(unknown) > 0:
		return Launched{}, fault.New(fault.NotFound, "No active node or tag is called %s", strings.Join(firstFew(unknown), ", "))
	case len(targets) == 0:
		return Launched{}, fault.New(fault.NotFound, "No active node present")
	}
	row, err := s.insert(ctx, l, targets)
	if err != nil {
		return Launched{}, err
	}
	tasks := make([]openTask, len(targets))
	launched := Launched{Query: row.query(), Targets: targets}
	for i, host := range targets {
		tasks[i].HostID = host.ID
		if host.Online(s.Now()) {
			launched.Online = append(launched.Online, host)
		}
	}
	s.open.add(openQuery{ID: row.ID, SQL: row.SQL, ExpiresAt: row.ExpiresAt}, tasks)
	s.bus.Publish(topicOpen)
	return launched, nil
}

func firstFew(names []string) []string {
	if len(names) > 10 {
		return append(names[:10:10], "...")
	}
	return names
}

func (s *Store) insert(ctx context.Context, l Launch, targets []*hosts.Host) (queryRow, error) {
	chosen, err := json.Marshal(selection{Hosts: l.Identifiers, Tags: l.Tags})
	if err != nil {
		return queryRow{}, fault.Wrap(err, fault.Internal, "Internal server error")
	}
	now := s.Now()
	row := queryRow{
		SQL: l.SQL, Description: l.Description, Username: l.Username, Selection: string(chosen),
		CreatedAt: now.UnixMicro(), ExpiresAt: now.Add(l.Expires).UnixMicro(), Progress: Progress{Targeted: len(targets)},
	}
	err = s.db.Tx(ctx, func(tx *database.DB) error {
		err := tx.Write(ctx).Raw("INSERT INTO live_queries (sql, description, username, selection, created_at, expires_at, targeted)"+
			" VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
			row.SQL, row.Description, row.Username, row.Selection, row.CreatedAt, row.ExpiresAt, row.Targeted).Scan(&row.ID).Error
		for start := 0; err == nil && start < len(targets); start += insertChunk {
			err = insertTasks(ctx, tx, row.ID, targets[start:min(start+insertChunk, len(targets))])
		}
		return err
	})
	return row, err
}

func insertTasks(ctx context.Context, tx *database.DB, queryID int64, targets []*hosts.Host) error {
	args := make([]any, 0, 2*len(targets))
	for _, host := range targets {
		args = append(args, queryID, host.ID)
	}
	return tx.Write(ctx).Exec("INSERT INTO live_tasks (query_id, host_id) VALUES "+questionMarks("(?,?)", len(targets)), args...).Error
}
