package results

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/database"
	"muster/server/database/dbtest"
)

func TestEachMatchLooksAtEveryRow(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, stop := running(t, db, Options{})
		defer stop()
		var lines []Line
		for n := range 40 {
			l := line(1, n)
			if n%4 == 1 {
				l.Entries[0].Action = "removed"
			}
			lines = append(lines, l)
		}
		mustAppend(t, s, len(lines), lines...)
		odd := func(columns []byte) bool { return strings.Contains(string(columns), "1") } // 1, 10 to 19, 21, 31: the removed ones are 1, 13, 17, 21
		want := []string{`{"n":"10"}`, `{"n":"11"}`, `{"n":"12"}`, `{"n":"14"}`, `{"n":"15"}`, `{"n":"16"}`, `{"n":"18"}`, `{"n":"19"}`, `{"n":"31"}`}
		var got []string
		last := int64(1 << 62)
		reach, err := s.EachMatch(t.Context(), time.Minute, odd, func(r Row) error {
			if r.ID >= last {
				t.Errorf("%d comes after %d", r.ID, last)
			}
			last = r.ID
			got = append([]string{string(r.Columns)}, got...)
			return nil
		})
		if diff := cmp.Diff(want, got); diff != "" || err != nil || !reach.Complete || reach.Rows != 40 {
			t.Errorf("%v %+v %s", err, reach, diff)
		}
		stopped := errors.New("enough")
		if _, err := s.EachMatch(t.Context(), time.Minute, odd, func(Row) error { return stopped }); !errors.Is(err, stopped) {
			t.Errorf("a failure of found: %v", err)
		}
		if reach, err := s.EachMatch(t.Context(), 0, odd, func(Row) error { return fmt.Errorf("found") }); err != nil || reach.Complete || reach.Rows != 0 {
			t.Errorf("without time: %+v %v", reach, err)
		}
	})
}

func TestEachMatchOfAnEmptyLog(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, stop := running(t, db, Options{})
		defer stop()
		reach, err := s.EachMatch(t.Context(), time.Minute, func([]byte) bool { return true }, func(Row) error { return nil })
		if err != nil || !reach.Complete || reach.Rows != 0 {
			t.Errorf("%+v %v", reach, err)
		}
	})
}
