package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"muster/server/hosts"
)

func secretCommand() command {
	return command{
		name:    cmdSecret,
		summary: "add, list and revoke the secrets that agents enrol with",
		usage:   []string{"muster secret add NAME [--tag TAG]... [--expires TIME] [--secret-file FILE]", "muster secret list", "muster secret revoke NAME"},
		about: "Works on the server's database directly, whether or not the server runs; a running server takes notice\n" +
			"within half a minute. A new secret is printed once: the server keeps no secret in plain. Hosts that\n" +
			"enrolled with a secret stay enrolled when it is revoked or expires.",
		exits: []string{"0 done", "1 refused or failed", "2 wrong flags or settings"},
		define: func(own *flag.FlagSet) runner {
			var w secretWork
			own.Var(&w.tags, "tag", "a `tag` for hosts that enrol with the secret for the first time; may be repeated")
			own.StringVar(&w.expires, "expires", "", "a `duration` from now such as 12h or 30d, after which it is refused")
			own.StringVar(&w.file, "secret-file", "", "read the secret from this `file` (- is the standard input) rather than make one")
			return func(ctx context.Context, t terminal, cfg Config, args []string) int {
				w.terminal = t
				switch {
				case len(args) == 2 && args[0] == "add":
					return w.add(ctx, cfg, args[1])
				case len(args) == 2 && args[0] == "revoke":
					return w.onHosts(ctx, cfg, func(s *hosts.Store) error { return w.revoke(ctx, s, args[1]) })
				case len(args) == 1 && args[0] == "list":
					return w.onHosts(ctx, cfg, func(s *hosts.Store) error { return w.list(ctx, s) })
				}
				return usageError(t, cmdSecret, errUsage)
			}
		},
	}
}

type secretWork struct {
	terminal
	tags          words
	expires, file string
}

// onHosts runs work on the register of the server's database.
func (w secretWork) onHosts(ctx context.Context, cfg Config, work func(*hosts.Store) error) int {
	db, err := openDatabase(ctx, cfg)
	if err != nil {
		return failed(w.terminal, cmdSecret, err)
	}
	defer func() { _ = db.Close() }()
	if err := work(hosts.New(db, newAnnouncer(db), cfg.Logger(w.err), hosts.Options{})); err != nil {
		return failed(w.terminal, cmdSecret, err)
	}
	return exitOK
}

func (w secretWork) add(ctx context.Context, cfg Config, name string) int {
	secret := hosts.NewSecret{Name: name, Tags: w.tags}
	if w.expires != "" {
		lifetime, err := parseLifetime(w.expires)
		if err != nil {
			return usageError(w.terminal, cmdSecret, fmt.Errorf("--expires: %w", err))
		}
		secret.Expires = time.Now().Add(lifetime)
	}
	if w.file != "" {
		given, err := w.password(ctx, w.file, "", false)
		if err != nil {
			return failed(w.terminal, cmdSecret, err)
		}
		secret.Secret = given
	}
	return w.onHosts(ctx, cfg, func(s *hosts.Store) error {
		plain, err := s.AddSecret(ctx, secret)
		if err == nil {
			fmt.Fprintln(w.out, plain)
		}
		return err
	})
}

func (w secretWork) revoke(ctx context.Context, s *hosts.Store, name string) error {
	if err := s.RevokeSecret(ctx, name); err != nil {
		return err
	}
	fmt.Fprintf(w.out, "revoked %s\n", name)
	return nil
}

func (w secretWork) list(ctx context.Context, s *hosts.Store) error {
	secrets, err := s.ListSecrets(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "NAME\tSTATE\tTAGS\tEXPIRES\tENROLMENTS\tLAST USED")
	for _, secret := range secrets {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\n", secret.Name, secretState(secret, time.Now()), strings.Join(secret.Tags, " "),
			shortTime(secret.Expires), secret.Uses, shortTime(secret.LastUsed))
	}
	return table.Flush()
}

func secretState(s hosts.Secret, now time.Time) string {
	switch {
	case !s.Revoked.IsZero():
		return "revoked"
	case !s.Expires.IsZero() && !s.Expires.After(now):
		return "expired"
	}
	return "active"
}

// parseLifetime takes what time.ParseDuration takes, and whole days: 30d.
func parseLifetime(text string) (time.Duration, error) {
	lifetime, err := time.ParseDuration(text)
	if number, isDays := strings.CutSuffix(text, "d"); isDays {
		var n uint64
		n, err = strconv.ParseUint(number, 10, 16)
		lifetime = time.Duration(n) * day
	}
	if err != nil || lifetime <= 0 {
		return 0, errors.New("write a time from now such as 90m, 12h or 30d")
	}
	return lifetime, nil
}
