package alerts

import (
	"fmt"
	"testing"
	"time"

	"muster/server/database"
	"muster/server/database/dbtest"
)

// benchEach runs a benchmark on both engines.
func benchEach(b *testing.B, run func(b *testing.B, r *rig)) {
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		b.Run(string(engine), func(b *testing.B) { run(b, newRig(b, dbtest.Open(b, engine))) })
	}
}

// BenchmarkRaise stores five hundred findings of two hosts and a hundred rules at a
// time, where each group has an alert already, and where none has.
func BenchmarkRaise(b *testing.B) {
	for _, gathered := range []bool{true, false} {
		b.Run(map[bool]string{true: "gathered", false: "new"}[gathered], func(b *testing.B) {
			benchEach(b, func(b *testing.B, r *rig) {
				findings := make([]Finding, 500)
				for b.Loop() {
					for i := range findings {
						findings[i] = finding(int64(1 + i%2))
						findings[i].Group = fmt.Sprintf("rule:%d", i/5)
					}
					if !gathered {
						r.now = r.now.Add(time.Hour)
					}
					if _, err := r.Raise(b.Context(), findings); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(len(findings))*float64(b.N)/b.Elapsed().Seconds(), "findings/s")
			})
		})
	}
}

// BenchmarkReads asks what the console asks, of 300,000 alerts.
func BenchmarkReads(b *testing.B) {
	benchEach(b, func(b *testing.B, r *rig) {
		const many = 300_000
		r.many(b, many)
		no := false
		for name, ask := range map[string]func() error{
			"page": func() error {
				_, _, _, err := r.List(b.Context(), Filter{Source: Rule, Resolved: &no, Limit: 10})
				return err
			},
			"search": func() error {
				_, _, _, err := r.List(b.Context(), Filter{Search: "name 77", Resolved: &no, Limit: 10})
				return err
			},
			"sources":  func() error { _, err := r.CountBySource(b.Context(), Filter{Resolved: &no}); return err },
			"top":      func() error { _, err := r.Top(b.Context(), Filter{Resolved: &no}, 5); return err },
			"timeline": func() error { _, err := r.Timeline(b.Context(), Filter{Source: Rule, Resolved: &no}); return err },
			"raise":    func() error { _, err := r.Raise(b.Context(), []Finding{finding(1)}); return err },
		} {
			b.Run(name, func(b *testing.B) {
				for b.Loop() {
					if err := ask(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	})
}

// many fills the table with alerts of a year, of one host and two hundred rules.
func (r *rig) many(b *testing.B, n int) {
	b.Helper()
	series := "generate_series(1, ?) AS n"
	if r.db.Engine() == database.SQLite {
		series = "(WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < ?) SELECT n FROM s) AS s"
	}
	err := r.db.Write(b.Context()).Exec(`INSERT INTO alerts (host_id, source, rule_id, name, group_key, severity, query_name, message, status, resolved_at, created_at, last_event_at, updated_at)
		SELECT 1, 'rule', 1 + n % 200, 'name ' || (n % 200), 'rule:' || (1 + n % 200), CASE n % 3 WHEN 0 THEN 'INFO' ELSE 'WARNING' END, 'process_events',
		'{"path":"/usr/bin/something","cmdline":"something --with some arguments that make it longer","pid":"4711","parent":"1","uid":"0"}',
		CASE n % 4 WHEN 0 THEN 'resolved' ELSE 'open' END, CASE n % 4 WHEN 0 THEN 1 ELSE 0 END, CAST(? AS bigint) + CAST(n AS bigint) * 1000000, 1, 1 FROM `+series,
		r.now.AddDate(-1, 0, 0).UnixMicro(), n).Error
	if err != nil {
		b.Fatal(err)
	}
	if err := r.db.Write(b.Context()).Exec("ANALYZE").Error; err != nil {
		b.Fatal(err)
	}
}
