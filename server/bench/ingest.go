package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"muster/server/database"
)

// batchLines is how many lines a log request carries; agents send up to 1,024.
const batchLines = 100

var lineNumber atomic.Int64

// logBody is a request of lines that were never sent before.
func logBody(key string) (string, int) {
	var b strings.Builder
	b.WriteString(`{"data":[`)
	now := time.Now().Unix()
	for i := range batchLines {
		if i > 0 {
			b.WriteByte(',')
		}
		n := lineNumber.Add(1)
		fmt.Fprintf(&b, `{"name":"pack/security/process_events","hostIdentifier":"bench","calendarTime":"Sat Nov 21 12:00:00 2026 UTC","unixTime":%d,`+
			`"epoch":0,"counter":%d,"numerics":false,"columns":%s,"action":"added"}`, now, n, columns(n))
	}
	fmt.Fprintf(&b, `],"log_type":"result","node_key":%q}`, key)
	return b.String(), batchLines
}

// columns is a row of process_events.
func columns(n int64) string {
	return fmt.Sprintf(`{"auid":"1000","cmdline":"/usr/bin/python3 /srv/app/worker.py --queue q%d --shard 7","cwd":"/srv/app","egid":"1000","euid":"1000","gid":"1000",`+
		`"parent":"%d","path":"/usr/bin/python3.11","pid":"%d","time":"1799142004","uid":"1000"}`, n%97, 1000+n%1000, n)
}

// measureIngest: durable rows over HTTPS on kept connections, beside a bulk load
// of the same rows into a bare table of the same database, in one stream.
func measureIngest(ctx context.Context, p plan, s *server, _ *bareServer) error {
	keys, err := enrollMany(s, workers)
	if err != nil {
		return err
	}
	raw, err := openRaw(ctx, s)
	if err != nil {
		return err
	}
	defer raw.close()
	return versus(p, fmt.Sprintf("durable log rows, %d a request", batchLines),
		func() (float64, error) { return ingest(ctx, p, s, keys) },
		func() (float64, error) { return raw.load(ctx, p.rows) })
}

func ingest(ctx context.Context, p plan, s *server, keys []string) (float64, error) {
	bodies := make(chan [2]string, p.rows/batchLines)
	for i := range p.rows / batchLines {
		key := keys[i%len(keys)]
		body, _ := logBody(key)
		bodies <- [2]string{key, body}
	}
	close(bodies)
	var running sync.WaitGroup
	failures := make(chan error, workers)
	start := time.Now()
	for range workers {
		running.Go(func() {
			if err := sendAll(ctx, s, bodies); err != nil {
				failures <- err
			}
		})
	}
	running.Wait()
	took := time.Since(start)
	select {
	case err := <-failures:
		return 0, err
	default:
	}
	return float64(p.rows/batchLines*batchLines) / took.Seconds(), nil
}

func sendAll(ctx context.Context, s *server, bodies <-chan [2]string) error {
	conn, err := tls.Dial("tcp", s.address, &tls.Config{RootCAs: s.roots})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	for body := range bodies {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := expect(`{}`)(exchange(conn, reader, "/log", body[0], body[1])); err != nil {
			return err
		}
	}
	return nil
}

// rawTable is a table of the same columns without anything around it.
type rawTable struct{ db *database.DB }

func openRaw(ctx context.Context, s *server) (*rawTable, error) {
	url := s.dbURL
	if s.engine == "sqlite" {
		url = "sqlite://" + s.dir + "/raw.db" // the server holds the writer of its own file
	}
	db, err := database.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	for _, statement := range []string{`DROP TABLE IF EXISTS bench_raw`,
		`CREATE TABLE bench_raw (host_id bigint, name text, action text, columns text, unix_time bigint, received_at bigint)`} {
		if err := db.Write(ctx).Exec(statement).Error; err != nil {
			return nil, err
		}
	}
	return &rawTable{db}, nil
}

func (r *rawTable) close() { _ = r.db.Close() }

// rawBatch is how many rows one transaction of the bulk load takes.
const rawBatch = 5000

func (r *rawTable) load(ctx context.Context, rows int) (float64, error) {
	texts := make([]string, rows)
	for i := range texts {
		texts[i] = columns(lineNumber.Add(1))
	}
	start := time.Now()
	for len(texts) > 0 {
		n := min(rawBatch, len(texts))
		insert := r.sqlite
		if r.db.Engine() == database.Postgres {
			insert = r.postgres
		}
		if err := insert(ctx, texts[:n]); err != nil {
			return 0, err
		}
		texts = texts[n:]
	}
	return float64(rows) / time.Since(start).Seconds(), nil
}

func (r *rawTable) sqlite(ctx context.Context, texts []string) error {
	pool, err := r.db.SQL()
	if err != nil {
		return err
	}
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	insert, err := tx.PrepareContext(ctx, `INSERT INTO bench_raw VALUES (?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	for _, text := range texts {
		if _, err := insert.ExecContext(ctx, 1, "pack/security/process_events", "added", text, 1799142004, 1799142004000000); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (r *rawTable) postgres(ctx context.Context, texts []string) error {
	_, err := r.db.Pool().Exec(ctx, `INSERT INTO bench_raw SELECT 1, 'pack/security/process_events', 'added', c, 1799142004, 1799142004000000
		FROM unnest($1::text[]) AS c`, texts)
	return err
}
