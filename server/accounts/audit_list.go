package accounts

import (
	"context"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"muster/server/database"
	"muster/server/fault"
)

// AuditFilter chooses entries of the trail. The zero value chooses all.
type AuditFilter struct {
	Action   string    // how the action begins, such as host. or host.remove
	Subject  string    // the whole subject
	Username string    // the whole name
	From, To time.Time // From counts, To does not; zero: no bound
	Start    int       // entries to skip
	Limit    int       // entries to return; 0 = 100
}

// ListAudit returns entries, newest first; count is how many match the filter on
// all pages, total how many there are. Faults: Busy, Internal.
func (s *Store) ListAudit(ctx context.Context, f AuditFilter) (entries []AuditEntry, count, total int, err error) {
	if err := s.db.Read(ctx).Raw("SELECT count(*) FROM audit").Scan(&total).Error; err != nil {
		return nil, 0, 0, database.Fault(err)
	}
	count = total
	where, args := f.where()
	if where != "" {
		if err := s.db.Read(ctx).Raw("SELECT count(*) FROM audit"+where, args...).Scan(&count).Error; err != nil {
			return nil, 0, 0, database.Fault(err)
		}
	}
	var rows []auditRow
	// By time first: that is the order of an index.
	if err := s.db.Read(ctx).Raw("SELECT id, at, user_id, username, address, action, subject, detail FROM audit"+where+
		" ORDER BY at DESC, id DESC LIMIT ? OFFSET ?", append(args, orElse(f.Limit, 100), max(0, f.Start))...).Scan(&rows).Error; err != nil {
		return nil, 0, 0, database.Fault(err)
	}
	entries = make([]AuditEntry, 0, len(rows))
	for _, row := range rows {
		entry, err := row.entry()
		if err != nil {
			return nil, 0, 0, err
		}
		entries = append(entries, entry)
	}
	return entries, count, total, nil
}

type auditRow struct {
	ID, At, UserID                             int64
	Username, Address, Action, Subject, Detail string
}

func (r auditRow) entry() (AuditEntry, error) {
	e := AuditEntry{ID: r.ID, At: database.FromMicros(r.At), UserID: r.UserID, Username: r.Username,
		Address: r.Address, Action: r.Action, Subject: r.Subject}
	if err := json.Unmarshal([]byte(r.Detail), &e.Detail); err != nil {
		return AuditEntry{}, fault.Wrap(err, fault.Internal, "an audit entry cannot be read")
	}
	return e, nil
}

// where renders the filter; empty when it chooses all.
func (f AuditFilter) where() (where string, args []any) {
	var conditions []string
	and := func(condition string, more ...any) {
		conditions, args = append(conditions, condition), append(args, more...)
	}
	if !f.From.IsZero() {
		and("at >= ?", f.From.UnixMicro())
	}
	if !f.To.IsZero() {
		and("at < ?", f.To.UnixMicro())
	}
	if f.Action != "" {
		and("substr(action, 1, ?) = ?", utf8.RuneCountInString(f.Action), f.Action)
	}
	if f.Subject != "" {
		and("subject = ?", f.Subject)
	}
	if f.Username != "" {
		and("username = ?", f.Username)
	}
	if len(conditions) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(conditions, " AND "), args
}
