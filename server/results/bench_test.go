package results

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
)

// benchCallers is how many agents append at once.
const benchCallers = 8

// benchRows is how many rows the raw load commits at once.
const benchRows = 5000

const benchColumns = `{"cmdline":"/usr/sbin/sshd -D -R","cwd":"/","euid":"0","gid":"0","name":"sshd","on_disk":"1","parent":"812","path":"/usr/sbin/sshd","pid":"40213","resident_size":"8912896","start_time":"1799142004","uid":"0"}`

func benchEntry(host, n int64) Entry {
	return Entry{HostID: host, Name: "pack/security/processes", Action: "added", Columns: []byte(benchColumns),
		Decorations: []byte(`{"host_uuid":"4C4C4544-0051-3010-8052-B4C04F435931"}`), UnixTime: 1799142004, Counter: n}
}

// BenchmarkAppend stores rows through the store: keys, group commit and all.
// Compare with BenchmarkRawLoad of the same run.
func BenchmarkAppend(b *testing.B) {
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		for _, lines := range []int{10, 100} {
			b.Run(fmt.Sprintf("%s/lines=%d", engine, lines), func(b *testing.B) { benchAppend(b, dbtest.Open(b, engine), lines) })
		}
	}
}

func benchAppend(b *testing.B, db *database.DB, lines int) {
	s := New(db, bus.NewMemory(), slog.New(slog.DiscardHandler), Options{})
	if err := s.EnsurePartitions(b.Context()); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	var callers sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	each := b.N/(benchCallers*lines) + 1
	for host := range int64(benchCallers) {
		callers.Go(func() {
			batch, raw := make([]Line, lines), make([]byte, 400)
			for round := range each {
				for i := range batch {
					n := int64(round*lines + i)
					binary.BigEndian.PutUint64(raw, uint64(n))
					batch[i] = Line{Key: LineKey(host, time.Now().Unix(), raw, 0), Entries: []Entry{benchEntry(host, n)}}
				}
				if stored, err := s.Append(ctx, batch); err != nil || stored != lines {
					b.Errorf("stored %d, %v", stored, err)
					return
				}
			}
		})
	}
	callers.Wait()
	b.ReportMetric(float64(each*lines*benchCallers)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(s.Stats().Lines)/float64(s.Stats().Batches), "rows/commit")
	cancel()
	<-ended
}

// BenchmarkRawLoad inserts the same rows in one stream, without keys, as fast as
// the engine's ordinary client does.
func BenchmarkRawLoad(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { rawSQLite(b, dbtest.Open(b, database.SQLite)) })
	b.Run("postgres", func(b *testing.B) { rawPostgres(b, dbtest.Open(b, database.Postgres)) })
}

func rawSQLite(b *testing.B, db *database.DB) {
	pool, err := db.SQL()
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	insert, err := pool.PrepareContext(ctx, liteRowSQL)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += benchRows {
		tx, err := pool.BeginTx(ctx, nil)
		if err != nil {
			b.Fatal(err)
		}
		statement := tx.StmtContext(ctx, insert)
		for i := range min(benchRows, b.N-done) {
			e := benchEntry(int64(i%benchCallers), int64(done+i))
			if _, err := statement.Exec(e.HostID, e.Name, e.Action, string(e.Columns), string(e.Decorations), e.UnixTime, time.Now().UnixMicro(), e.Epoch, e.Counter); err != nil {
				b.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func rawPostgres(b *testing.B, db *database.DB) {
	s := New(db, bus.NewMemory(), slog.New(slog.DiscardHandler), Options{})
	if err := s.EnsurePartitions(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += benchRows {
		n := min(benchRows, b.N-done)
		hosts, times, epochs, counters := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
		names, actions, columns, decorations := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
		for i := range n {
			e := benchEntry(int64(i%benchCallers), int64(done+i))
			hosts[i], times[i], epochs[i], counters[i] = e.HostID, e.UnixTime, e.Epoch, e.Counter
			names[i], actions[i], columns[i], decorations[i] = e.Name, e.Action, string(e.Columns), string(e.Decorations)
		}
		if _, err := db.Pool().Exec(b.Context(), rowsSQL, time.Now().UnixMicro(), hosts, names, actions, columns, decorations, times, epochs, counters); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
