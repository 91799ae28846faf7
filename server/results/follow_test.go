package results

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"muster/server/database"
	"muster/server/database/dbtest"
)

var plenty = FollowLimit{Rows: 1000, Bytes: 1 << 20}

func mustFollow(t *testing.T, s *Store, after int64, most FollowLimit) Followed[Row] {
	t.Helper()
	found, err := s.Follow(t.Context(), Place{ID: after}, most)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func rowIDs(rows []Row) []int64 {
	ids := []int64{}
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	return ids
}

func TestFollowing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := running(t, db, Options{})
		if got := mustFollow(t, s, 0, plenty); len(got.Rows) != 0 || got.Next.ID != 0 || got.More || got.Missed != 0 {
			t.Errorf("an empty log: %+v", got)
		}
		mustAppend(t, s, 5, lines(1, 0, 5)...)
		size := len(`{"n":"0"}`)
		for sentence, c := range map[string]struct {
			after int64
			most  FollowLimit
			ids   []int64
			upTo  int64
			more  bool
			full  bool
		}{
			"everything":                          {0, plenty, []int64{1, 2, 3, 4, 5}, 5, false, false},
			"what comes after an id":              {3, plenty, []int64{4, 5}, 5, false, false},
			"nothing after the last":              {5, plenty, []int64{}, 5, false, false},
			"no more rows than asked for":         {0, FollowLimit{Rows: 2, Bytes: 1 << 20}, []int64{1, 2}, 2, true, true},
			"the very rows there are":             {3, FollowLimit{Rows: 2, Bytes: 1 << 20}, []int64{4, 5}, 5, false, true},
			"the row that goes beyond the bytes":  {0, FollowLimit{Rows: 9, Bytes: size + 1}, []int64{1, 2}, 2, true, true},
			"bytes that end with a row":           {0, FollowLimit{Rows: 9, Bytes: 2 * size}, []int64{1, 2}, 2, true, true},
			"one row at least":                    {0, FollowLimit{Rows: 9, Bytes: 1}, []int64{1}, 1, true, true},
			"an id that is not there yet is kept": {9, plenty, []int64{}, 9, false, false},
		} {
			t.Run(sentence, func(t *testing.T) {
				got := mustFollow(t, s, c.after, c.most)
				if !slices.Equal(rowIDs(got.Rows), c.ids) || got.Next.ID != c.upTo || got.More != c.more || got.Full != c.full || got.Missed != 0 {
					t.Errorf("%v up to %d, more %v, missed %d", rowIDs(got.Rows), got.Next.ID, got.More, got.Missed)
				}
			})
		}
		ends, err := s.Ends(t.Context(), 2)
		if want := (Ends{Oldest: 1, Newest: 5, Waiting: 3, Since: noon}); err != nil || ends != want {
			t.Errorf("%+v %v", ends, err)
		}
	})
}

func TestFollowingStatusLogs(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := running(t, db, Options{})
		status := &Status{HostID: 7, Severity: 2, Filename: "f.cpp", Line: 9, Message: "m", Version: "5.23.1", Decorations: []byte(`{"d":"2"}`), UnixTime: 6}
		mustAppend(t, s, 1, Line{Key: LineKey(7, 6, []byte("status"), 0), Status: status})
		got, err := s.FollowStatus(t.Context(), Place{}, plenty)
		if err != nil || len(got.Rows) != 1 || got.Next.ID != 1 {
			t.Fatalf("%+v %v", got, err)
		}
		stored, _, _, err := s.StatusLogs(t.Context(), StatusFilter{HostID: 7})
		if row := got.Rows[0]; err != nil || row.HostID != 7 || row.Message != stored[0].Message || row.Filename != "f.cpp" || row.Line != 9 ||
			string(row.Decorations) != `{"d":"2"}` || row.Time != stored[0].Time || row.ReceivedAt != noon {
			t.Errorf("%+v %v", row, err)
		}
		if ends, err := s.StatusEnds(t.Context(), 1); err != nil || ends.Waiting != 0 || !ends.Since.IsZero() || ends.Newest != 1 {
			t.Errorf("%+v %v", ends, err)
		}
	})
}

// TestFollowingOverDays goes over partitions, one of which has gone meanwhile.
func TestFollowingOverDays(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		c := newClock(noon)
		s, _ := running(t, db, Options{Now: c.now})
		for day := range 4 {
			c.set(noon.AddDate(0, 0, day))
			if err := s.EnsurePartitions(t.Context()); err != nil {
				t.Fatal(err)
			}
			mustAppend(t, s, 3, lines(1, 10*day, 10*day+3)...)
		}
		if got := mustFollow(t, s, 2, FollowLimit{Rows: 5, Bytes: 1 << 20}); !slices.Equal(rowIDs(got.Rows), []int64{3, 4, 5, 6, 7}) {
			t.Errorf("%v", rowIDs(got.Rows))
		}
		if err := s.Purge(t.Context(), Before{Results: noon.AddDate(0, 0, 2)}); err != nil {
			t.Fatal(err)
		}
		if got := mustFollow(t, s, 2, plenty); !slices.Equal(rowIDs(got.Rows), []int64{7, 8, 9, 10, 11, 12}) || got.Missed != 4 {
			t.Errorf("%v, missed %d", rowIDs(got.Rows), got.Missed)
		}
		if ends, err := s.Ends(t.Context(), 2); err != nil || ends.Oldest != 7 || ends.Since != noon.AddDate(0, 0, 2) {
			t.Errorf("%+v %v", ends, err)
		}
		if err := s.Purge(t.Context(), Before{Results: noon.AddDate(0, 0, 9)}); err != nil {
			t.Fatal(err)
		}
		if got := mustFollow(t, s, 8, plenty); len(got.Rows) != 0 || got.Next.ID != 12 || got.Missed != 4 {
			t.Errorf("everything went: %+v", got)
		}
		if got := mustFollow(t, s, 12, plenty); got.Missed != 0 {
			t.Errorf("nothing was left to miss: %+v", got)
		}
	})
}

// TestFollowingUnderAClockThatIsSetBack has rows arrive long before their neighbours.
func TestFollowingUnderAClockThatIsSetBack(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		c := newClock(noon)
		s, _ := running(t, db, Options{Now: c.now})
		mustAppend(t, s, 3, lines(1, 0, 3)...)
		got := mustFollow(t, s, 0, FollowLimit{Rows: 2, Bytes: 1 << 20})
		if got.Next != (Place{2, noon}) {
			t.Errorf("%+v", got.Next)
		}
		c.set(noon.AddDate(0, -1, 0))
		mustAppend(t, s, 2, lines(1, 3, 5)...)
		c.set(noon.Add(time.Hour))
		mustAppend(t, s, 1, lines(1, 5, 6)...)
		got, err := s.Follow(t.Context(), got.Next, plenty)
		if err != nil || !slices.Equal(rowIDs(got.Rows), []int64{3, 4, 5, 6}) || got.Next != (Place{6, noon.Add(time.Hour)}) || got.Missed != 0 {
			t.Errorf("%+v %v", got, err)
		}
	})
}

// writing is a transaction that adds rows and ends when the test says so.
type writing struct {
	t  *testing.T
	tx pgx.Tx
}

func begin(t *testing.T, db *database.DB) writing {
	t.Helper()
	tx, err := db.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	w := writing{t, tx}
	w.do("SELECT pg_current_xact_id()") // so that their order is that in which they began
	return w
}

func (w writing) do(statement string) {
	w.t.Helper()
	if _, err := w.tx.Exec(w.t.Context(), statement); err != nil {
		w.t.Fatal(err)
	}
}

func (w writing) add() {
	w.t.Helper()
	w.do(fmt.Sprintf("INSERT INTO results (host_id, name, action, columns, unix_time, received_at) VALUES (1, 'q', 'added', '{}', 1, %d)", noon.UnixMicro()))
}

func (w writing) commit() {
	w.t.Helper()
	if err := w.tx.Commit(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// TestALowerIDThatCommitsLaterIsNotSkipped is what ids handed out before the commit
// would do to a follower that takes what it sees.
func TestALowerIDThatCommitsLaterIsNotSkipped(t *testing.T) {
	db := dbtest.Open(t, database.Postgres)
	s := newStore(db, Options{})
	late, early := begin(t, db), begin(t, db)
	late.add()
	early.add()
	early.commit() // id 2 can be seen, id 1 cannot
	for range 20 {
		if got := mustFollow(t, s, 0, plenty); len(got.Rows) != 0 || got.Next.ID != 0 || !got.More {
			t.Fatalf("%+v", got)
		}
	}
	late.commit()
	if got := mustFollow(t, s, 0, plenty); !slices.Equal(rowIDs(got.Rows), []int64{1, 2}) || got.Next.ID != 2 {
		t.Errorf("%+v", got)
	}
}

// TestTheLaterTransactionHoldsTheLowerID is where the upper end of a snapshot would
// be no fence: while nothing has ended since both began it lies below the second, so
// that this one seems to be over as soon as the first has ended.
func TestTheLaterTransactionHoldsTheLowerID(t *testing.T) {
	db := dbtest.Open(t, database.Postgres)
	s := newStore(db, Options{})
	first, second := begin(t, db), begin(t, db)
	second.add() // 1
	first.add()  // 2
	for range 3 {
		mustFollow(t, s, 0, plenty) // the fence stands
	}
	first.commit()
	for range 20 {
		if got := mustFollow(t, s, 0, plenty); len(got.Rows) != 0 || got.Next.ID != 0 {
			t.Fatalf("%+v", got)
		}
	}
	second.commit()
	if got := mustFollow(t, s, 0, plenty); !slices.Equal(rowIDs(got.Rows), []int64{1, 2}) || got.Next.ID != 2 {
		t.Errorf("%+v", got)
	}
}

func TestARolledBackRowIsWaitedForNoLonger(t *testing.T) {
	db := dbtest.Open(t, database.Postgres)
	s := newStore(db, Options{})
	kept, undone, open := begin(t, db), begin(t, db), begin(t, db)
	kept.add()
	undone.add()
	open.add()
	kept.commit()
	if got := mustFollow(t, s, 0, plenty); len(got.Rows) != 0 || !got.More {
		t.Errorf("%+v", got)
	}
	if err := undone.tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	last := begin(t, db)
	last.add()
	last.commit()
	open.commit()
	if got := mustFollow(t, s, 0, plenty); !slices.Equal(rowIDs(got.Rows), []int64{1, 3, 4}) || got.Next.ID != 4 {
		t.Errorf("%+v", got)
	}
}

// TestFollowingWhileEverybodyWrites has two replicas store with two writers each, and
// transactions that dawdle and are undone between them.
func TestFollowingWhileEverybodyWrites(t *testing.T) {
	const callers, calls, perCall = 8, 40, 5
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		stores := []*Store{}
		for range 2 {
			s, _ := running(t, db, Options{BatchLines: 10})
			stores = append(stores, s)
		}
		var writing sync.WaitGroup
		for caller := range callers {
			writing.Go(func() {
				for call := range calls {
					n := (caller*calls + call) * perCall
					if _, err := stores[caller%2].Append(t.Context(), lines(int64(caller), n, n+perCall)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		if db.Engine() == database.Postgres {
			writing.Go(func() { dawdle(t, db, calls) })
		}
		reader, seen, place := newStore(db, Options{}), map[string]int{}, Place{}
		eventually(t, "every row", func() bool {
			got, err := reader.Follow(t.Context(), place, FollowLimit{Rows: 7 + rand.N(50), Bytes: 4096})
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range got.Rows {
				if row.ID <= place.ID {
					t.Fatalf("id %d comes after %d", row.ID, place.ID)
				}
				place.ID = row.ID
				if row.HostID != 1000 {
					seen[fmt.Sprint(row.HostID, string(row.Columns))]++
				}
			}
			place = got.Next
			return len(seen) == callers*calls*perCall
		})
		writing.Wait()
		for row, times := range seen {
			if times != 1 {
				t.Errorf("%s came %d times", row, times)
			}
		}
	})
}

// dawdle adds rows slowly, and takes every second one back.
func dawdle(t *testing.T, db *database.DB, times int) {
	for n := range times {
		tx, err := db.Pool().Begin(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		statement := fmt.Sprintf(`INSERT INTO results (host_id, name, action, columns, unix_time, received_at)
			VALUES (1000, 'q', 'added', '{}', 1, %d); SELECT pg_sleep(0.01)`, noon.UnixMicro())
		if _, err = tx.Exec(t.Context(), statement); err == nil && n%2 == 0 {
			err = tx.Commit(t.Context())
		} else {
			_ = tx.Rollback(t.Context())
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// BenchmarkFollow follows a log of many days, from its end and from its middle.
func BenchmarkFollow(b *testing.B) {
	const days, perDay = 90, 2_000
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		db := dbtest.Open(b, engine)
		c := newClock(noon)
		s := newStore(db, Options{Now: c.now})
		for day := range days {
			c.set(noon.AddDate(0, 0, day))
			if err := s.EnsurePartitions(b.Context()); err != nil {
				b.Fatal(err)
			}
			err := db.Write(b.Context()).Exec(fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
				INSERT INTO results (host_id, name, action, columns, unix_time, received_at) SELECT i %% 50, 'q', 'added', '{"a":"b"}', 1, %d + i FROM n`,
				perDay, c.now().UnixMicro())).Error
			if err != nil {
				b.Fatal(err)
			}
		}
		for name, place := range map[string]Place{"end": {days*perDay - 100, c.now()}, "middle": {days * perDay / 2, noon.AddDate(0, 0, days/2-1)}, "unknown": {ID: days * perDay / 2}} {
			b.Run(fmt.Sprintf("%s/%s", engine, name), func(b *testing.B) {
				for b.Loop() {
					got, err := s.Follow(b.Context(), place, FollowLimit{Rows: 1000, Bytes: 1 << 20})
					if err != nil || len(got.Rows) < 100 {
						b.Fatal(len(got.Rows), err)
					}
				}
			})
		}
	}
}
