package database

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// notifyChannel is the one PostgreSQL channel that hints travel on.
const notifyChannel = "muster"

// Notify sends payload to every listener of every replica. PostgreSQL only.
func (db *DB) Notify(ctx context.Context, payload string) error {
	_, err := db.pool.Exec(ctx, "SELECT pg_notify($1, $2)", notifyChannel, payload)
	return Fault(err)
}

// Listen calls each for every payload until ctx ends or the connection breaks;
// ready is called once listening. It holds a connection of its own. PostgreSQL only.
func (db *DB) Listen(ctx context.Context, ready func(), each func(payload string)) error {
	conn, err := pgx.ConnectConfig(ctx, db.pool.Config().ConnConfig)
	if err != nil {
		return Fault(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+notifyChannel); err != nil {
		return Fault(err)
	}
	ready()
	for {
		note, err := conn.WaitForNotification(ctx)
		if err != nil {
			return Fault(err)
		}
		each(note.Payload)
	}
}
