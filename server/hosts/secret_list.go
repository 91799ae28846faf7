package hosts

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// ErrWrongSecret refuses an enrolment whose secret is none, unknown, expired or
// revoked. It is Unauthenticated; doors count it per address.
var ErrWrongSecret error = fault.New(fault.Unauthenticated, "the enrol secret is not valid")

// secretsFresh is how old the list may be when it calls a secret unknown: one
// that another process has just added is not definitely wrong.
const secretsFresh = 5 * time.Second

type secretRow struct {
	ID                                                int64
	Name, Tags                                        string
	SecretHash                                        []byte
	CreatedAt, ExpiresAt, RevokedAt, LastUsedAt, Uses int64
}

func (r secretRow) tags() []string {
	var tags []string
	_ = json.Unmarshal([]byte(r.Tags), &tags) // written by AddSecret
	return tags
}

// liveSecret is a secret that was not revoked when the list was read.
type liveSecret struct {
	id      int64
	hash    [sha256.Size]byte
	expires int64
}

// use counts enrolments that are not written yet.
type use struct{ count, last int64 }

// secretList is the memory of the table enroll_secrets, and what to write there.
type secretList struct {
	reading *flights[struct{}, struct{}]
	turns   atomic.Int64 // readings begun

	mu   sync.Mutex
	live []liveSecret
	read time.Time // when the reading of live began; zero = never
	turn int64     // which reading that was
	uses map[int64]use
}

func newSecretList() *secretList {
	return &secretList{reading: newFlights[struct{}, struct{}](), uses: map[int64]use{}}
}

// match compares secret with every live one, each in constant time, without
// stopping at a hit.
func (l *secretList) match(secret string, now time.Time) (found liveSecret, ok bool) {
	hash := sha256.Sum256([]byte(secret))
	l.mu.Lock()
	live := l.live
	l.mu.Unlock()
	for _, candidate := range live {
		if subtle.ConstantTimeCompare(candidate.hash[:], hash[:]) == 1 && (candidate.expires == 0 || candidate.expires > now.UnixMicro()) {
			found, ok = candidate, true
		}
	}
	return found, ok
}

func (l *secretList) age(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.read.IsZero() {
		return secretsFresh
	}
	return now.Sub(l.read)
}

func (l *secretList) pending() map[int64]use {
	l.mu.Lock()
	defer l.mu.Unlock()
	pending := make(map[int64]use, len(l.uses))
	for id, u := range l.uses {
		pending[id] = u
	}
	return pending
}

func (l *secretList) used(id int64, more use) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.uses[id] = use{l.uses[id].count + more.count, max(l.uses[id].last, more.last)}
}

// checkSecret finds the live secret that an agent presented. Faults:
// ErrWrongSecret; Busy or Internal when the list is old and cannot be read.
func (s *Store) checkSecret(ctx context.Context, secret string) (liveSecret, error) {
	secret = trimmed(secret)
	if secret == "" || len(secret) > maxSecret {
		return liveSecret{}, ErrWrongSecret
	}
	if found, ok := s.secrets.match(secret, s.Now()); ok {
		return found, nil
	}
	if err := s.freshenSecrets(ctx); err != nil {
		return liveSecret{}, err
	}
	if found, ok := s.secrets.match(secret, s.Now()); ok {
		return found, nil
	}
	return liveSecret{}, ErrWrongSecret
}

// freshenSecrets reads the list unless that happened within secretsFresh, so that
// wrong secrets cost the database one short query in that time, however many come.
func (s *Store) freshenSecrets(ctx context.Context) error {
	if s.secrets.age(s.Now()) < secretsFresh {
		return nil
	}
	_, err := s.secrets.reading.do(ctx, struct{}{}, keyLookup, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.loadSecrets(ctx)
	})
	return err
}

// loadSecrets reads the list. Of two that overlap, the one that began later wins.
func (s *Store) loadSecrets(ctx context.Context) error {
	started, turn := s.Now(), s.secrets.turns.Add(1)
	var rows []secretRow
	if err := s.db.Read(ctx).Raw("SELECT * FROM enroll_secrets WHERE revoked_at = 0").Scan(&rows).Error; err != nil {
		return database.Fault(err)
	}
	live := make([]liveSecret, 0, len(rows))
	for _, row := range rows {
		if len(row.SecretHash) == sha256.Size {
			live = append(live, liveSecret{row.ID, [sha256.Size]byte(row.SecretHash), row.ExpiresAt})
		}
	}
	s.secrets.mu.Lock()
	defer s.secrets.mu.Unlock()
	if turn > s.secrets.turn {
		s.secrets.live, s.secrets.read, s.secrets.turn = live, started, turn
	}
	return nil
}

// secretsChanged shows a committed change here and hints to everyone else. Where
// that fails, the slow poll makes up for it.
func (s *Store) secretsChanged(ctx context.Context) {
	if s.db.InTx() {
		return
	}
	s.warn(ctx, "enrol secrets could not be refreshed", s.loadSecrets(ctx))
	s.bus.Publish(topicSecrets)
}

// flushUses adds the enrolments counted in memory to the table.
func (s *Store) flushUses(ctx context.Context) error {
	s.secrets.mu.Lock()
	uses := s.secrets.uses
	s.secrets.uses = map[int64]use{}
	s.secrets.mu.Unlock()
	for id, u := range uses {
		if err := s.db.Write(ctx).Exec(`UPDATE enroll_secrets SET uses = uses + ?,
			last_used_at = CASE WHEN last_used_at < ? THEN ? ELSE last_used_at END WHERE id = ?`,
			u.count, u.last, u.last, id).Error; err != nil {
			for id, u := range uses {
				s.secrets.used(id, u)
			}
			return database.Fault(err)
		}
		delete(uses, id)
	}
	return nil
}
