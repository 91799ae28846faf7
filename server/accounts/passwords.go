package accounts

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"

	"muster/server/fault"
)

// The length of a password, in characters.
const (
	minPassword = 8
	maxPassword = 256
)

// hashParams are OWASP's for argon2id with little memory: many of these may run
// beside the ingest of a small server.
var hashParams = argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// decoy is compared when there is no user, so that this costs the same. Its key
// is random bytes, so that no password belongs to it.
const decoy = "$argon2id$v=19$m=19456,t=2,p=1$f4QuTqJMnRhXplAqXHOajg$QCoyjWaqL8GMQiWM0hKLMLVcCfCL+kiojnizn7jCUOw"

// hasher bounds how many passwords are hashed at a time: each takes 19 MiB and a core.
type hasher struct {
	slots chan struct{}
	wait  time.Duration
}

func newHasher(slots int, wait time.Duration) *hasher {
	return &hasher{slots: make(chan struct{}, slots), wait: wait}
}

// run calls fn when a slot is free. Fault: Busy when none becomes free in time.
func (h *hasher) run(ctx context.Context, fn func() error) error {
	timer := time.NewTimer(h.wait)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
		return fn()
	case <-timer.C:
		return fault.New(fault.Busy, "Too many people are signing in: try again in a moment")
	case <-ctx.Done():
		return fault.Wrap(ctx.Err(), fault.Busy, "The request was given up")
	}
}

// matches compares in constant time. Faults: Busy; Internal for a stored hash
// that cannot be read.
func (h *hasher) matches(ctx context.Context, password, hash string) (bool, error) {
	if utf8.RuneCountInString(password) > maxPassword {
		password, hash = "", decoy // nobody has such a password; hash no more than needed
	}
	matched := false
	err := h.run(ctx, func() (err error) {
		if matched, err = argon2id.ComparePasswordAndHash(password, hash); err != nil {
			return fault.Wrap(err, fault.Internal, "Internal server error")
		}
		return nil
	})
	return matched, err
}

// make hashes a new password. Faults: Unprocessable for its length, Busy.
func (h *hasher) make(ctx context.Context, password string) (string, error) {
	if n := utf8.RuneCountInString(password); n < minPassword || n > maxPassword {
		return "", fault.New(fault.Unprocessable, "A password should have %d to %d characters", minPassword, maxPassword)
	}
	hash := ""
	err := h.run(ctx, func() (err error) {
		if hash, err = argon2id.CreateHash(password, &hashParams); err != nil {
			return fault.Wrap(err, fault.Internal, "Internal server error")
		}
		return nil
	})
	return hash, err
}
