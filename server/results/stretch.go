package results

import (
	"context"
	"database/sql"
	"encoding/binary"

	"github.com/jackc/pgx/v5/pgtype"

	"muster/server/database"
)

// stretch is a part of the log: what arrived from from up to to, in microseconds.
type stretch struct{ from, to int64 }

// stored is a row as it lies in the database. Its texts are valid until the next.
type stored struct {
	id, hostID, arrived   int64
	name, action, columns []byte
}

const (
	liteStretchSQL = "SELECT id, host_id, received_at, name, action, columns FROM results WHERE received_at >= ? AND received_at < ? LIMIT ?"
	postStretchSQL = "SELECT id, host_id, received_at, name, action, columns FROM results WHERE received_at >= $1 AND received_at < $2 LIMIT $3"
)

// noLimit is a limit that no stretch reaches.
const noLimit = 1 << 40

// eachStored calls fn with the rows of a stretch, in no order, up to limit, and
// returns how many there were. It is how the log is read in bulk: without boxing
// values, and planned for the very stretch that is asked for.
func (s *Store) eachStored(ctx context.Context, at stretch, limit int, fn func(stored)) (int, error) {
	if s.db.Engine() == database.Postgres {
		return s.eachPostgres(ctx, at, limit, fn)
	}
	return s.eachSQLite(ctx, at, limit, fn)
}

func (s *Store) eachPostgres(ctx context.Context, at stretch, limit int, fn func(stored)) (n int, err error) {
	conn, err := s.db.Pool().Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Release()
	got := conn.Conn().PgConn().ExecParams(ctx, postStretchSQL, [][]byte{bigint(at.from), bigint(at.to), bigint(int64(limit))},
		[]uint32{pgtype.Int8OID, pgtype.Int8OID, pgtype.Int8OID}, binaryFormat, binaryFormat)
	for got.NextRow() {
		v := got.Values()
		fn(stored{id: integer(v[0]), hostID: integer(v[1]), arrived: integer(v[2]), name: v[3], action: v[4], columns: v[5]})
		n++
	}
	_, err = got.Close()
	return n, err
}

// integer is a bigint in binary.
func integer(value []byte) int64 { return int64(binary.BigEndian.Uint64(value)) }

// lookEvery is after how many rows a reader of SQLite looks whether it is still
// wanted: under a context that can end, the driver starts a goroutine for each row.
const lookEvery = 1024

func (s *Store) eachSQLite(ctx context.Context, at stretch, limit int, fn func(stored)) (n int, err error) {
	rows, err := s.db.Read(context.WithoutCancel(ctx)).Raw(liteStretchSQL, at.from, at.to, limit).Rows()
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	var row stored
	var name, action, columns sql.RawBytes
	for rows.Next() {
		if n%lookEvery == 0 && ctx.Err() != nil {
			return n, ctx.Err()
		}
		if err := rows.Scan(&row.id, &row.hostID, &row.arrived, &name, &action, &columns); err != nil {
			return n, err
		}
		row.name, row.action, row.columns = name, action, columns
		fn(row)
		n++
	}
	return n, rows.Err()
}

// strideRows is how many rows a stretch should have on a walk through the log.
const strideRows = 16_384

// strideMax is the longest stretch, in microseconds.
const strideMax = int64(daySeconds) * 1_000_000

// stride is how much time a walk through the log takes at once: it follows how
// many rows there are, so that neither memory nor the number of reads grows much.
type stride struct {
	micros int64
	rows   int // that a stretch should have
}

// limit is how many rows to read of a stretch so long. One that cannot be made
// smaller is read to its end.
func (d *stride) limit(length int64) int {
	if length <= 1 {
		return noLimit
	}
	return 8 * d.rows
}

// saw learns from the rows of a stretch. It says false when there were too many
// to have been read to the end: the stretch must be read again, in less.
func (d *stride) saw(length int64, rows int) bool {
	switch {
	case rows >= d.limit(length):
		d.micros = max(length/8, 1)
		return false
	case rows > d.rows:
		d.micros = max(length*int64(d.rows)/int64(rows), 1)
	case 4*rows < d.rows && length >= d.micros:
		d.micros = min(d.micros*4, strideMax)
	}
	return true
}
