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
