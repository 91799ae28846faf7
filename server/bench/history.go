package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"muster/server/bus"
	"muster/server/condition"
	"muster/server/database"
	"muster/server/results"
)

const (
	historyDays = 10
	fillRows    = 100_000 // in one statement
	batchRows   = 5_000   // that arrived together
	wanted      = 1_000   // indicators in a hunt
	hunts       = 20
	searches    = 5
)

// measureHistory fills databases of their own with generated entries of the last
// days and asks them: hunts for many hashes, half of which were seen, and a search
// by condition through everything.
func (p plan) measureHistory(ctx context.Context, engine string) error {
	var last *past
	for _, rows := range p.history {
		now, err := p.askHistory(ctx, engine, rows)
		if err != nil {
			return err
		}
		if last != nil {
			times := float64(rows) / float64(last.rows)
			fmt.Printf("  %.0f times the entries: hunt x %.1f, search x %.1f\n", times, ratio(now.hunt, last.hunt), ratio(now.search, last.search))
		}
		last = now
	}
	return nil
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }

// past is what was measured on so many rows: medians.
type past struct {
	rows         int
	hunt, search time.Duration
}

func (p plan) askHistory(ctx context.Context, engine string, rows int) (*past, error) {
	h, err := openHistory(ctx, p, engine)
	if err != nil {
		return nil, err
	}
	defer h.close()
	started := time.Now()
	if err := h.fill(ctx, rows); err != nil {
		return nil, err
	}
	filled := time.Since(started)
	started = time.Now()
	if err := h.store.ObserveAll(ctx); err != nil {
		return nil, err
	}
	indexed := time.Since(started)
	fmt.Printf("\n%s, %d entries (made in %s; indexed at %.0f rows/s, %.0f bytes a row)\n",
		engine, rows, filled.Round(time.Second), float64(rows)/indexed.Seconds(), h.indexBytes(ctx)/float64(rows))
	hunt, err := timed(fmt.Sprintf("hunt of %d hashes", wanted), hunts, func(i int) (string, error) { return h.hunt(ctx, rows, i) })
	if err != nil {
		return nil, err
	}
	search, err := timed("search by condition", searches, func(i int) (string, error) { return h.search(ctx, rows, i) })
	if err != nil {
		return nil, err
	}
	return &past{rows: rows, hunt: hunt, search: search}, h.measureRetro(ctx, rows)
}

// timed calls fn several times and prints the median and the 99th percentile.
func timed(what string, times int, fn func(i int) (string, error)) (time.Duration, error) {
	took := make([]time.Duration, 0, times)
	said := ""
	for i := range times {
		started := time.Now()
		found, err := fn(i)
		if err != nil {
			return 0, err
		}
		took, said = append(took, time.Since(started)), found
	}
	slices.Sort(took)
	p50, p99 := took[len(took)/2], took[len(took)-1]
	fmt.Printf("  %-32s p50 %-10s p99 %-10s %s\n", what, p50.Round(time.Millisecond), p99.Round(time.Millisecond), said)
	return p50, nil
}

// history is a database of generated entries.
type history struct {
	db      *database.DB
	scratch *scratch
	store   *results.Store
	from    time.Time
}

func openHistory(ctx context.Context, p plan, engine string) (h *history, err error) {
	h = &history{from: time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1-historyDays)}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	if h.scratch, err = newScratch(ctx, p, engine); err != nil {
		return nil, err
	}
	if h.db, err = database.Open(ctx, h.scratch.url); err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	for day := range historyDays {
		at := h.from.AddDate(0, 0, day)
		then := results.New(h.db, bus.NewMemory(), log, results.Options{Now: func() time.Time { return at }})
		if err := then.EnsurePartitions(ctx); err != nil {
			return nil, err
		}
	}
	h.store = results.New(h.db, bus.NewMemory(), log, results.Options{SearchBudget: time.Hour})
	return h, nil
}

func (h *history) close() {
	if h.db != nil {
		_ = h.db.Close()
	}
	if h.scratch != nil {
		h.scratch.drop()
	}
}

// The words of a hash are multiples of odd numbers, so that each row has its own
// and Go can say what it is.
var factors = [8]int64{2654435761, 2246822519, 3266489917, 668265263, 374761393, 1181783497, 2891336453, 1597334677}

func hashOf(n int64) string {
	text := ""
	for _, factor := range factors {
		text += fmt.Sprintf("%08x", n*factor%(1<<32))
	}
	return text
}

// Of ten entries six are processes, two sockets and two files with hashes.
const (
	postgresWord = `lpad(to_hex(n * %d %% 4294967296), 8, '0')`
	sqliteWord   = `printf('%%08x', n * %d %% 4294967296)`

	rowsText = `SELECT 1 + n %% 1000,
		CASE WHEN n %% 10 < 6 THEN 'pack/security/process_events' WHEN n %% 10 < 8 THEN 'pack/security/socket_events' ELSE 'pack/security/file_events' END, 'added',
		CASE WHEN n %% 10 < 6 THEN '{"auid":"1000","cmdline":"/usr/bin/tool' || (n %% 500) || ' --job ' || n || '","cwd":"/srv/app","parent":"1","path":"/usr/bin/tool' || (n %% 500) || '","pid":"' || (n %% 32768) || '","time":"1799142004","uid":"1000"}'
			WHEN n %% 10 < 8 THEN '{"action":"connect","family":"2","path":"/usr/bin/tool' || (n %% 500) || '","pid":"' || (n %% 32768) || '","remote_address":"10.' || (n / 65536 %% 256) || '.' || (n / 256 %% 256) || '.' || (n %% 256) || '","remote_port":"443"}'
			ELSE '{"action":"CREATED","category":"srv","md5":"' || substr(%[1]s, 1, 32) || '","sha1":"' || substr(%[1]s, 9, 40) || '","sha256":"' || %[1]s || '","target_path":"/srv/data/' || (n %% 100000) || '"}' END,
		%[2]d, %[3]d + n / %[4]d * %[5]d`
	insertText = `INSERT INTO results (host_id, name, action, columns, unix_time, received_at) `
)

// fill makes rows that arrived evenly over the days until now, in the order of
// their arrival.
func (h *history) fill(ctx context.Context, rows int) error {
	word, series := postgresWord, ` FROM generate_series(CAST(? AS bigint), CAST(? AS bigint)) AS s (n)`
	if h.db.Engine() == database.SQLite {
		word, series = sqliteWord, ` FROM s`
	}
	hash := ""
	for i, factor := range factors {
		if i > 0 {
			hash += " || "
		}
		hash += fmt.Sprintf(word, factor)
	}
	step := time.Since(h.from).Microseconds() / int64(rows/batchRows+1)
	statement := insertText + fmt.Sprintf(rowsText, "("+hash+")", h.from.Unix(), h.from.UnixMicro(), batchRows, step) + series
	if h.db.Engine() == database.SQLite {
		statement = `WITH RECURSIVE s (n) AS (SELECT ? UNION ALL SELECT n + 1 FROM s WHERE n < ?) ` + statement
	}
	for first := 0; first < rows; first += fillRows {
		if err := h.db.Write(ctx).Exec(statement, first, min(first+fillRows, rows)-1).Error; err != nil {
			return err
		}
	}
	return h.db.Write(ctx).Exec("ANALYZE results").Error
}

func (h *history) indexBytes(ctx context.Context) float64 {
	var bytes float64
	if err := h.db.Read(ctx).Raw("SELECT coalesce(sum(length(sieve) + length(postings)), 0) FROM observed").Scan(&bytes).Error; err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	return bytes
}

// hunt looks for hashes of which every second was seen.
func (h *history) hunt(ctx context.Context, rows, seed int) (string, error) {
	random := rand.New(rand.NewPCG(uint64(seed), 1))
	values := make([]string, wanted)
	for i := range values {
		n := random.Int64N(int64(rows/10))*10 + 8 // a file's row
		if i%2 == 1 {
			n += 1 << 31 // beyond all rows
		}
		values[i] = hashOf(n)
	}
	groups, reach, err := h.store.Hunt(ctx, results.Hunt{Type: "sha256", Values: values})
	found := 0
	for _, g := range groups {
		found += int(g.Count)
	}
	if err == nil && (found < wanted/2-wanted/50 || !reach.Complete) {
		err = fmt.Errorf("a hunt found %d rows, complete: %v", found, reach.Complete)
	}
	return fmt.Sprintf("%d rows found", found), err
}

// search looks for processes of one tool with a job number, in all entries.
func (h *history) search(ctx context.Context, rows, seed int) (string, error) {
	tree, err := condition.Parse(map[string]any{"condition": "AND", "rules": []any{
		map[string]any{"field": "path", "operator": "equal", "value": fmt.Sprintf("/usr/bin/tool%d", seed*10)},
		map[string]any{"field": "cmdline", "operator": "contains", "value": "--job 99"},
	}}, condition.Options{})
	if err != nil {
		return "", err
	}
	groups, reach, err := h.store.Search(ctx, results.Search{Where: tree})
	found := 0
	for _, g := range groups {
		found += int(g.Count)
	}
	if err == nil && (found == 0 || !reach.Complete || reach.Rows != int64(rows)) {
		err = fmt.Errorf("a search found %d rows of %d looked at, complete: %v", found, reach.Rows, reach.Complete)
	}
	return fmt.Sprintf("%d rows found", found), err
}
