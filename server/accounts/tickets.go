package accounts

import (
	"context"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// TicketLifetime is how long a ticket waits to be used.
const TicketLifetime = 30 * time.Second

// Ticket returns a text that opens one connection as the account, once, within
// 30 s: for places where a token must not stand, such as the URL of a WebSocket.
func (s *Store) Ticket(ctx context.Context, a *Account) (string, error) {
	return s.insertSession(ctx, newSession{UserID: a.ID, ParentID: a.SessionID, Kind: kindTicket, Lifetime: TicketLifetime})
}

// RedeemTicket uses a ticket up and returns the account whose session made it.
// Faults: Unauthenticated for a ticket that is unknown, used, too old, or whose
// session has ended; Busy, Internal.
func (s *Store) RedeemTicket(ctx context.Context, ticket string) (*Account, error) {
	hash, ok := hashToken(ticket)
	if !ok {
		return nil, errInvalidToken
	}
	now := s.o.Now()
	var parents []int64
	err := s.db.Write(ctx).Raw("DELETE FROM sessions WHERE token_hash = ? AND kind = 'ticket' AND expires_at > ? RETURNING parent_id",
		hash[:], database.Micros(now)).Scan(&parents).Error
	if err != nil {
		return nil, database.Fault(err)
	}
	if len(parents) == 0 {
		return nil, errInvalidToken
	}
	row, err := s.findSession(ctx, "WHERE s.id = ?", parents[0])
	if err != nil {
		return nil, err
	}
	if err := row.check(now, s.o.Idle); err != nil {
		return nil, err
	}
	return row.account(), nil
}

// IssueToken makes a token for username without a password: for the terminal of
// the machine itself, which holds the database anyway. It ends after lifetime and
// does not idle out. Faults: NotFound, Invalid for a lifetime that is not positive.
func (s *Store) IssueToken(ctx context.Context, username string, lifetime time.Duration) (string, error) {
	if lifetime <= 0 {
		return "", fault.New(fault.Invalid, "The lifetime of a token must be positive")
	}
	user, err := s.findUser(ctx, username)
	if err != nil {
		return "", err
	}
	if user.DisabledAt != 0 {
		return "", fault.New(fault.NotFound, "The user %s is disabled", username)
	}
	token := ""
	err = s.db.Tx(ctx, func(tx *database.DB) error {
		inTx := s.With(tx)
		if token, err = inTx.insertSession(ctx, newSession{UserID: user.ID, Kind: kindToken, Address: local, Lifetime: lifetime}); err != nil {
			return err
		}
		return inTx.Record(ctx, AuditEntry{Address: local, Action: "token.issue", Subject: user.Username})
	})
	if err != nil {
		return "", err
	}
	return token, nil
}
