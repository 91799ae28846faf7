package results

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/database"
	"muster/server/database/dbtest"
)

// finder is an Options.Found that notes what it is told in the table settings.
type finder struct {
	mu        sync.Mutex
	told      [][]FoundRow
	later     []bool
	committed int
	fails     func(ctx context.Context, tx *database.DB, call int) error
}

func (f *finder) options() Options {
	return Options{Found: f.found, FoundCommitted: func() { f.mu.Lock(); defer f.mu.Unlock(); f.committed++ }, FoundTime: time.Second}
}

func (f *finder) found(ctx context.Context, tx *database.DB, rows []FoundRow, later bool) error {
	f.mu.Lock()
	f.told, f.later = append(f.told, append([]FoundRow(nil), rows...)), append(f.later, later)
	call := len(f.told)
	f.mu.Unlock()
	for _, r := range rows {
		if err := tx.SetSetting(ctx, fmt.Sprint(r.Finding), r.ID); err != nil {
			return err
		}
	}
	if f.fails != nil {
		return f.fails(ctx, tx, call)
	}
	return nil
}

// notes counts what was noted and committed.
func notes(t *testing.T, db *database.DB) int {
	return countRows(t, db, "settings WHERE name LIKE 'finding%'")
}

func finding(host int64, n int) Line {
	l := line(host, n)
	l.Entries[0].Finding = fmt.Sprintf("finding %d", n)
	return l
}

func TestFindingsAreToldOnceWithTheIdsOfTheirRows(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		f := &finder{}
		s, stop := running(t, db, f.options())
		mustAppend(t, s, 5, line(1, 0), finding(1, 1), line(1, 2), finding(1, 3), line(1, 4))
		mustAppend(t, s, 1, finding(1, 1), finding(1, 5)) // the first was sent before
		stop()

		got := map[string]string{}
		for _, rows := range f.told {
			for _, r := range rows {
				var columns string
				if err := db.Read(t.Context()).Raw("SELECT columns FROM results WHERE id = ?", r.ID).Scan(&columns).Error; err != nil {
					t.Fatal(err)
				}
				got[fmt.Sprint(r.Finding)] = columns
			}
		}
		want := map[string]string{"finding 1": `{"n":"1"}`, "finding 3": `{"n":"3"}`, "finding 5": `{"n":"5"}`}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if rows := countRows(t, db, "results"); rows != 6 || notes(t, db) != 3 || f.committed != 2 {
			t.Errorf("%d rows, %d notes, %d commits", rows, notes(t, db), f.committed)
		}
	})
}

func TestWhateverBecomesOfFindingsNoRowIsLost(t *testing.T) {
	for sentence, c := range map[string]struct {
		fails func(ctx context.Context, tx *database.DB, call int) error
		notes int // that are left
	}{
		"an error undoes what was noted": {func(context.Context, *database.DB, int) error { return errors.New("full") }, 0},
		"one that fails is told again to leave it for later": {func(_ context.Context, _ *database.DB, call int) error {
			if call == 1 {
				return errors.New("full")
			}
			return nil
		}, 1},
		"so is one that says that its time is used up": {func(ctx context.Context, _ *database.DB, call int) error {
			if call == 1 {
				<-ctx.Done()
			}
			return ctx.Err()
		}, 1},
		"so does a panic": {func(context.Context, *database.DB, int) error { panic("no such thing") }, 0},
		"an SQL error that nobody looked at": {func(ctx context.Context, tx *database.DB, call int) error {
			if call == 1 {
				_ = tx.Write(ctx).Exec("INSERT INTO nowhere VALUES (1)").Error
			}
			return nil
		}, 1},
		"one that uses up its time and the connection": {func(ctx context.Context, tx *database.DB, call int) error {
			if call > 1 {
				return nil
			}
			if tx.Engine() == database.Postgres {
				return tx.Write(ctx).Exec("SELECT pg_sleep(60)").Error
			}
			<-ctx.Done()
			return nil // it does not even say so
		}, 1},
		"one that ends the transaction each time": {func(ctx context.Context, tx *database.DB, _ int) error {
			return tx.Write(ctx).Exec("ROLLBACK").Error
		}, 0},
	} {
		t.Run(sentence, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, db *database.DB) {
				f := &finder{fails: c.fails}
				s, stop := running(t, db, f.options())
				mustAppend(t, s, 3, line(1, 0), finding(1, 1), line(1, 2))
				stop()
				if rows := countRows(t, db, "results"); rows != 3 {
					t.Errorf("%d rows", rows)
				}
				if n := notes(t, db); n != c.notes {
					t.Errorf("%d notes, told %d times, later %v", n, len(f.told), f.later)
				}
				if got := s.Stats(); got.Failures != 0 || (c.notes == 0) != (got.Unheard == 1) {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}
