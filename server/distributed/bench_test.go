package distributed_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/distributed"
)

// BenchmarkLatency measures from an agent's write to the subscriber's callback,
// for a query on 1,000 hosts: answers one by one, as on an idle machine, and in a
// herd, as after an accelerated read.
func BenchmarkLatency(b *testing.B) {
	const targets = 1000
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		for _, writers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/writers=%d", engine, writers), func(b *testing.B) {
				f := newFleet(b, dbtest.Open(b, engine), targets)
				var all []time.Duration
				for b.Loop() {
					all = append(all, f.measure(b, targets, writers)...)
				}
				slices.Sort(all)
				b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
				b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
				b.ReportMetric(float64(len(all))/b.Elapsed().Seconds(), "answers/s")
			})
		}
	}
}

// measure runs one query on all hosts.
func (f *fleet) measure(b *testing.B, targets, writers int) []time.Duration {
	id := f.launch(b)
	written, latency := make([]time.Time, targets+1), make([]time.Duration, targets+1)
	watching, done := make(chan struct{}), make(chan error, 1)
	started := sync.OnceFunc(func() { close(watching) })
	var mu sync.Mutex
	go func() {
		done <- f.Watch(context.Background(), id, func(e distributed.Event) error {
			started()
			if e.Kind == distributed.ResultEvent {
				mu.Lock()
				defer mu.Unlock()
				latency[e.HostID] = time.Since(written[e.HostID])
			}
			return nil
		})
	}()
	<-watching
	var group sync.WaitGroup
	for writer := range writers {
		group.Go(func() {
			for host := int64(writer + 1); host <= int64(targets); host += int64(writers) {
				_, _ = f.Claim(context.Background(), host)
				mu.Lock()
				written[host] = time.Now()
				mu.Unlock()
				if err := f.Answer(context.Background(), host, []distributed.Report{rows(id, "root", "daemon", "bin")}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
	if err := <-done; err != nil {
		b.Error(err)
	}
	return latency[1:]
}
