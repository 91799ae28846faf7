package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"muster/server/bus"
	"muster/server/database"
)

// openDatabase opens the server's database for a command that works on it
// directly. Unlike serve it never makes one: a wrong MUSTER_DATA would go unnoticed.
func openDatabase(ctx context.Context, cfg Config) (*database.DB, error) {
	if file, isSQLite := strings.CutPrefix(cfg.DatabaseURL, "sqlite://"); isSQLite {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no database %s: start the server once, or say where it is with MUSTER_DATA or MUSTER_DATABASE_URL", file)
		}
	}
	return database.Open(ctx, cfg.DatabaseURL)
}

// announcer is the bus of a command that changes the database of a running
// server. On PostgreSQL it wakes the replicas at once; beside SQLite the server
// finds out by its own slow poll.
type announcer struct {
	*bus.Memory
	db *database.DB
}

func newAnnouncer(db *database.DB) announcer { return announcer{bus.NewMemory(), db} }

// Publish sends the hint before it returns, since the process ends soon. A lost
// hint costs the time of a poll.
func (a announcer) Publish(topic string) {
	if a.db.Engine() != database.Postgres {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = a.db.Notify(ctx, topic)
}

// shortTime is for lists: minutes in local time, or a dash for never.
func shortTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}
