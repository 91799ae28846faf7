package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

func healthcheckCommand() command {
	return command{
		name:    cmdHealthcheck,
		summary: "ask the server whether it is well, for containers",
		usage:   []string{"muster healthcheck [--ready]"},
		about:   "Asks /healthz, which says that the process lives, or /readyz, which says that it can do its work.",
		exits:   []string{"0 well", "1 not well", "2 wrong flags or settings"},
		define: func(own *flag.FlagSet) runner {
			ready := own.Bool("ready", false, "ask /readyz: the database answers and its schema is up to date")
			return func(ctx context.Context, t terminal, cfg Config, _ []string) int {
				path := "/healthz"
				if *ready {
					path = "/readyz"
				}
				if err := healthcheck(ctx, cfg, path); err != nil {
					return failed(t, cmdHealthcheck, err)
				}
				return exitOK
			}
		},
	}
}

func healthcheck(ctx context.Context, cfg Config, path string) error {
	c, err := newClient(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return c.explain(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1024))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %d: %s", path, response.StatusCode, strings.TrimSpace(string(text)))
	}
	return err
}
