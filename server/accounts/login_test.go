package accounts

import (
	"context"
	"strings"
	"testing"
	"time"

	"muster/server/fault"
)

func TestHangingUpUsesAnAttemptUp(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *clock) {
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		guess := Login{Username: "admin", Password: "wrong", Address: "203.0.113.5"}
		for range accountBurst {
			if err := second(s.Login(gone, guess)); err == nil || fault.Is(err, fault.TooMany) {
				t.Fatalf("a client that hung up: %v", err)
			}
		}
		wantKind(t, "the attempt after those", second(s.Login(t.Context(), guess)), fault.TooMany)
	})
}

func TestHangingUpWhileWaitingForASlotUsesAnAttemptUp(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *clock) {
		for range cap(s.hashes.slots) {
			s.hashes.slots <- struct{}{}
		}
		guess := Login{Username: "admin", Password: "wrong", Address: "203.0.113.5"}
		for range accountBurst {
			waiting, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			wantKind(t, "a client that hung up", second(s.Login(waiting, guess)), fault.Busy)
			cancel()
		}
		wantKind(t, "the attempt after those", second(s.Login(t.Context(), guess)), fault.TooMany)
		s.hashes.wait = time.Millisecond
		guess.Username = "somebody"
		for range accountBurst + 1 {
			wantKind(t, "a client that waited in vain", second(s.Login(t.Context(), guess)), fault.Busy)
		}
	})
}

func TestAFailureIsRecordedForAClientThatHungUp(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *clock) {
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		user, err := s.findUser(t.Context(), "admin")
		if err != nil {
			t.Fatal(err)
		}
		wantKind(t, "a refusal", s.refuse(gone, user, Login{Username: "admin", Address: "203.0.113.5"}), fault.Unauthenticated)
		entries, _, _, err := s.ListAudit(t.Context(), AuditFilter{Limit: 1})
		if err != nil || len(entries) != 1 || entries[0].Action != "login.failed" || entries[0].Username != "admin" || entries[0].Address != "203.0.113.5" {
			t.Errorf("%+v %v", entries, err)
		}
	})
}

func TestKnownAddressesSurviveARestart(t *testing.T) {
	each(t, func(t *testing.T, before *Store, c *clock) {
		login(t, before, password) // from 192.0.2.1
		after := New(before.db, Options{Now: c.Now})
		try := func(secret, address string) error {
			return second(after.Login(t.Context(), Login{Username: "Admin", Password: secret, Address: address}))
		}
		rename := func(from, to string) {
			if err := before.db.Write(t.Context()).Exec("ALTER TABLE " + from + " RENAME TO " + to).Error; err != nil {
				t.Fatal(err)
			}
		}
		rename("sessions", "sessions_away")
		wantKind(t, "a guess while sessions cannot be read", try("wrong", "203.0.113.5"), fault.Unauthenticated)
		rename("sessions_away", "sessions")
		for range accountBurst - 1 {
			wantKind(t, "a stranger's guess", try("wrong", "203.0.113.5"), fault.Unauthenticated)
		}
		wantKind(t, "a stranger's guess too many", try("wrong", "203.0.113.5"), fault.TooMany)
		c.pass(loadKnownEvery)
		err := second(after.Login(t.Context(), Login{Username: "admin", Password: password, Address: "192.0.2.1"}))
		if err != nil {
			t.Errorf("after a restart, strangers lock the owner out: %v", err)
		}
	})
}

func TestPurge(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *clock) {
		ctx := t.Context()
		count := func(from string) (n int) {
			s.db.Read(ctx).Raw("SELECT count(*) FROM " + from).Scan(&n)
			return n
		}
		row := ",(1, 'old')"
		insert := "INSERT INTO audit (at, action) VALUES " + strings.Repeat(row, 2*purgeChunk+7)[1:]
		if err := s.db.Write(ctx).Exec(insert).Error; err != nil {
			t.Fatal(err)
		}
		token, kept := login(t, s, password), login(t, s, password)
		account, err := s.Authenticate(ctx, token)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Ticket(ctx, account); err != nil {
			t.Fatal(err)
		}
		fresh := count("audit WHERE action <> 'old'")
		if err := s.Logout(ctx, token, ""); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			name     string
			after    time.Duration
			sessions int
		}{
			{"a session that ended just now stays, its ticket does not", 0, 2},
			{"a day later it goes", endedFor, 1},
			{"so does one that idled out", 12 * time.Hour, 0},
		} {
			c.pass(step.after)
			if err := s.Purge(ctx); err != nil {
				t.Fatal(err)
			}
			if got := count("sessions"); got != step.sessions {
				t.Errorf("%s: %d sessions", step.name, got)
			}
		}
		wantKind(t, "a token that was purged", second(s.Authenticate(ctx, kept)), fault.Unauthenticated)
		if old, now := count("audit WHERE action = 'old'"), count("audit WHERE action <> 'old'"); old != 0 || now != fresh+1 {
			t.Errorf("the trail has %d old entries and %d others of %d", old, now, fresh+1)
		}
		c.pass(365 * 24 * time.Hour)
		if err := s.Purge(ctx); err != nil || count("audit") != 0 {
			t.Errorf("a year later %d entries are left: %v", count("audit"), err)
		}
	})
}

func TestEndedSessionsAreCalledExpired(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *clock) {
		ctx := t.Context()
		out, changed := login(t, s, password), login(t, s, password)
		account, err := s.Authenticate(ctx, out)
		if err != nil {
			t.Fatal(err)
		}
		revoked := s.Revoked()
		_ = s.Logout(ctx, strings.Repeat("A", 43), "")
		select {
		case <-revoked:
			t.Error("a made-up token's logout is told as a revocation")
		default:
		}
		if err := s.Check(ctx, account); err != nil {
			t.Fatal(err)
		}
		if err := s.Logout(ctx, out, ""); err != nil {
			t.Fatal(err)
		}
		<-revoked
		wantKind(t, "a connection of it", s.Check(ctx, account), fault.Unauthenticated)
		if err := s.SetPassword(ctx, "admin", "another password"); err != nil {
			t.Fatal(err)
		}
		for name, token := range map[string]string{"logged out": out, "ended by a new password": changed} {
			if got := fault.Public(second(s.Authenticate(ctx, token))); got != "This API key used to authenticate is expired!" {
				t.Errorf("%s: %s", name, got)
			}
		}
		wantKind(t, "a second logout", s.Logout(ctx, out, ""), fault.Unauthenticated)
	})
}

func TestCheckIsCachedAndSeesOtherReplicas(t *testing.T) {
	each(t, func(t *testing.T, s *Store, c *clock) {
		ctx := t.Context()
		token := login(t, s, password)
		account, err := s.Authenticate(ctx, token)
		if err != nil || s.Check(ctx, account) != nil {
			t.Fatal(err)
		}
		if err := New(s.db, Options{Now: c.Now}).Logout(ctx, token, ""); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(ctx, account); err != nil {
			t.Errorf("it asks the database each time: %v", err)
		}
		c.pass(3 * time.Second)
		wantKind(t, "a session that another process ended", s.Check(ctx, account), fault.Unauthenticated)
	})
}
