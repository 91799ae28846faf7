package accounts

import (
	"context"
	"encoding/json"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// AuditEntry is one change of state and who made it. UserID 0 is nobody signed
// in: the terminal of the machine, or a failed sign-in.
type AuditEntry struct {
	ID                int64
	At                time.Time // set by Record
	UserID            int64
	Username, Address string
	Action            string // what was done, such as host.remove
	Subject           string // to what, such as a host's identifier
	Detail            map[string]any
}

// Record keeps an entry. Its detail must hold no secret: it is shown and kept.
func (s *Store) Record(ctx context.Context, e AuditEntry) error {
	if e.Detail == nil {
		e.Detail = map[string]any{}
	}
	detail, err := json.Marshal(e.Detail)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "Internal server error")
	}
	return database.Fault(s.db.Write(ctx).Exec(
		"INSERT INTO audit (at, user_id, username, address, action, subject, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
		database.Micros(s.o.Now()), e.UserID, e.Username, e.Address, e.Action, e.Subject, string(detail)).Error)
}

// AuditFilter pages the trail; Limit 0 means 100.
type AuditFilter struct {
	Start, Limit int
}

// ListAudit returns entries, newest first, and how many there are.
func (s *Store) ListAudit(ctx context.Context, f AuditFilter) (entries []AuditEntry, count int, err error) {
	var rows []struct {
		ID, At, UserID                             int64
		Username, Address, Action, Subject, Detail string
	}
	if err := s.db.Read(ctx).Raw("SELECT count(*) FROM audit").Scan(&count).Error; err != nil {
		return nil, 0, database.Fault(err)
	}
	err = s.db.Read(ctx).Raw("SELECT id, at, user_id, username, address, action, subject, detail FROM audit ORDER BY id DESC LIMIT ? OFFSET ?",
		orElse(f.Limit, 100), f.Start).Scan(&rows).Error
	if err != nil {
		return nil, 0, database.Fault(err)
	}
	entries = make([]AuditEntry, 0, len(rows))
	for _, r := range rows {
		e := AuditEntry{ID: r.ID, At: database.FromMicros(r.At), UserID: r.UserID, Username: r.Username, Address: r.Address, Action: r.Action, Subject: r.Subject}
		if err := json.Unmarshal([]byte(r.Detail), &e.Detail); err != nil {
			return nil, 0, fault.Wrap(err, fault.Internal, "an audit entry cannot be read")
		}
		entries = append(entries, e)
	}
	return entries, count, nil
}
