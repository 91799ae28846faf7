package results

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"muster/server/database"
)

// StatusFilter selects status messages of one host.
type StatusFilter struct {
	HostID int64
	// Search is looked for without regard to case in line, message, severity,
	// file name, version and the time of arrival as 2026-11-21T00:59:32.768726.
	Search string
	Start  int // messages to skip
	Limit  int // 0 means DefaultLimit; more than MaxLimit means MaxLimit
}

// StatusLog is a stored status message.
type StatusLog struct {
	ID, Severity, Line         int64
	Filename, Message, Version string
	Decorations                json.RawMessage // an object, or nil
	Time                       time.Time       // the agent's clock, to the second
	ReceivedAt                 time.Time
}

// StatusLogs returns messages, newest first, and how many there are with the
// search and without it.
func (s *Store) StatusLogs(ctx context.Context, f StatusFilter) (logs []StatusLog, count, total int, err error) {
	where, args := "host_id = ?", []any{f.HostID}
	if total, err = s.count(ctx, "status_logs", where, args); err != nil {
		return nil, 0, 0, err
	}
	count = total
	if f.Search != "" {
		var found []string
		for _, text := range s.statusTexts() {
			found = append(found, contains(s.db.Engine(), text))
			args = append(args, f.Search)
		}
		where += " AND (" + strings.Join(found, " OR ") + ")"
		if count, err = s.count(ctx, "status_logs", where, args); err != nil {
			return nil, 0, 0, err
		}
	}
	logs, err = s.statusPage(ctx, where, args, f)
	return logs, count, total, err
}

// statusTexts are the expressions that a search looks at.
func (s *Store) statusTexts() []string {
	created := `to_char(timestamp '1970-01-01' + received_at * interval '1 microsecond', 'YYYY-MM-DD"T"HH24:MI:SS.US')`
	if s.db.Engine() == database.SQLite {
		created = `strftime('%Y-%m-%dT%H:%M:%S', received_at / 1000000, 'unixepoch') || printf('.%06d', received_at % 1000000)`
	}
	return []string{"message", "filename", "version", "CAST(line AS text)", "CAST(severity AS text)", created}
}

func (s *Store) statusPage(ctx context.Context, where string, args []any, f StatusFilter) ([]StatusLog, error) {
	var found []struct {
		ID, Severity, Line, UnixTime, ReceivedAt int64
		Filename, Message, Version, Decorations  string
	}
	err := s.db.Read(ctx).Raw("SELECT id, severity, line, unix_time, received_at, filename, message, version, decorations FROM status_logs WHERE "+where+
		" ORDER BY id DESC LIMIT ? OFFSET ?", append(slices.Clip(args), limit(f.Limit), max(f.Start, 0))...).Scan(&found).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	logs := make([]StatusLog, len(found))
	for i, r := range found {
		logs[i] = StatusLog{ID: r.ID, Severity: r.Severity, Line: r.Line, Filename: r.Filename, Message: r.Message, Version: r.Version,
			Time: time.Unix(r.UnixTime, 0).UTC(), ReceivedAt: database.FromMicros(r.ReceivedAt)}
		if r.Decorations != "" {
			logs[i].Decorations = json.RawMessage(r.Decorations)
		}
	}
	return logs, nil
}
