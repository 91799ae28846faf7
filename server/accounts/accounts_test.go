package accounts

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

const password = "correct horse"

// clock is a time that tests move by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// each gives a store with the user admin, on both engines.
func each(t *testing.T, test func(t *testing.T, s *Store, c *clock)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		c := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
		s := New(db, Options{Now: c.Now})
		if err := s.AddUser(t.Context(), "admin", password); err != nil {
			t.Fatal(err)
		}
		test(t, s, c)
	})
}

func login(t *testing.T, s *Store, secret string) string {
	t.Helper()
	token, err := s.Login(t.Context(), Login{Username: "admin", Password: secret, Address: "192.0.2.1", UserAgent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func wantKind(t *testing.T, what string, err error, kind fault.Kind) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("%s: got %v, want %v", what, err, kind)
	}
}

func TestLogin(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *clock) {
		token := login(t, s, password)
		account, err := s.Authenticate(t.Context(), token)
		if err != nil || account.Username != "admin" || account.Role != "admin" {
			t.Fatalf("%+v %v", account, err)
		}
		_, wrong := s.Login(t.Context(), Login{Username: "admin", Password: "wrong", Address: "192.0.2.1"})
		_, unknown := s.Login(t.Context(), Login{Username: "nobody", Password: "wrong", Address: "192.0.2.1"})
		_, long := s.Login(t.Context(), Login{Username: "admin", Password: strings.Repeat("x", 5000), Address: "192.0.2.1"})
		for _, err := range []error{wrong, unknown, long} {
			wantKind(t, "a wrong sign-in", err, fault.Unauthenticated)
			if fault.Public(err) != "Username/Password is/are wrong!" {
				t.Errorf("it tells more than it should: %v", err)
			}
		}
		wantKind(t, "a made-up token", second(s.Authenticate(t.Context(), strings.Repeat("A", 43))), fault.Unauthenticated)
		wantKind(t, "no token", second(s.Authenticate(t.Context(), "")), fault.Unauthenticated)

		var stored int
		s.db.Read(t.Context()).Raw("SELECT count(*) FROM sessions WHERE CAST(token_hash AS text) LIKE ?", "%"+token[:8]+"%").Scan(&stored)
		if stored != 0 {
			t.Error("the token itself is stored")
		}
		_ = s.db.Close()
		_, down := s.Authenticate(t.Context(), strings.Repeat("A", 43))
		if down == nil || fault.Is(down, fault.Unauthenticated) {
			t.Errorf("storage fails and the token is called wrong: %v", down)
		}
		_, down = s.Login(t.Context(), Login{Username: "admin", Password: password, Address: "192.0.2.1"})
		if down == nil || fault.Is(down, fault.Unauthenticated) {
			t.Errorf("storage fails and the password is called wrong: %v", down)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestDecoyCostsTheSame(t *testing.T) {
	params, _, _, err := argon2id.DecodeHash(decoy)
	if err != nil || *params != hashParams {
		t.Errorf("%+v %v", params, err)
	}
}

func TestSessionLifetime(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *clock) {
		ctx := t.Context()
		idle, used := login(t, s, password), login(t, s, password)
		c.pass(11 * time.Hour)
		if _, err := s.Authenticate(ctx, used); err != nil {
			t.Fatal(err)
		}
		c.pass(2 * time.Hour)
		_, err := s.Authenticate(ctx, idle)
		wantKind(t, "an idle session", err, fault.Unauthenticated)
		if !strings.Contains(fault.Public(err), "expired") {
			t.Errorf("%v", err)
		}
		for range 20 { // ten days, used every twelve hours less a bit
			c.pass(12*time.Hour - time.Minute)
			_, err = s.Authenticate(ctx, used)
		}
		wantKind(t, "a session past its absolute lifetime", err, fault.Unauthenticated)
		if err := s.Purge(ctx); err != nil {
			t.Fatal(err)
		}
		var left int
		s.db.Read(ctx).Raw("SELECT count(*) FROM sessions").Scan(&left)
		if left != 0 {
			t.Errorf("%d dead sessions are left", left)
		}
	})
}

func TestLastUsedIsWrittenOnceAMinute(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *clock) {
		token, start := login(t, s, password), database.Micros(c.Now())
		last := func() (us int64) {
			s.db.Read(t.Context()).Raw("SELECT last_used_at FROM sessions").Scan(&us)
			return us
		}
		c.pass(30 * time.Second)
		_, _ = s.Authenticate(t.Context(), token)
		if last() != start {
			t.Error("it is written after 30 s")
		}
		c.pass(31 * time.Second)
		_, _ = s.Authenticate(t.Context(), token)
		if last() != database.Micros(c.Now()) {
			t.Error("it is not written after a minute")
		}
	})
}

func TestLogout(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *clock) {
		ctx := t.Context()
		token, other := login(t, s, password), login(t, s, password)
		account, err := s.Authenticate(ctx, token) // cached from here on
		if err != nil {
			t.Fatal(err)
		}
		ticket, err := s.Ticket(ctx, account)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Logout(ctx, token, "192.0.2.1"); err != nil {
			t.Fatal(err)
		}
		wantKind(t, "a token after logout", second(s.Authenticate(ctx, token)), fault.Unauthenticated)
		wantKind(t, "a connection after logout", s.Check(ctx, account), fault.Unauthenticated)
		wantKind(t, "a ticket after logout", second(s.RedeemTicket(ctx, ticket)), fault.Unauthenticated)
		wantKind(t, "a second logout", s.Logout(ctx, token, ""), fault.Unauthenticated)
		if _, err := s.Authenticate(ctx, other); err != nil {
			t.Errorf("another session ended too: %v", err)
		}
	})
}

func TestRevocationElsewhereIsPrompt(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *clock) {
		ctx := t.Context()
		token := login(t, s, password)
		if _, err := s.Authenticate(ctx, token); err != nil {
			t.Fatal(err)
		}
		replica := New(s.db, Options{Now: c.Now})
		if err := replica.SetPassword(ctx, "admin", "another password"); err != nil {
			t.Fatal(err)
		}
		c.pass(5 * time.Second)
		wantKind(t, "a token revoked by another process", second(s.Authenticate(ctx, token)), fault.Unauthenticated)
	})
}

func TestCacheKeepsNothingReadBeforeARevocation(t *testing.T) {
	c := newCache(time.Minute)
	now := time.Unix(1, 0)
	_, generation := c.get(key{1}, now)
	c.forget()
	c.put(key{1}, &sessionRow{}, now, generation)
	if row, _ := c.get(key{1}, now); row != nil {
		t.Error("a session that was revoked meanwhile is cached")
	}
}

func TestTicket(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *clock) {
		ctx := t.Context()
		account, err := s.Authenticate(ctx, login(t, s, password))
		if err != nil {
			t.Fatal(err)
		}
		ticket, _ := s.Ticket(ctx, account)
		wantKind(t, "a ticket as a token", second(s.Authenticate(ctx, ticket)), fault.Unauthenticated)
		var wins, losses int
		var mu sync.Mutex
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				redeemed, err := s.RedeemTicket(ctx, ticket)
				mu.Lock()
				defer mu.Unlock()
				if err == nil && *redeemed == *account {
					wins++
				} else if fault.Is(err, fault.Unauthenticated) {
					losses++
				}
			})
		}
		group.Wait()
		if wins != 1 || losses != 7 {
			t.Errorf("a ticket opened %d times, was refused %d times", wins, losses)
		}
		late, _ := s.Ticket(ctx, account)
		c.pass(31 * time.Second)
		wantKind(t, "a late ticket", second(s.RedeemTicket(ctx, late)), fault.Unauthenticated)
	})
}

func TestIssueToken(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *clock) {
		ctx := t.Context()
		token, err := s.IssueToken(ctx, "admin", 48*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		c.pass(47 * time.Hour)
		if _, err := s.Authenticate(ctx, token); err != nil {
			t.Errorf("it idled out: %v", err)
		}
		if err := s.Purge(ctx); err != nil {
			t.Fatal(err)
		}
		c.pass(2 * time.Hour)
		wantKind(t, "a token past its lifetime", second(s.Authenticate(ctx, token)), fault.Unauthenticated)
		wantKind(t, "a token for nobody", second(s.IssueToken(ctx, "nobody", time.Hour)), fault.NotFound)
		wantKind(t, "a token without lifetime", second(s.IssueToken(ctx, "admin", 0)), fault.Invalid)
	})
}

func TestThrottleOfAnAccount(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *clock) {
		try := func(username, secret, address string) error {
			return second(s.Login(t.Context(), Login{Username: username, Password: secret, Address: address}))
		}
		if err := try("admin", password, "198.51.100.1"); err != nil {
			t.Fatal(err)
		}
		for _, username := range []string{"admin", "nobody"} {
			for range accountBurst {
				wantKind(t, "a wrong password", try(username, "wrong", "203.0.113.5"), fault.Unauthenticated)
			}
			err := try(username, password, "203.0.113.6")
			wantKind(t, "one attempt too many at "+username, err, fault.TooMany)
			var wait retry
			if !errors.As(err, &wait) || wait.RetryAfter() <= 0 || !strings.Contains(fault.Public(err), "seconds") {
				t.Errorf("it does not say when to come again: %v", err)
			}
		}
		if err := try("admin", password, "198.51.100.1"); err != nil {
			t.Errorf("strangers lock the owner out: %v", err)
		}
		c.pass(accountEvery)
		if err := try("admin", password, "203.0.113.6"); err != nil {
			t.Errorf("the account stays locked: %v", err)
		}
	})
}

func TestThrottleOfAnAddress(t *testing.T) {
	throttled := newThrottle(addressBurst, addressEvery)
	now := time.Unix(1000, 0)
	for range addressBurst {
		if throttled.take(keyOf("a"), now) != 0 {
			t.Fatal("throttled too early")
		}
	}
	if wait := throttled.take(keyOf("a"), now); wait <= 0 || wait > addressEvery {
		t.Errorf("wait %v", wait)
	}
	if throttled.take(keyOf("b"), now) != 0 {
		t.Error("another address is throttled too")
	}
	if throttled.take(keyOf("a"), now.Add(addressEvery)) != 0 {
		t.Error("it does not refill")
	}
	if addressKey("2001:db8::1") != addressKey("2001:db8::ffff:2") || addressKey("192.0.2.1") == addressKey("192.0.2.2") {
		t.Error("addresses are grouped wrongly")
	}
}

func TestThrottleIsBounded(t *testing.T) {
	throttled := newThrottle(2, time.Hour)
	now := time.Unix(1000, 0)
	for range 2 {
		throttled.take(keyOf("hot"), now)
	}
	for i := range maxBuckets + 500 {
		throttled.take(keyOf("flood", string(rune(i))), now)
	}
	if len(throttled.buckets) > maxBuckets {
		t.Errorf("%d buckets", len(throttled.buckets))
	}
	if throttled.take(keyOf("hot"), now) == 0 {
		t.Error("a flood of names frees the one under attack")
	}
	pairs := newKnown()
	for i := range maxKnown + 10 {
		pairs.add(keyOf(string(rune(i))))
	}
	if len(pairs.pairs) > maxKnown {
		t.Errorf("%d pairs", len(pairs.pairs))
	}
}

func TestHashingIsBounded(t *testing.T) {
	h := newHasher(1, time.Millisecond)
	h.slots <- struct{}{}
	wantKind(t, "no slot in time", second(h.make(t.Context(), password)), fault.Busy)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.wait = time.Hour
	wantKind(t, "a client that gave up", second(h.matches(ctx, password, decoy)), fault.Busy)
}

func TestChangePassword(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *clock) {
		ctx := t.Context()
		token, other := login(t, s, password), login(t, s, password)
		account, err := s.Authenticate(ctx, token)
		if err != nil {
			t.Fatal(err)
		}
		refusals := []struct{ old, fresh, confirm, sentence string }{
			{"wrong", "wrong", "x", "Old password is not matching"},
			{password, password, "x", "New password and old password should not be same"},
			{password, "short", "x", "New password and confirm new password are not matching for the user"},
			{password, "short", "short", "A password should have 8 to 256 characters"},
			{password, strings.Repeat("é", 257), strings.Repeat("é", 257), "A password should have 8 to 256 characters"},
		}
		for _, r := range refusals {
			err := s.ChangePassword(ctx, ChangePassword{Account: account, Old: r.old, New: r.fresh, Confirm: r.confirm})
			if !fault.Is(err, fault.Unprocessable) || fault.Public(err) != r.sentence {
				t.Errorf("got %v, want %s", err, r.sentence)
			}
		}
		if err := s.ChangePassword(ctx, ChangePassword{Account: account, Old: password, New: "new password", Confirm: "new password"}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Authenticate(ctx, token); err != nil {
			t.Errorf("the session that changed it ended: %v", err)
		}
		wantKind(t, "another session", second(s.Authenticate(ctx, other)), fault.Unauthenticated)
		login(t, s, "new password")
		wantKind(t, "the old password", second(s.Login(ctx, Login{Username: "admin", Password: password})), fault.Unauthenticated)
		for range accountBurst {
			_ = s.ChangePassword(ctx, ChangePassword{Account: account, Old: "guess"})
		}
		err = s.ChangePassword(ctx, ChangePassword{Account: account, Old: "guess"})
		wantKind(t, "guessing the old password", err, fault.TooMany)
	})
}

func TestUsers(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *clock) {
		ctx := t.Context()
		wantKind(t, "a name that is taken", s.AddUser(ctx, "admin", password), fault.Conflict)
		wantKind(t, "no name", s.AddUser(ctx, "  ", password), fault.Unprocessable)
		wantKind(t, "a name that cannot be printed", s.AddUser(ctx, "a\x00b", password), fault.Unprocessable)
		wantKind(t, "a short password", s.AddUser(ctx, "bob", "short"), fault.Unprocessable)
		wantKind(t, "nobody's password", s.SetPassword(ctx, "bob", password), fault.NotFound)
		if err := s.AddUser(ctx, "bob", password); err != nil {
			t.Fatal(err)
		}
		users, err := s.ListUsers(ctx)
		if err != nil || len(users) != 2 || users[0].Username != "admin" || users[1].Username != "bob" || !users[1].CreatedAt.Equal(c.Now()) {
			t.Errorf("%+v %v", users, err)
		}
		token := login(t, s, password)
		if err := s.SetPassword(ctx, "admin", "another password"); err != nil {
			t.Fatal(err)
		}
		wantKind(t, "a session after the password was set", second(s.Authenticate(ctx, token)), fault.Unauthenticated)
		login(t, s, "another password")
		s.db.Write(ctx).Exec("UPDATE users SET disabled_at = 1 WHERE username = 'bob'")
		wantKind(t, "a disabled user", second(s.Login(ctx, Login{Username: "bob", Password: password})), fault.Unauthenticated)
	})
}

func TestEnsureAdmin(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := t.Context()
		s := New(db, Options{})
		if _, _, err := s.EnsureAdmin(ctx, "short"); !fault.Is(err, fault.Unprocessable) {
			t.Errorf("a short password: %v", err)
		}
		created, random, err := s.EnsureAdmin(ctx, "")
		if err != nil || !created || len(random) < 20 {
			t.Fatalf("%v %q %v", created, random, err)
		}
		if _, err := s.Login(ctx, Login{Username: "admin", Password: random}); err != nil {
			t.Error(err)
		}
		created, again, err := s.EnsureAdmin(ctx, "some other password")
		if err != nil || created || again != "" {
			t.Errorf("a second start: %v %q %v", created, again, err)
		}
	})
}

func TestAudit(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *clock) {
		ctx := t.Context()
		login(t, s, password)
		_, _ = s.Login(ctx, Login{Username: "pasted-secret", Password: "x", Address: "203.0.113.1"})
		if err := s.Record(ctx, AuditEntry{UserID: 1, Username: "admin", Address: "192.0.2.1", Action: "host.remove", Subject: "H1", Detail: map[string]any{"why": "test"}}); err != nil {
			t.Fatal(err)
		}
		entries, count, total, err := s.ListAudit(ctx, AuditFilter{Limit: 3})
		if err != nil || count != 4 || total != 4 || len(entries) != 3 {
			t.Fatalf("%+v %d of %d %v", entries, count, total, err)
		}
		if e := entries[0]; e.Action != "host.remove" || e.Subject != "H1" || e.Detail["why"] != "test" || !e.At.Equal(c.Now()) {
			t.Errorf("%+v", e)
		}
		if e := entries[1]; e.Action != "login.failed" || e.Username != "" || e.Subject != "" || e.Address != "203.0.113.1" {
			t.Errorf("a failed sign-in: %+v", e)
		}
		if e := entries[2]; e.Action != "login" || e.Username != "admin" {
			t.Errorf("%+v", e)
		}
	})
}
