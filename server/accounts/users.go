package accounts

import (
	"context"
	"crypto/rand"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"muster/server/database"
	"muster/server/fault"
)

// local is the address of what is done at the terminal of the machine itself.
const local = "local"

// adminName is the account of the first start.
const adminName = "admin"

// User is an account as it is listed.
type User struct {
	ID                   int64
	Username, Role       string
	Disabled             bool
	CreatedAt, UpdatedAt time.Time
}

type userRow struct {
	ID                               int64
	Username, PasswordHash, Role     string
	CreatedAt, UpdatedAt, DisabledAt int64
}

const selectUser = "SELECT id, username, password_hash, role, created_at, updated_at, disabled_at FROM users "

// findUser returns the user or NotFound.
func (s *Store) findUser(ctx context.Context, username string) (*userRow, error) {
	var rows []userRow
	if err := s.db.Read(ctx).Raw(selectUser+"WHERE username = ?", username).Scan(&rows).Error; err != nil {
		return nil, database.Fault(err)
	}
	if len(rows) == 0 {
		return nil, fault.New(fault.NotFound, "There is no user %s", username)
	}
	return &rows[0], nil
}

// ListUsers returns every user by name.
func (s *Store) ListUsers(ctx context.Context) ([]User, error) {
	var rows []userRow
	if err := s.db.Read(ctx).Raw(selectUser + "ORDER BY username").Scan(&rows).Error; err != nil {
		return nil, database.Fault(err)
	}
	users := make([]User, 0, len(rows))
	for _, r := range rows {
		users = append(users, User{ID: r.ID, Username: r.Username, Role: r.Role, Disabled: r.DisabledAt != 0,
			CreatedAt: database.FromMicros(r.CreatedAt), UpdatedAt: database.FromMicros(r.UpdatedAt)})
	}
	return users, nil
}

// AddUser creates a user. Faults: Unprocessable for a name or password that will
// not do, Conflict for a name that is taken.
func (s *Store) AddUser(ctx context.Context, username, password string) error {
	username = strings.TrimSpace(username)
	if err := checkUsername(username); err != nil {
		return err
	}
	hash, err := s.hashes.make(ctx, password)
	if err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *database.DB) error {
		added, err := s.With(tx).insertUser(ctx, username, hash)
		if err == nil && !added {
			err = fault.New(fault.Conflict, "There is a user %s already", username)
		}
		return err
	})
}

func checkUsername(username string) error {
	n := utf8.RuneCountInString(username)
	if n == 0 || n > 64 || !utf8.ValidString(username) || strings.ContainsFunc(username, unicode.IsControl) {
		return fault.New(fault.Unprocessable, "A user name should have 1 to 64 characters that can be printed")
	}
	return nil
}

// insertUser reports whether the name was free; it runs in a transaction.
func (s *Store) insertUser(ctx context.Context, username, hash string) (bool, error) {
	now := database.Micros(s.o.Now())
	done := s.db.Write(ctx).Exec(`INSERT INTO users (username, password_hash, role, created_at, updated_at)
		VALUES (?, ?, 'admin', ?, ?) ON CONFLICT (username) DO NOTHING`, username, hash, now, now)
	if done.Error != nil || done.RowsAffected == 0 {
		return false, database.Fault(done.Error)
	}
	return true, s.Record(ctx, AuditEntry{Address: local, Action: "user.add", Subject: username})
}

// SetPassword replaces a user's password without asking for the old one, and
// ends all of the user's sessions. Faults: NotFound, Unprocessable for the password.
func (s *Store) SetPassword(ctx context.Context, username, password string) error {
	user, err := s.findUser(ctx, username)
	if err != nil {
		return err
	}
	hash, err := s.hashes.make(ctx, password)
	if err != nil {
		return err
	}
	entry := AuditEntry{Address: local, Action: "user.password", Subject: user.Username}
	return s.storePassword(ctx, user, hash, 0, entry)
}

// EnsureAdmin creates the account admin when there are no users at all, with the
// given password or, when that is empty, a random one, which it returns: it can
// be read nowhere else. Several replicas may start at once: one creates.
// Faults: Unprocessable for the password.
func (s *Store) EnsureAdmin(ctx context.Context, password string) (created bool, used string, err error) {
	var users int64
	if err := s.db.Read(ctx).Raw("SELECT count(*) FROM users").Scan(&users).Error; err != nil || users > 0 {
		return false, "", database.Fault(err)
	}
	if password == "" {
		password = rand.Text()
	}
	hash, err := s.hashes.make(ctx, password)
	if err != nil {
		return false, "", err
	}
	err = s.db.Tx(ctx, func(tx *database.DB) error {
		created, err = s.With(tx).insertUser(ctx, adminName, hash)
		return err
	})
	if err != nil || !created {
		return false, "", err
	}
	return true, password, nil
}
