package hosts

import (
	"fmt"
	"sync/atomic"
	"testing"

	"muster/server/database"
	"muster/server/database/dbtest"
)

// BenchmarkEnroll measures agents that enrol for the first time, 8 at a time.
func BenchmarkEnroll(b *testing.B) {
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		b.Run(string(engine), func(b *testing.B) {
			f := newFixture(b, dbtest.Open(b, engine))
			var n atomic.Int64
			b.SetParallelism(4)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := n.Add(1)
					a := agent{fmt.Sprint("host", i), fmt.Sprint("i", i), fmt.Sprintf("12345678-0000-4000-8000-%012d", i), fmt.Sprint(i), fmt.Sprint("host", i)}
					if _, _, err := f.Enroll(b.Context(), a.enrollment()); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// BenchmarkList measures one page of a fleet, sought by name, and the flush of a
// contact from every host.
func BenchmarkFleet(b *testing.B) {
	f := newFixture(b, dbtest.Open(b, database.SQLite))
	const size = 20000
	records := make([]record, size)
	for i := range records {
		h := &Host{ID: int64(i + 1), Identifier: fmt.Sprint("host-", i), Hostname: fmt.Sprint("host-", i), State: Active, Platform: "linux", version: 1}
		h.prepare()
		records[i] = record{host: h}
	}
	f.reg.install(records)
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			if _, _, _, err := f.List(b.Context(), Filter{Search: "host-77", Limit: 50}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("flush", func(b *testing.B) {
		for b.Loop() {
			for i := range size {
				f.Seen(int64(i+1), ContactConfig, "10.0.0.1")
			}
			f.ok(f.Flush(b.Context()))
		}
	})
}
