package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/server/accounts"
	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
	"muster/server/hosts"
)

// machine is the server's own machine, where commands find its database.
type machine struct {
	db  *database.DB
	url string
	// say runs a command and returns its exit status, output and errors.
	say func(in string, args ...string) (status int, out, err string)
}

func eachEngine(t *testing.T, test func(t *testing.T, m machine)) {
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			m := machine{url: dbtest.URL(t, engine)}
			db, err := database.Open(t.Context(), m.url)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			m.db, m.say = db, func(in string, args ...string) (int, string, string) {
				s := session{environ: []string{"MUSTER_DATABASE_URL=" + m.url, "MUSTER_DATA=" + t.TempDir()}}
				s.in.WriteString(in)
				status := s.run(t.Context(), args...)
				return status, s.out.String(), s.err.String()
			}
			test(t, m)
		})
	}
}

func TestUserCommand(t *testing.T) {
	eachEngine(t, func(t *testing.T, m machine) {
		if status, out, err := m.say("correct horse\n", "user", "add", "ada"); status != exitOK || !strings.Contains(out, "ada") {
			t.Fatalf("add: %d %s %s", status, out, err)
		}
		if status, _, err := m.say("correct horse\n", "user", "add", "ada"); status != exitFailed || !strings.Contains(err, "already") {
			t.Errorf("a name twice: %d %s", status, err)
		}
		if status, _, err := m.say("short\n", "user", "add", "bob"); status != exitFailed || err == "" {
			t.Errorf("a short password: %d %s", status, err)
		}
		if status, _, err := m.say("", "user", "add", "bob"); status != exitFailed || !strings.Contains(err, "nothing was entered") {
			t.Errorf("no password: %d %s", status, err)
		}
		file := write(t, t.TempDir(), "password", "battery staple\n")
		if status, _, err := m.say("", "user", "password", "ada", "--password-file", file); status != exitOK {
			t.Fatalf("password: %d %s", status, err)
		}
		if status, _, err := m.say("battery staple", "user", "password", "nobody"); status != exitFailed || !strings.Contains(err, "nobody") {
			t.Errorf("the password of nobody: %d %s", status, err)
		}
		store := accounts.New(m.db, accounts.Options{})
		if _, err := store.Login(t.Context(), accounts.Login{Username: "ada", Password: "battery staple", Address: "192.0.2.1"}); err != nil {
			t.Errorf("the new password does not work: %v", err)
		}
		if _, err := store.Login(t.Context(), accounts.Login{Username: "ada", Password: "correct horse", Address: "192.0.2.1"}); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("the old password works: %v", err)
		}
		if status, out, _ := m.say("", "user", "list"); status != exitOK || !strings.Contains(out, "ada") || !strings.Contains(out, "active") || strings.Contains(out, "$argon2") {
			t.Errorf("list: %d %s", status, out)
		}
	})
}

func TestUserToken(t *testing.T) {
	eachEngine(t, func(t *testing.T, m machine) {
		if status, _, err := m.say("correct horse\n", "user", "add", "prometheus"); status != exitOK {
			t.Fatal(err)
		}
		status, token, err := m.say("", "user", "token", "prometheus", "--expires", "30d")
		if status != exitOK || strings.Count(token, "\n") != 1 || !strings.Contains(err, "not shown again") || strings.Contains(err, strings.TrimSpace(token)) {
			t.Fatalf("token: %d %q %q", status, token, err)
		}
		token = strings.TrimSpace(token)
		authenticate := func(after time.Duration) error {
			store := accounts.New(m.db, accounts.Options{Now: func() time.Time { return time.Now().Add(after) }})
			_, err := store.Authenticate(t.Context(), token)
			return err
		}
		if err := authenticate(29 * day); err != nil {
			t.Errorf("unused, it ended early: %v", err)
		}
		if err := authenticate(31 * day); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("it does not end: %v", err)
		}
		if status, _, err := m.say("battery staple\n", "user", "password", "prometheus"); status != exitOK || !fault.Is(authenticate(0), fault.Unauthenticated) {
			t.Errorf("a new password does not end it: %d %s", status, err)
		}
		if status, out, err := m.say("", "user", "token", "nobody"); status != exitFailed || out != "" || !strings.Contains(err, "nobody") {
			t.Errorf("of nobody: %d %q %q", status, out, err)
		}
		if status, _, err := m.say("", "user", "token", "prometheus", "--expires", "0d"); status != exitUsage || !strings.Contains(err, "--expires") {
			t.Errorf("no lifetime: %d %q", status, err)
		}
	})
}

func TestSecretCommand(t *testing.T) {
	eachEngine(t, func(t *testing.T, m machine) {
		status, made, err := m.say("", "secret", "add", "laptops", "--tag", "inventory", "--tag=security,health", "--expires", "30d")
		if made = strings.TrimSpace(made); status != exitOK || len(made) < 20 {
			t.Fatalf("add: %d %q %s", status, made, err)
		}
		if status, out, err := m.say("the old fleet's\n", "secret", "add", "fleet", "--secret-file", "-"); status != exitOK || out != "the old fleet's\n" {
			t.Fatalf("add a given one: %d %q %s", status, out, err)
		}
		if status, _, err := m.say("", "secret", "add", "laptops"); status != exitFailed || !strings.Contains(err, "exists") {
			t.Errorf("a name twice: %d %s", status, err)
		}
		for _, lifetime := range []string{"soon", "-1h", "0d", "1.5d"} {
			if status, _, err := m.say("", "secret", "add", "x", "--expires", lifetime); status != exitUsage || !strings.Contains(err, "30d") {
				t.Errorf("expires %s: %d %s", lifetime, status, err)
			}
		}
		store := hosts.New(m.db, bus.NewMemory(), Config{}.Logger(t.Output()), hosts.Options{})
		if err := store.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, host, enrolled := store.Enroll(t.Context(), hosts.Enrollment{Secret: made, Identifier: "h1", PlatformType: "9"})
		if enrolled != nil || len(host.Tags) != 3 {
			t.Fatalf("the secret does not enrol: %v %+v", enrolled, host)
		}
		if status, out, _ := m.say("", "secret", "revoke", "laptops"); status != exitOK || !strings.Contains(out, "laptops") {
			t.Errorf("revoke: %d %s", status, out)
		}
		if status, _, err := m.say("", "secret", "revoke", "none"); status != exitFailed || err == "" {
			t.Errorf("revoke nothing: %d %s", status, err)
		}
		_, list, _ := m.say("", "secret", "list")
		for _, part := range []string{"laptops", "revoked", "fleet", "active", "inventory security health"} {
			if !strings.Contains(list, part) {
				t.Errorf("the list lacks %q:\n%s", part, list)
			}
		}
		if strings.Contains(list, made) {
			t.Error("the list tells the secret")
		}
	})
}

func TestCommandsMakeNoDatabase(t *testing.T) {
	data := filepath.Join(t.TempDir(), "elsewhere")
	s := session{environ: []string{"MUSTER_DATA=" + data}}
	if status := s.run(t.Context(), "user", "list"); status != exitFailed || !strings.Contains(s.err.String(), "MUSTER_DATA") {
		t.Errorf("%d %s", status, s.err.String())
	}
	if names, _ := filepath.Glob(data + "*"); names != nil {
		t.Errorf("it made %v", names)
	}
}

func TestAnnouncerWakesReplicas(t *testing.T) {
	db := dbtest.Open(t, database.Postgres)
	heard, ready := make(chan string, 1), make(chan struct{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() {
		_ = db.Listen(ctx, func() { close(ready) }, func(topic string) { heard <- topic })
	}()
	select {
	case <-ready:
	case <-ctx.Done():
		t.Fatal("nobody listens")
	}
	newAnnouncer(db).Publish("secrets")
	select {
	case topic := <-heard:
		if topic != "secrets" {
			t.Errorf("heard %q", topic)
		}
	case <-ctx.Done():
		t.Error("the hint was not heard")
	}
}
