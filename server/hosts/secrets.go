package hosts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

const (
	maxSecretName = 100
	maxSecret     = 1024
	maxSecretTags = 50
	maxSecrets    = 1000 // kept, revoked ones included
)

// Secret is an enrol secret. The secret itself is not kept.
type Secret struct {
	ID       int64
	Name     string
	Tags     []string // given to hosts that enrol for the first time
	Created  time.Time
	Expires  time.Time // zero = never
	Revoked  time.Time // zero = it is not
	LastUsed time.Time
	Uses     int64
}

// NewSecret is what AddSecret needs to know.
type NewSecret struct {
	Name    string
	Secret  string    // empty = a random one is made
	Tags    []string  // given to hosts that enrol for the first time
	Expires time.Time // zero = never
}

// check cleans n and makes a secret where there is none. Faults: Invalid.
func (n *NewSecret) check() error {
	if n.Name = identity(n.Name, maxSecretName+1); n.Name == "" || len(n.Name) > maxSecretName {
		return fault.Fields(map[string]string{"name": "give a name of at most 100 bytes"})
	}
	if n.Secret = trimmed(n.Secret); len(n.Secret) > maxSecret {
		return fault.Fields(map[string]string{"secret": "give at most 1024 bytes"})
	}
	if len(n.Tags) > maxSecretTags {
		return fault.Fields(map[string]string{"tags": "give at most 50 tags"})
	}
	for i, tag := range n.Tags {
		clean, err := cleanTag(tag)
		if err != nil {
			return err
		}
		n.Tags[i] = clean
	}
	if n.Secret == "" {
		var random [24]byte
		_, _ = rand.Read(random[:]) // never fails
		n.Secret = base64.RawURLEncoding.EncodeToString(random[:])
	}
	return nil
}

// AddSecret keeps a new enrol secret and returns it in plain, for the only time.
// Faults: Invalid (name, tags), Conflict when the name or the secret is in use,
// Unprocessable when there are too many.
func (s *Store) AddSecret(ctx context.Context, n NewSecret) (plain string, err error) {
	n.Tags = append([]string{}, n.Tags...)
	if err := n.check(); err != nil {
		return "", err
	}
	hash := sha256.Sum256([]byte(n.Secret))
	tags, _ := json.Marshal(n.Tags) // strings always marshal
	err = s.db.Tx(ctx, func(tx *database.DB) error {
		var count int64
		if err := tx.Read(ctx).Raw("SELECT count(*) FROM enroll_secrets").Scan(&count).Error; err != nil {
			return database.Fault(err)
		}
		if count >= maxSecrets {
			return fault.New(fault.Unprocessable, "There are %d enrol secrets already", count)
		}
		return database.Fault(tx.Write(ctx).Exec(`INSERT INTO enroll_secrets (name, secret_hash, tags, created_at, expires_at)
			VALUES (?, ?, ?, ?, ?)`, n.Name, hash[:], string(tags), s.Now().UnixMicro(), database.Micros(n.Expires)).Error)
	})
	if fault.Is(err, fault.Conflict) {
		err = fault.Wrap(err, fault.Conflict, "An enrol secret with this name or this value exists already")
	}
	if err != nil {
		return "", database.Fault(err)
	}
	s.secretsChanged(ctx)
	return n.Secret, nil
}

// EnsureSecret keeps a secret that comes from the configuration: at each start,
// under the same name. A changed value replaces the one kept under that name. A
// value that was revoked stays revoked. Faults: as of AddSecret.
func (s *Store) EnsureSecret(ctx context.Context, n NewSecret) error {
	if n.Secret = trimmed(n.Secret); n.Secret == "" {
		return fault.Fields(map[string]string{"secret": "give a secret"})
	}
	hash := sha256.Sum256([]byte(n.Secret))
	var kept []string
	if err := s.db.Read(ctx).Raw("SELECT name FROM enroll_secrets WHERE secret_hash = ?", hash[:]).Scan(&kept).Error; err != nil {
		return database.Fault(err)
	}
	if len(kept) > 0 {
		return nil
	}
	done := s.db.Write(ctx).Exec(`UPDATE enroll_secrets SET secret_hash = ?, created_at = ?, revoked_at = 0, uses = 0,
		last_used_at = 0 WHERE name = ?`, hash[:], s.Now().UnixMicro(), n.Name)
	if done.Error != nil {
		return database.Fault(done.Error)
	}
	if done.RowsAffected > 0 {
		s.secretsChanged(ctx)
		return nil
	}
	_, err := s.AddSecret(ctx, n)
	if fault.Is(err, fault.Conflict) { // another replica may have been first
		again := s.db.Read(ctx).Raw("SELECT name FROM enroll_secrets WHERE secret_hash = ?", hash[:]).Scan(&kept).Error
		if again == nil && len(kept) > 0 {
			return nil
		}
	}
	return err
}

// ListSecrets returns all secrets, revoked and expired ones too, by name. Faults:
// Busy, Internal.
func (s *Store) ListSecrets(ctx context.Context) ([]Secret, error) {
	var rows []secretRow
	if err := s.db.Read(ctx).Raw("SELECT * FROM enroll_secrets ORDER BY name").Scan(&rows).Error; err != nil {
		return nil, database.Fault(err)
	}
	pending := s.secrets.pending()
	secrets := make([]Secret, len(rows))
	for i, row := range rows {
		use := pending[row.ID]
		secrets[i] = Secret{
			ID: row.ID, Name: row.Name, Tags: row.tags(), Created: database.FromMicros(row.CreatedAt),
			Expires: database.FromMicros(row.ExpiresAt), Revoked: database.FromMicros(row.RevokedAt),
			LastUsed: database.FromMicros(max(row.LastUsedAt, use.last)), Uses: row.Uses + use.count,
		}
	}
	return secrets, nil
}

// RevokeSecret ends a secret at once; hosts that enrolled with it stay. Revoking
// again changes nothing. Faults: NotFound.
func (s *Store) RevokeSecret(ctx context.Context, name string) error {
	done := s.db.Write(ctx).Exec(`UPDATE enroll_secrets SET revoked_at = CASE WHEN revoked_at = 0 THEN ? ELSE revoked_at END
		WHERE name = ?`, s.Now().UnixMicro(), name)
	if done.Error != nil {
		return database.Fault(done.Error)
	}
	if done.RowsAffected == 0 {
		return fault.New(fault.NotFound, "There is no enrol secret with this name")
	}
	s.secretsChanged(ctx)
	return nil
}
