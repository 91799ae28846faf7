package matcher_test

import (
	"fmt"
	"testing"
	"time"

	"muster/server/condition"
	"muster/server/matcher"
	"muster/server/matcher/corpus"
)

// BenchmarkMatch reads and matches one event, of several in turn.
func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{100, 400, 1600, 6400} {
		program, _, err := corpus.Compiled(n)
		if err != nil {
			b.Fatal(err)
		}
		for name, events := range map[string][]string{"benign": corpus.Benign(), "hostile": corpus.Hostile()} {
			b.Run(fmt.Sprintf("%d rules/%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				var row condition.Object
				e := matcher.Event{Tables: []string{corpus.Table}, Row: &row}
				for i := 0; b.Loop(); i++ {
					if err := row.Load(events[i%len(events)]); err != nil {
						b.Fatal(err)
					}
					program.Match(e, func(int) {})
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{1600, 6400} {
		_, rules, err := corpus.Compiled(n)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("%d rules", n), func(b *testing.B) {
			for b.Loop() {
				matcher.Compile(rules)
			}
		})
	}
}

func TestMeasurementsCompareTheIndexWithTheTrees(t *testing.T) {
	m, err := corpus.Measure(100, time.Millisecond)
	if err != nil || m.Hostile.Matched < 1 || m.Hostile.Evaluated < m.Hostile.Matched || m.Benign.Matched > m.Hostile.Matched {
		t.Errorf("%+v: %v", m, err)
	}
}
