package main

import (
	"context"
	"flag"
	"fmt"
	"text/tabwriter"
	"time"

	"muster/server/accounts"
)

func userCommand() command {
	return command{
		name:    cmdUser,
		summary: "add accounts, set passwords, make tokens, list accounts",
		usage: []string{"muster user add NAME [--password-file FILE]", "muster user password NAME [--password-file FILE]",
			"muster user token NAME [--expires TIME]", "muster user list"},
		about: "Works on the server's database directly, whether or not the server runs. The password is asked for,\n" +
			"or read from the first line of the standard input when that is no terminal. A new password signs the\n" +
			"account out everywhere and ends its tokens. A token is for Prometheus and scripts: it may do what the\n" +
			"account may, unused it does not end early, and it is printed once, since the server keeps none in plain.",
		exits: []string{"0 done", "1 refused or failed", "2 wrong flags or settings"},
		define: func(own *flag.FlagSet) runner {
			file := own.String("password-file", "", "read the password from this `file`; - is the standard input")
			expires := own.String("expires", "365d", "a `duration` from now such as 12h or 365d, after which a token ends")
			return func(ctx context.Context, t terminal, cfg Config, args []string) int {
				u := userWork{terminal: t, file: *file}
				switch {
				case len(args) == 2 && args[0] == "add":
					return u.onAccounts(ctx, cfg, func(s *accounts.Store) error { return u.add(ctx, s, args[1]) })
				case len(args) == 2 && args[0] == "password":
					return u.onAccounts(ctx, cfg, func(s *accounts.Store) error { return u.setPassword(ctx, s, args[1]) })
				case len(args) == 2 && args[0] == "token":
					lifetime, err := parseLifetime(*expires)
					if err != nil {
						return usageError(t, cmdUser, fmt.Errorf("--expires: %w", err))
					}
					return u.onAccounts(ctx, cfg, func(s *accounts.Store) error { return u.token(ctx, s, args[1], lifetime) })
				case len(args) == 1 && args[0] == "list":
					return u.onAccounts(ctx, cfg, func(s *accounts.Store) error { return u.list(ctx, s) })
				}
				return usageError(t, cmdUser, errUsage)
			}
		},
	}
}

type userWork struct {
	terminal
	file string // with the password
}

// onAccounts runs work on the accounts of the server's database.
func (u userWork) onAccounts(ctx context.Context, cfg Config, work func(*accounts.Store) error) int {
	db, err := openDatabase(ctx, cfg)
	if err != nil {
		return failed(u.terminal, cmdUser, err)
	}
	defer func() { _ = db.Close() }()
	if err := work(accounts.New(db, accounts.Options{})); err != nil {
		return failed(u.terminal, cmdUser, err)
	}
	return exitOK
}

func (u userWork) add(ctx context.Context, s *accounts.Store, name string) error {
	password, err := u.password(ctx, u.file, "Password for "+name+": ", true)
	if err != nil {
		return err
	}
	if err := s.AddUser(ctx, name, password); err != nil {
		return err
	}
	fmt.Fprintf(u.out, "added %s\n", name)
	return nil
}

func (u userWork) setPassword(ctx context.Context, s *accounts.Store, name string) error {
	password, err := u.password(ctx, u.file, "New password for "+name+": ", true)
	if err != nil {
		return err
	}
	if err := s.SetPassword(ctx, name, password); err != nil {
		return err
	}
	fmt.Fprintf(u.out, "%s has a new password and is signed out everywhere\n", name)
	return nil
}

// token prints nothing else to the standard output, for scripts.
func (u userWork) token(ctx context.Context, s *accounts.Store, name string, lifetime time.Duration) error {
	token, err := s.IssueToken(ctx, name, lifetime)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(u.out, token); err != nil {
		return err
	}
	fmt.Fprintf(u.err, "a token of %s until %s; it is not shown again\n", name, shortTime(time.Now().Add(lifetime)))
	return nil
}

func (u userWork) list(ctx context.Context, s *accounts.Store) error {
	users, err := s.ListUsers(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(u.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "NAME\tROLE\tSTATE\tSINCE")
	for _, user := range users {
		state := "active"
		if user.Disabled {
			state = "disabled"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", user.Username, user.Role, state, shortTime(user.CreatedAt))
	}
	return table.Flush()
}
