package main

import (
	"context"
	"sync"
	"time"

	"muster/server/database"
)

// readiness asks the database at most once a second, however many ask us.
type readiness struct {
	db    *database.DB
	mu    sync.Mutex
	until time.Time
	err   error
}

func (r *readiness) check(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Now().Before(r.until) {
		return r.err
	}
	r.err = r.db.Ready(context.WithoutCancel(ctx)) // bounded by itself
	r.until = time.Now().Add(time.Second)
	return r.err
}
