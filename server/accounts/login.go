package accounts

import (
	"context"
	"time"

	"muster/server/database"
	"muster/server/fault"
)

// recordFor bounds how long writing down a failed sign-in takes.
const recordFor = 2 * time.Second

// Login is an attempt to sign in.
type Login struct {
	Username, Password string
	Address, UserAgent string // of the client, for the throttle and the audit trail
}

// Login opens a session and returns its token, which is shown only here.
//
// Attempts are counted per account and per address before anything is hashed, and
// who hangs up meanwhile has used one up: a guess costs the same either way.
// An unknown user, a disabled one and a wrong password cost and say the same.
// Faults: Unauthenticated, TooMany (with RetryAfter), Busy, Internal.
func (s *Store) Login(ctx context.Context, l Login) (token string, err error) {
	now := s.o.Now()
	s.loadKnown(ctx, now)
	account, address := s.attemptKeys(l)
	if wait := s.addresses.take(address, now); wait > 0 {
		return "", tooMany(wait)
	}
	if wait := s.accounts.take(account, now); wait > 0 {
		return "", tooMany(wait)
	}
	user, matched, err := s.checkPassword(ctx, l)
	switch {
	case err == nil && !matched:
		return "", s.refuse(ctx, user, l)
	case ctx.Err() != nil:
		return "", fault.Wrap(ctx.Err(), fault.Busy, "The request was given up")
	}
	// Neither the right password nor a failure of ours uses an attempt up.
	s.accounts.giveBack(account, now)
	s.addresses.giveBack(address, now)
	if err != nil {
		return "", err
	}
	s.known.add(pairKey(l))
	return s.open(ctx, user, l)
}

// attemptKeys names the buckets of an attempt. From an address where this
// account signed in before, the pair has a bucket of its own.
func (s *Store) attemptKeys(l Login) (account, address key) {
	account, address = keyOf("account", accountKey(l.Username)), keyOf("address", addressKey(l.Address))
	if pair := pairKey(l); s.known.has(pair) {
		account = pair
	}
	return account, address
}

func pairKey(l Login) key {
	return keyOf("pair", accountKey(l.Username), addressKey(l.Address))
}

// checkPassword does the same work whether the user exists or not: one read and
// one hash. The user is nil when there is none.
func (s *Store) checkPassword(ctx context.Context, l Login) (user *userRow, matched bool, err error) {
	user, err = s.findUser(ctx, l.Username)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, false, err
	}
	hash := decoy
	if user != nil {
		hash = user.PasswordHash
	}
	matched, err = s.hashes.matches(ctx, l.Password, hash)
	return user, matched && user != nil && user.DisabledAt == 0, err
}

// refuse records a failed sign-in, whether or not the client waits for the
// answer, and returns the answer.
func (s *Store) refuse(ctx context.Context, user *userRow, l Login) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordFor)
	defer cancel()
	// A name that is not a user's is not written down: it may be a password.
	entry := AuditEntry{Address: l.Address, Action: "login.failed"}
	if user != nil {
		entry.UserID, entry.Username = user.ID, user.Username
	}
	if err := s.Record(ctx, entry); err != nil {
		return err
	}
	return errWrongCredentials
}

func (s *Store) open(ctx context.Context, user *userRow, l Login) (token string, err error) {
	err = s.db.Tx(ctx, func(tx *database.DB) error {
		inTx := s.With(tx)
		if token, err = inTx.insertSession(ctx, newSession{
			UserID: user.ID, Kind: kindSession, Address: l.Address, UserAgent: l.UserAgent, Lifetime: s.o.Absolute,
		}); err != nil {
			return err
		}
		return inTx.Record(ctx, AuditEntry{UserID: user.ID, Username: user.Username, Address: l.Address, Action: "login"})
	})
	if err != nil {
		return "", err
	}
	return token, nil
}
