package intel

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
	"muster/server/jobs"
)

func TestImportInSeveralTransactions(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, s := t.Context(), newStoreAt(t, db, newClock())
		s.o.Jobs = jobs.NewQueue(db, s.bus, s.log, jobs.QueueOptions{Now: s.o.Now})
		hashes := func(from, to int) (all []NewIndicator) {
			for i := from; i < to; i++ {
				all = append(all, threat(MD5, fmt.Sprintf("%032x", i), "feed"))
			}
			return all
		}
		const many = 2*batch + 10
		steps := []struct {
			sentence string
			in       Import
			want     Imported
			left     int
		}{
			{"many", Import{Feed: "feed", Indicators: hashes(0, many)}, Imported{Replaced{Added: many}, many}, many},
			{"another feed", Import{Feed: "other", Indicators: hashes(0, 5)}, Imported{Replaced{Added: 5}, 5}, many + 5},
			{"the same again", Import{Feed: "feed", Indicators: hashes(0, many), Replace: true}, Imported{Count: many}, many + 5},
			{"some of them in the place of all", Import{Feed: "feed", Indicators: append(hashes(many-2, many+3), hashes(many, many+1)...), Replace: true},
				Imported{Replaced{Added: 3, Deleted: many - 2}, 5}, 10},
			{"some come back", Import{Feed: "feed", Indicators: hashes(0, 2)}, Imported{Replaced{Added: 2}, 2}, 12},
		}
		for _, step := range steps {
			got, err := s.Import(ctx, step.in)
			if diff := cmp.Diff(step.want, got); err != nil || diff != "" {
				t.Errorf("%s: %v %s", step.sentence, err, diff)
			}
			if _, count, err := s.List(ctx, Filter{Limit: 1}); err != nil || count != step.left {
				t.Errorf("%s: %d are left, %v", step.sentence, count, err)
			}
		}
		if got := found(t, s, fmt.Sprintf(`{"md5":"%032x"}`, 1)); len(got) != 2 { // of either feed
			t.Errorf("found %v", got)
		}
		var waiting int
		if err := db.Read(ctx).Raw("SELECT count(*) FROM jobs WHERE kind = ?", RetroJob).Scan(&waiting).Error; err != nil || waiting != 1 {
			t.Errorf("%d jobs wait, %v", waiting, err)
		}
	})
}

func TestImportsAreBounded(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, s := t.Context(), newStore(t, db, newBox(t, 1))
		s.o.Most = 3
		domains := func(names ...string) (all []NewIndicator) {
			for _, name := range names {
				all = append(all, threat(Domain, name+".example", "x"))
			}
			return all
		}
		for sentence, in := range map[string]Import{
			"no name":                     {Indicators: domains("a")},
			"a name with a slash":         {Feed: "a/b", Indicators: domains("a")},
			"the feed of what is entered": {Feed: Self, Indicators: domains("a")},
			"nothing":                     {Feed: "x", Replace: true},
			"too many at once":            {Feed: "x", Indicators: domains("a", "b", "c", "d")},
			"something that is wrong":     {Feed: "x", Indicators: []NewIndicator{threat(MD5, "3h8dk0sksm0", "x")}},
		} {
			if got, err := s.Import(ctx, in); !fault.Is(err, fault.Unprocessable) || got != (Imported{}) {
				t.Errorf("%s: %+v %v", sentence, got, err)
			}
		}
		if _, err := s.Import(ctx, Import{Feed: "x", Indicators: domains("a", "b")}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Import(ctx, Import{Feed: "y", Indicators: domains("c", "d")}); !fault.Is(err, fault.Unprocessable) {
			t.Errorf("too many in all: %v", err)
		}
		if _, err := s.SetSelf(ctx, domains("c", "d")); !fault.Is(err, fault.Unprocessable) {
			t.Errorf("too many entered: %v", err)
		}
		if _, count, err := s.List(ctx, Filter{}); err != nil || count != 2 {
			t.Errorf("%d are left, %v", count, err)
		}
	})
}

// What was added while a look back went on is left to the next one, and none is
// looked for twice.
func TestFreshIndicators(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		ctx, s := t.Context(), newStore(t, db, newBox(t, 1))
		all := func() (values []string) {
			t.Helper()
			f, err := s.Fresh(ctx)
			for err == nil {
				var some []Indicator
				if some, err = f.Next(ctx, 2); err == nil && len(some) == 0 {
					err = errors.Join(f.Done(ctx), errEnd)
				}
				for _, i := range some {
					values = append(values, i.Value)
				}
			}
			if !errors.Is(err, errEnd) || err.Error() != errEnd.Error() {
				t.Fatal(err)
			}
			return values
		}
		names := func(feed string, list ...string) {
			t.Helper()
			in := Import{Feed: feed}
			for _, name := range list {
				in.Indicators = append(in.Indicators, threat(Domain, name+".example", feed))
			}
			if _, err := s.Import(ctx, in); err != nil {
				t.Fatal(err)
			}
		}
		steps := []struct {
			sentence string
			do       func()
			want     []string
		}{
			{"nothing", func() {}, nil},
			{"three", func() { names("one", "a", "b", "c") }, []string{"a.example", "b.example", "c.example"}},
			{"no more", func() {}, nil},
			{"one that another feed has", func() { names("two", "b", "d") }, []string{"d.example"}},
			{"a change of one", func() {
				if _, err := s.Import(ctx, Import{Feed: "one", Indicators: []NewIndicator{{Type: Domain, Value: "a.example", ThreatName: "one", Severity: "LOW"}}}); err != nil {
					t.Fatal(err)
				}
			}, nil},
			{"one that has expired by then", func() {
				n := threat(Domain, "e.example", "x")
				n.Expires = time.Now().Add(-time.Hour)
				if _, err := s.Import(ctx, Import{Feed: "one", Indicators: []NewIndicator{n}}); err != nil {
					t.Fatal(err)
				}
			}, nil},
		}
		for _, step := range steps {
			step.do()
			if diff := cmp.Diff(step.want, all()); diff != "" {
				t.Errorf("%s: %s", step.sentence, diff)
			}
		}
	})
}

var errEnd = errors.New("the end")

// BenchmarkImport prints indicators stored a second, and how long one transaction
// holds SQLite's only writer.
func BenchmarkImport(b *testing.B) {
	const many = 200_000
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		b.Run(string(engine), func(b *testing.B) {
			s := newStore(b, dbtest.Open(b, engine), newBox(b, 1))
			all := make([]NewIndicator, many)
			for i := range all {
				all[i] = threat(SHA256, fmt.Sprintf("%016x%048x", uint64(i)*0x9e3779b97f4a7c15, i), "feed") //nolint:gosec // no overflow that matters
			}
			b.ResetTimer()
			for n := 0; b.Loop(); n++ {
				if _, err := s.Import(b.Context(), Import{Feed: fmt.Sprint("feed", n), Indicators: all}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(many*b.N)/b.Elapsed().Seconds(), "indicators/s")
		})
	}
}
