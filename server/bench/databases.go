package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"muster/server/database"
)

// scratch is an empty database of its own, which goes with drop.
type scratch struct {
	url string
	// drop deletes it; whoever uses it has to have closed it.
	drop func()
}

func newScratch(ctx context.Context, p plan, engine string) (*scratch, error) {
	dir, err := os.MkdirTemp("", "muster-scratch-")
	if err != nil {
		return nil, err
	}
	if engine != "postgres" {
		return &scratch{"sqlite://" + filepath.Join(dir, "muster.db"), func() { _ = os.RemoveAll(dir) }}, nil
	}
	_ = os.RemoveAll(dir)
	admin, err := database.Open(ctx, p.postgres)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("muster_scratch_%d", time.Now().UnixNano())
	if err := admin.Write(ctx).Exec("CREATE DATABASE " + name).Error; err != nil {
		_ = admin.Close()
		return nil, err
	}
	parsed, err := url.Parse(p.postgres)
	if err != nil {
		_ = admin.Close()
		return nil, err
	}
	parsed.Path = "/" + name
	return &scratch{parsed.String(), func() {
		if err := admin.Write(context.Background()).Exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)").Error; err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		_ = admin.Close()
	}}, nil
}
