package accounts

import (
	"context"
	"strconv"

	"muster/server/database"
	"muster/server/fault"
)

// ChangePassword is a user's own change of password.
type ChangePassword struct {
	Account           *Account
	Old, New, Confirm string
	Address           string
}

// ChangePassword replaces the account's password and ends every session of the
// user but this one. Guesses at the old password are throttled, since a stolen
// token would allow them.
//
// Faults: Unprocessable with one of four sentences, in this order: the old
// password is wrong, the new one is the same, the confirmation differs, the new
// one is too short or too long; TooMany; Busy.
func (s *Store) ChangePassword(ctx context.Context, c ChangePassword) error {
	attempt := keyOf("change", strconv.FormatInt(c.Account.ID, 10))
	if wait := s.accounts.take(attempt, s.o.Now()); wait > 0 {
		return tooMany(wait)
	}
	user, err := s.findUser(ctx, c.Account.Username)
	if err != nil {
		return err
	}
	matched, err := s.hashes.matches(ctx, c.Old, user.PasswordHash)
	if err != nil {
		return err
	}
	if !matched {
		return fault.New(fault.Unprocessable, "Old password is not matching")
	}
	s.accounts.giveBack(attempt, s.o.Now())
	if c.New == c.Old {
		return fault.New(fault.Unprocessable, "New password and old password should not be same")
	}
	if c.New != c.Confirm {
		return fault.New(fault.Unprocessable, "New password and confirm new password are not matching for the user")
	}
	hash, err := s.hashes.make(ctx, c.New)
	if err != nil {
		return err
	}
	return s.storePassword(ctx, user, hash, c.Account.SessionID,
		AuditEntry{UserID: user.ID, Username: user.Username, Address: c.Address, Action: "password.change"})
}

// storePassword replaces the hash that user had when it was read, and ends the
// user's sessions but keep. Fault: Conflict when it was changed meanwhile.
func (s *Store) storePassword(ctx context.Context, user *userRow, hash string, keep int64, entry AuditEntry) error {
	err := s.db.Tx(ctx, func(tx *database.DB) error {
		done := tx.Write(ctx).Exec("UPDATE users SET password_hash = ?, updated_at = ? WHERE id = ? AND password_hash = ?",
			hash, database.Micros(s.o.Now()), user.ID, user.PasswordHash)
		if done.Error != nil {
			return database.Fault(done.Error)
		}
		if done.RowsAffected == 0 {
			return fault.New(fault.Conflict, "The password was changed by somebody else meanwhile")
		}
		inTx := s.With(tx)
		if err := inTx.end(ctx, "user_id = ? AND id <> ?", user.ID, keep); err != nil {
			return err
		}
		return inTx.Record(ctx, entry)
	})
	s.cache.forget()
	return err
}
