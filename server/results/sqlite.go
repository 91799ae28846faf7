package results

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// chunk is how many rows one statement inserts: enough that calling SQLite costs
// little, few enough that the rest, row by row, does too.
const chunk = 32

// rowColumns is the number of columns in liteRowSQL.
const rowColumns = 9

const (
	liteKnownSQL = `SELECT line_key FROM result_lines WHERE day >= ?1 AND line_key IN (?2`
	liteClaimSQL = `INSERT OR IGNORE INTO result_lines (day, line_key) VALUES (?1, ?2)`
	liteRowSQL   = `INSERT INTO results (host_id, name, action, columns, decorations, unix_time, received_at, epoch, counter)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
	liteStatusSQL = `INSERT INTO status_logs (host_id, severity, filename, line, message, version, decorations, unix_time, received_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
)

// sqlite stores batches on the one connection that writes. Its statements run
// under a context without an end: with one that can end, the driver starts a
// goroutine for each. Nothing here waits for anything but the disk.
type sqlite struct {
	s                               *Store
	known, claim, row, rows, status *sql.Stmt
	args                            []any
}

func (l *sqlite) store(ctx context.Context, b *batch) error {
	ctx = context.WithoutCancel(ctx)
	pool, err := l.s.db.SQL()
	if err != nil {
		return err
	}
	if err := l.prepare(ctx, pool); err != nil {
		return err
	}
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { clear(l.args[:cap(l.args)]) }()
	err = l.claimKeys(ctx, tx, b)
	if err == nil {
		err = l.insert(ctx, tx, b)
	}
	if err == nil {
		err = l.s.tellFound(ctx, tx, b)
	}
	if err != nil {
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}

// prepare makes the statements once; they live as long as the pool.
func (l *sqlite) prepare(ctx context.Context, pool *sql.DB) (err error) {
	if l.status != nil {
		return nil
	}
	for _, s := range []struct {
		statement **sql.Stmt
		sql       string
	}{
		{&l.known, liteKnownSQL + numbered(", ?%d", 3) + ")"},
		{&l.claim, liteClaimSQL + numbered(", (?1, ?%d)", 3)},
		{&l.row, liteRowSQL},
		{&l.rows, liteRowSQL + strings.Repeat(", (?, ?, ?, ?, ?, ?, ?, ?, ?)", chunk-1)},
		{&l.status, liteStatusSQL},
	} {
		if *s.statement, err = pool.PrepareContext(ctx, s.sql); err != nil {
			return err
		}
	}
	return nil
}

// numbered repeats a parameter for the rest of a chunk, counting from first.
func numbered(format string, first int) string {
	var text strings.Builder
	for i := range chunk - 1 {
		fmt.Fprintf(&text, format, first+i)
	}
	return text.String()
}

// claimKeys marks the lines whose keys are not there and adds these keys.
func (l *sqlite) claimKeys(ctx context.Context, tx *sql.Tx, b *batch) error {
	known, claim := tx.StmtContext(ctx, l.known), tx.StmtContext(ctx, l.claim)
	for lines := range slices.Chunk(b.unique, chunk) {
		for _, line := range lines {
			b.fresh[line] = true
		}
		if err := forget(ctx, known, l.keys(b, lines, b.day-dedupDays), b); err != nil {
			return err
		}
		args := l.keys(b, lines, b.day)
		if len(args) == 1 {
			continue
		}
		if _, err := claim.ExecContext(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// keys are the arguments of a statement about a chunk: a day and the keys of the
// lines that are fresh, filled up with the last of them.
func (l *sqlite) keys(b *batch, lines []int, day int64) []any {
	args := append(l.args[:0], day)
	for _, line := range lines {
		if b.fresh[line] {
			args = append(args, b.lines[line].Key[:])
		}
	}
	for len(args) > 1 && len(args) <= chunk {
		args = append(args, args[len(args)-1])
	}
	l.args = args
	return args
}

// forget unmarks the lines whose keys the query known finds.
func forget(ctx context.Context, known *sql.Stmt, args []any, b *batch) error {
	rows, err := known.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var key sql.RawBytes
		if err := rows.Scan(&key); err != nil {
			return err
		}
		if line := b.find(key); line >= 0 {
			b.fresh[line] = false
		}
	}
	return rows.Err()
}

// insert adds the rows of the new lines, a chunk at a time and the rest singly.
// Those in which something was found are added singly too, since their ids are needed.
func (l *sqlite) insert(ctx context.Context, tx *sql.Tx, b *batch) error {
	row, rows, status := tx.StmtContext(ctx, l.row), tx.StmtContext(ctx, l.rows), tx.StmtContext(ctx, l.status)
	args := l.args[:0]
	for i, line := range b.lines {
		if !b.fresh[i] {
			continue
		}
		for k := range line.Entries {
			e := &line.Entries[k]
			if l.s.wanted(e) {
				if err := insertFound(ctx, row, b, e); err != nil {
					return err
				}
				continue
			}
			args = append(args, e.HostID, e.Name, e.Action, asText(e.Columns), asText(e.Decorations), e.UnixTime, b.at, e.Epoch, e.Counter)
			if len(args) == chunk*rowColumns {
				if _, err := rows.ExecContext(ctx, args...); err != nil {
					return err
				}
				args = args[:0]
			}
		}
		if s := line.Status; s != nil {
			_, err := status.ExecContext(ctx, s.HostID, s.Severity, s.Filename, s.Line, s.Message, s.Version, asText(s.Decorations), s.UnixTime, b.at)
			if err != nil {
				return err
			}
		}
	}
	l.args = args[:0]
	for single := range slices.Chunk(args, rowColumns) {
		if _, err := row.ExecContext(ctx, single...); err != nil {
			return err
		}
	}
	return nil
}

func insertFound(ctx context.Context, row *sql.Stmt, b *batch, e *Entry) error {
	done, err := row.ExecContext(ctx, e.HostID, e.Name, e.Action, asText(e.Columns), asText(e.Decorations), e.UnixTime, b.at, e.Epoch, e.Counter)
	if err != nil {
		return err
	}
	id, err := done.LastInsertId()
	b.collect(id, e)
	return err
}
