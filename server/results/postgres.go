package results

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"

	"muster/server/fault"
)

// midnight is how near to a change of day keys are claimed for both days. Two
// replicas that take the same line at that moment, one before it and one after
// it, meet on one of them; so it covers what their clocks may differ by.
const midnight = 5 * time.Minute

// The classes of PostgreSQL's errors that lie in what was sent: values that a type
// does not take, and values larger than a row or an index can hold.
const (
	dataException = "22"
	limitExceeded = "54"
)

// beginSQL keeps the planner from compiling claimSQL: its many index probes look
// dear enough for that, and compiling takes longer than they do.
const beginSQL = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL jit = off"

// claimSQL remembers keys and returns those that nobody had, once for each day
// that they are claimed for. OFFSET 0 keeps the look at earlier days an index
// probe for each key, whatever the planner thinks of a table that was just made.
const claimSQL = `INSERT INTO result_lines (line_key, day)
SELECT k.line_key, d.day FROM unnest($1::bytea[]) AS k (line_key), unnest($2::bigint[]) AS d (day)
WHERE NOT EXISTS (SELECT 1 FROM result_lines known WHERE known.line_key = k.line_key AND known.day >= $3 AND known.day < $4 OFFSET 0)
ORDER BY k.line_key, d.day
ON CONFLICT DO NOTHING RETURNING line_key`

// rowsSQL draws the ids of its rows under the lock that it has on the table, as every
// INSERT does: database.Fence, by which the log is followed, goes by that. Ids must not
// be drawn in any other way.
const rowsSQL = `INSERT INTO results (received_at, host_id, name, action, columns, decorations, unix_time, epoch, counter)
SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[])`

// foundIDsSQL takes ids before the rows are there, and foundSQL stores rows under them:
// in which order RETURNING gives ids is nowhere said.
const (
	foundIDsSQL = `SELECT nextval('results_id_seq') FROM generate_series(1, $1::bigint)`
	foundSQL    = `INSERT INTO results (received_at, host_id, name, action, columns, decorations, unix_time, epoch, counter, id)
SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])`
)

const statusSQL = `INSERT INTO status_logs (received_at, host_id, severity, filename, line, message, version, decorations, unix_time)
SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::bigint[])`

// postgres stores batches with one statement for each table: the columns travel
// as arrays in binary, built here in buffers that are used again.
type postgres struct {
	s                       *Store
	keys, rows, found, logs []array
}

func (p *postgres) store(ctx context.Context, b *batch) error {
	err := p.transact(ctx, b)
	if state := stateOf(err); strings.HasPrefix(state, dataException) || strings.HasPrefix(state, limitExceeded) {
		return fault.Wrap(err, fault.Unprocessable, "The report holds text that cannot be stored")
	}
	return err
}

// transact stores the batch on one connection of the pool. It has two faces: the
// driver's, which takes arrays, and that of database/sql, for Options.Found. A
// connection that comes back inside of a transaction is not used again.
func (p *postgres) transact(ctx context.Context, b *batch) error {
	pool, err := p.s.db.SQL()
	if err != nil {
		return err
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	err = conn.Raw(func(raw any) error {
		driver := raw.(*stdlib.Conn).Conn().PgConn() //nolint:forcetypeassert // the pool is made of nothing else
		if err := send(ctx, driver, beginSQL); err != nil {
			return err
		}
		if err := p.claim(ctx, driver, b); err != nil {
			return err
		}
		return p.insert(ctx, driver, b)
	})
	if err == nil {
		err = p.s.tellFound(ctx, conn, b)
	}
	return errors.Join(err, conn.Raw(func(raw any) error {
		driver := raw.(*stdlib.Conn).Conn().PgConn() //nolint:forcetypeassert // as above
		if err != nil {
			return send(ctx, driver, "ROLLBACK")
		}
		return commit(ctx, driver, b)
	}))
}

// commit ends the transaction. One that failed is rolled back by COMMIT, without an
// error: that would be rows lost.
func commit(ctx context.Context, conn *pgconn.PgConn, b *batch) error {
	healthy := conn.TxStatus() == inTransaction
	err := send(ctx, conn, "COMMIT")
	if err == nil && !healthy {
		err = errors.New("the transaction had failed before its commit")
		if len(b.found) > 0 {
			err = errors.Join(errUnheard, err)
		}
	}
	return err
}

// inTransaction is PostgreSQL's status of a transaction that has not failed.
const inTransaction = 'T'

// send sends statements without parameters.
func send(ctx context.Context, conn *pgconn.PgConn, sql string) error {
	return conn.Exec(ctx, sql).Close()
}

// claim marks the lines whose keys were new on every day they are claimed for.
func (p *postgres) claim(ctx context.Context, conn *pgconn.PgConn, b *batch) error {
	first := dayOf(time.UnixMicro(b.at).Add(-midnight))
	last := dayOf(time.UnixMicro(b.at).Add(midnight))
	p.keys = reuse(p.keys, pgtype.ByteaOID, pgtype.Int8OID)
	for _, line := range b.unique {
		p.keys[0].bytes(b.lines[line].Key[:])
	}
	for day := first; day <= last; day++ {
		p.keys[1].int(day)
	}
	params := [][]byte{p.keys[0].param(), p.keys[1].param(), bigint(first - dedupDays), bigint(first)}
	got := conn.ExecParams(ctx, claimSQL, params, []uint32{pgtype.ByteaArrayOID, pgtype.Int8ArrayOID, pgtype.Int8OID, pgtype.Int8OID},
		binaryFormat, binaryFormat)
	claims := make([]int64, len(b.lines))
	for got.NextRow() {
		if line := b.find(got.Values()[0]); line >= 0 {
			claims[line]++
			b.fresh[line] = claims[line] == last-first+1
		}
	}
	_, err := got.Close()
	return err
}

// insert sends the rows and the status messages of the new lines in one trip.
func (p *postgres) insert(ctx context.Context, conn *pgconn.PgConn, b *batch) error {
	p.rows = reuse(p.rows, rowTypes...)
	p.found = reuse(p.found, append(rowTypes[:len(rowTypes):len(rowTypes)], pgtype.Int8OID)...)
	p.logs = reuse(p.logs, pgtype.Int8OID, pgtype.Int8OID, pgtype.TextOID, pgtype.Int8OID, pgtype.TextOID,
		pgtype.TextOID, pgtype.TextOID, pgtype.Int8OID)
	for i, line := range b.lines {
		if !b.fresh[i] {
			continue
		}
		for k := range line.Entries {
			if e := &line.Entries[k]; p.s.wanted(e) {
				b.collect(0, e)
			} else {
				addRow(p.rows, e)
			}
		}
		if line.Status != nil {
			p.status(line.Status)
		}
	}
	if err := p.number(ctx, conn, b); err != nil {
		return err
	}
	trip := &pgconn.Batch{}
	queueInsert(trip, rowsSQL, b.at, p.rows)
	queueInsert(trip, foundSQL, b.at, p.found)
	queueInsert(trip, statusSQL, b.at, p.logs)
	_, err := conn.ExecBatch(ctx, trip).ReadAll()
	return err
}

// number gives the rows in which something was found their ids.
func (p *postgres) number(ctx context.Context, conn *pgconn.PgConn, b *batch) error {
	if len(b.found) == 0 {
		return nil
	}
	got := conn.ExecParams(ctx, foundIDsSQL, [][]byte{bigint(int64(len(b.found)))}, []uint32{pgtype.Int8OID}, binaryFormat, binaryFormat)
	numbered := 0
	for ; got.NextRow(); numbered++ {
		if numbered < len(b.found) {
			f := &b.found[numbered]
			f.ID = int64(binary.BigEndian.Uint64(got.Values()[0])) //nolint:gosec // ids are positive
			addRow(p.found, f.Entry)
			p.found[len(rowTypes)].int(f.ID)
		}
	}
	if _, err := got.Close(); err != nil {
		return err
	}
	if numbered != len(b.found) {
		return fmt.Errorf("got %d ids for %d rows", numbered, len(b.found))
	}
	return nil
}

// rowTypes are the types of what addRow adds.
var rowTypes = []uint32{pgtype.Int8OID, pgtype.TextOID, pgtype.TextOID, pgtype.TextOID, pgtype.TextOID, pgtype.Int8OID, pgtype.Int8OID, pgtype.Int8OID}

func addRow(to []array, e *Entry) {
	to[0].int(e.HostID)
	to[1].text(e.Name)
	to[2].text(e.Action)
	to[3].bytes(e.Columns)
	to[4].bytes(e.Decorations)
	to[5].int(e.UnixTime)
	to[6].int(e.Epoch)
	to[7].int(e.Counter)
}

func (p *postgres) status(s *Status) {
	p.logs[0].int(s.HostID)
	p.logs[1].int(s.Severity)
	p.logs[2].text(s.Filename)
	p.logs[3].int(s.Line)
	p.logs[4].text(s.Message)
	p.logs[5].text(s.Version)
	p.logs[6].bytes(s.Decorations)
	p.logs[7].int(s.UnixTime)
}

// queueInsert adds the statement to the trip unless its columns are empty.
func queueInsert(trip *pgconn.Batch, sql string, at int64, columns []array) {
	if columns[0].count == 0 {
		return
	}
	params, oids := [][]byte{bigint(at)}, []uint32{pgtype.Int8OID}
	for i := range columns {
		params = append(params, columns[i].param())
		oids = append(oids, columns[i].arrayOID())
	}
	trip.ExecParams(sql, params, oids, binaryFormat, binaryFormat)
}

func bigint(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }
