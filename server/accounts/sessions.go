package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// What a row of sessions is: somebody's sign-in, a token made at the terminal
// (which does not idle out), or a ticket.
const (
	kindSession = "session"
	kindToken   = "token"
	kindTicket  = "ticket"
)

// touchEvery is how often a session's last use is written.
const touchEvery = time.Minute

// maxUserAgent bounds what is kept of a User-Agent, in bytes.
const maxUserAgent = 256

type sessionRow struct {
	ID, UserID                        int64
	Kind, Username, Role              string
	LastUsedAt, ExpiresAt, DisabledAt int64
}

const selectSession = `SELECT s.id, s.user_id, s.kind, s.last_used_at, s.expires_at, u.username, u.role, u.disabled_at
	FROM sessions s JOIN users u ON u.id = s.user_id `

func (r *sessionRow) account() *Account {
	return &Account{ID: r.UserID, Username: r.Username, Role: r.Role, SessionID: r.ID}
}

// check says whether the session is alive at now.
func (r *sessionRow) check(now time.Time, idle time.Duration) error {
	us := database.Micros(now)
	switch {
	case r.DisabledAt != 0, r.Kind == kindTicket:
		return errInvalidToken
	case r.ExpiresAt <= us, r.Kind == kindSession && r.LastUsedAt+idle.Microseconds() <= us:
		return errExpiredToken
	}
	return nil
}

// Authenticate returns the account that token belongs to. A token is believed
// for CacheFor without asking the database; revocation in this process is at once.
// Faults: Unauthenticated for a token that is definitely unknown or expired,
// Busy or Internal when storage fails.
func (s *Store) Authenticate(ctx context.Context, token string) (*Account, error) {
	hash, ok := hashToken(token)
	if !ok {
		return nil, errInvalidToken
	}
	now := s.o.Now()
	row, generation := s.cache.get(hash, now)
	isCached := row != nil
	if !isCached {
		var err error
		if row, err = s.findSession(ctx, "WHERE s.token_hash = ?", hash[:]); err != nil {
			return nil, err
		}
	}
	if err := row.check(now, s.o.Idle); err != nil {
		return nil, err
	}
	if !isCached {
		s.touch(ctx, row, now)
		s.cache.put(hash, row, now, generation)
	}
	return row.account(), nil
}

// Check tells whether the session behind an account still stands, without using
// it: for connections that outlive their request. It may be asked often: what was
// read is believed as in Authenticate. Faults: as Authenticate.
func (s *Store) Check(ctx context.Context, a *Account) error {
	now, id := s.o.Now(), keyOf("session", strconv.FormatInt(a.SessionID, 10))
	row, generation := s.cache.get(id, now)
	if row == nil {
		var err error
		if row, err = s.findSession(ctx, "WHERE s.id = ?", a.SessionID); err != nil {
			return err
		}
		s.cache.put(id, row, now, generation)
	}
	return row.check(now, s.o.Idle)
}

// Revoked returns a channel that is closed when this process next ends a session:
// then Check again. What other processes end shows in Check within CacheFor.
func (s *Store) Revoked() <-chan struct{} { return s.cache.next() }

func (s *Store) findSession(ctx context.Context, where string, arg any) (*sessionRow, error) {
	var rows []sessionRow
	if err := s.db.Read(ctx).Raw(selectSession+where, arg).Scan(&rows).Error; err != nil {
		return nil, database.Fault(err)
	}
	if len(rows) == 0 {
		return nil, errInvalidToken
	}
	return &rows[0], nil
}

// touch writes the last use, at most once a minute. That it fails is no reason
// to refuse the request: the next use tries again.
func (s *Store) touch(ctx context.Context, row *sessionRow, now time.Time) {
	us, due := database.Micros(now), database.Micros(now.Add(-touchEvery))
	if row.LastUsedAt > due {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	err := s.db.Write(ctx).Exec("UPDATE sessions SET last_used_at = ? WHERE id = ? AND last_used_at <= ?", us, row.ID, due).Error
	if err == nil {
		row.LastUsedAt = us
	}
}

// Logout ends the session of token, with its tickets. Faults: Unauthenticated
// for a token that is unknown or has ended already, Busy, Internal.
func (s *Store) Logout(ctx context.Context, token, address string) error {
	hash, ok := hashToken(token)
	if !ok {
		return fault.New(fault.Unauthenticated, "API key passed is invalid")
	}
	err := s.db.Tx(ctx, func(tx *database.DB) error {
		inTx := s.With(tx)
		row, err := inTx.findSession(ctx, "WHERE s.kind <> 'ticket' AND s.token_hash = ?", hash[:])
		if err == nil {
			err = row.check(s.o.Now(), s.o.Idle)
		}
		if fault.Is(err, fault.Unauthenticated) {
			return fault.New(fault.Unauthenticated, "API key passed is invalid")
		}
		if err != nil {
			return err
		}
		if err := inTx.end(ctx, "id = ? OR parent_id = ?", row.ID, row.ID); err != nil {
			return err
		}
		return inTx.Record(ctx, AuditEntry{UserID: row.UserID, Username: row.Username, Address: address, Action: "logout"})
	})
	if !fault.Is(err, fault.Unauthenticated) { // made-up tokens drop nobody's cache
		s.cache.forget()
	}
	return err
}

// end ends the sessions that match. Their rows stay for endedFor, so that their
// tokens are told from ones that never were.
func (s *Store) end(ctx context.Context, where string, args ...any) error {
	now := database.Micros(s.o.Now())
	return database.Fault(s.db.Write(ctx).Exec("UPDATE sessions SET expires_at = ? WHERE expires_at > ? AND ("+where+")",
		append([]any{now, now}, args...)...).Error)
}

type newSession struct {
	UserID, ParentID         int64
	Kind, Address, UserAgent string
	Lifetime                 time.Duration
}

func (s *Store) insertSession(ctx context.Context, n newSession) (token string, err error) {
	token, hash := newToken()
	now := s.o.Now()
	n.UserAgent = strings.ToValidUTF8(n.UserAgent[:min(len(n.UserAgent), maxUserAgent)], "")
	err = s.db.Write(ctx).Exec(`INSERT INTO sessions
		(user_id, token_hash, kind, parent_id, address, user_agent, created_at, last_used_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		n.UserID, hash[:], n.Kind, n.ParentID, n.Address, n.UserAgent, database.Micros(now), database.Micros(now),
		database.Micros(now.Add(n.Lifetime))).Error
	return token, database.Fault(err)
}

// newToken makes 256 random bits; crypto/rand never fails.
func newToken() (token string, hash key) {
	var raw [32]byte
	_, _ = rand.Read(raw[:])
	token = base64.RawURLEncoding.EncodeToString(raw[:])
	return token, sha256.Sum256([]byte(token))
}

// hashToken refuses what cannot be a token, so that nothing is asked for it.
func hashToken(token string) (key, bool) {
	if len(token) != base64.RawURLEncoding.EncodedLen(32) {
		return key{}, false
	}
	return sha256.Sum256([]byte(token)), true
}
