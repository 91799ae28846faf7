package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"muster/server/accounts"
)

// localAccount is who a command on the server's own machine acts as when nobody is named.
const localAccount = "admin"

// signIn gives the client a token: the one that was given, one for an account and
// its password, or one made in this machine's database. The latter two are ended
// by what it returns; that must be called.
func (c *client) signIn(ctx context.Context, t terminal, cfg Config, lifetime time.Duration) (signOut func(), err error) {
	switch {
	case cfg.Token != "":
		c.token = cfg.Token
		return func() {}, nil
	case cfg.Username != "":
		err = c.login(ctx, t, cfg)
	case !isLocal(cfg.Server) && cfg.ServerGiven:
		return func() {}, errors.New("say who you are: MUSTER_TOKEN, or --username")
	default:
		err = c.mint(ctx, cfg, lifetime)
	}
	if err != nil {
		return func() {}, err
	}
	return func() {
		// After Ctrl-C too, so not with the command's context.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = c.call(ctx, "POST /logout", struct{}{}, nil) // it ends by itself if this fails
	}, nil
}

func (c *client) login(ctx context.Context, t terminal, cfg Config) error {
	password := cfg.Password
	if password == "" {
		if !t.asks {
			return errors.New("the password is missing: MUSTER_PASSWORD or --password-file")
		}
		var err error
		if password, err = t.password(ctx, "", "Password for "+cfg.Username+": ", false); err != nil {
			return err
		}
	}
	var answer struct {
		Token string `json:"token"`
	}
	if err := c.call(ctx, "POST /login", map[string]string{"username": cfg.Username, "password": password}, &answer); err != nil {
		return fmt.Errorf("sign in as %s: %w", cfg.Username, err)
	}
	if answer.Token == "" {
		return fmt.Errorf("sign in as %s: the server gave no token", cfg.Username)
	}
	c.token = answer.Token
	return nil
}

// mint makes a token in the database of this machine: whoever can open it may do
// anything anyway.
func (c *client) mint(ctx context.Context, cfg Config, lifetime time.Duration) error {
	db, err := openDatabase(ctx, cfg)
	if err != nil {
		return fmt.Errorf("say who you are (MUSTER_TOKEN, or --username), or run this where the server keeps its data: %w", err)
	}
	defer func() { _ = db.Close() }()
	c.token, err = accounts.New(db, accounts.Options{}).IssueToken(ctx, localAccount, lifetime)
	return err
}
