package database

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"muster/server/fault"
)

// Fault maps an engine's error to a fault; faults and nil pass unchanged.
//
// NotFound: no such row. Conflict: a unique or foreign key is violated.
// Busy: no connection, no room, cancelled, shutting down. Internal: the rest.
func Fault(err error) error {
	var known *fault.Fault
	if err == nil || errors.As(err, &known) {
		return err
	}
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound), errors.Is(err, sql.ErrNoRows):
		return fault.Wrap(err, fault.NotFound, "Not found")
	case errors.Is(err, gorm.ErrDuplicatedKey), errors.Is(err, gorm.ErrForeignKeyViolated), uniqueViolation(err):
		return fault.Wrap(err, fault.Conflict, "It exists already or is in use")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, sql.ErrConnDone), unreachable(err):
		return fault.Wrap(err, fault.Busy, "The database is busy or cannot be reached")
	}
	return fault.Wrap(err, fault.Internal, "Internal server error")
}

func uniqueViolation(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505" || pg.Code == "23503"
	}
	return sqliteConstraint(err)
}

// closed tells the pools' own errors after Close, which have no name.
func closed(err error) bool {
	text := err.Error()
	return strings.HasSuffix(text, "sql: database is closed") || strings.HasSuffix(text, "closed pool") || strings.HasSuffix(text, "conn closed")
}

// unreachable covers broken connections, and PostgreSQL's classes 08 (connection),
// 40 (rolled back, such as the victim of a deadlock), 53 (resources) and 57
// (operator intervention: restart, cancel).
func unreachable(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return len(pg.Code) == 5 && (pg.Code[:2] == "08" || pg.Code[:2] == "40" || pg.Code[:2] == "53" || pg.Code[:2] == "57")
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || closed(err) || pgconn.SafeToRetry(err) || sqliteBusy(err)
}
