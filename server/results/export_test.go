package results

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

func tableOf(t *testing.T, table Table) (lines [][]string) {
	t.Helper()
	for line, err := range table.Rows {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, slices.Clone(line))
	}
	return lines
}

func TestATableHasEveryColumnOfAnyRow(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := running(t, db, Options{})
		added := Entry{HostID: 1, Name: "q", Action: "added"}
		report(t, s, added, `{"b":"old","late":"\u00e9 \"q\""}`)
		report(t, s, added, `not JSON`, `{"nothing":null,"a":""}`)
		report(t, s, Entry{HostID: 1, Name: "q", Action: "removed"}, `{"gone":"=1+1"}`)
		report(t, s, added, `{"a":1.50,"b":true,"nested":{"x":[1, "y"]}}`)
		report(t, s, Entry{HostID: 2, Name: "q", Action: "added"}, `{"other":"host"}`)
		rows, err := s.EachRow(t.Context(), Search{HostID: 1, Name: "q", NoRemoved: true})
		if err != nil {
			t.Fatal(err)
		}
		report(t, s, added, `{"younger":"than the export"}`)
		table, err := Layout(rows)
		if err != nil {
			t.Fatal(err)
		}
		want := [][]string{
			{"1.50", "true", `{"x":[1,"y"]}`, "", ""},
			{"", "", "", "", ""},
			{"", "", "", "", ""},
			{"", "old", "", "", `é "q"`},
		}
		if diff := cmp.Diff([]string{"a", "b", "nested", "nothing", "late"}, table.Header); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want, tableOf(t, table)); diff != "" || table.Count != 4 {
			t.Error(table.Count, diff)
		}
		rows, err = s.EachRow(t.Context(), Search{HostID: 1, Name: "q", Where: where(t, "gone", "begins_with", "=")})
		if err != nil {
			t.Fatal(err)
		}
		if table, err := Layout(rows); err != nil || table.Count != 1 || table.Header[0] != "gone" {
			t.Error("removed rows are part of a search:", table, err)
		}
	})
}

func TestEachRowGivesAllRows(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := overDays(t, db, Options{}, 9, 1100) // several spans and batches
		count := func(q Search) int {
			t.Helper()
			rows, err := s.EachRow(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			n, last := 0, int64(0)
			for row, err := range rows {
				if err != nil || n > 0 && row.ID >= last {
					t.Fatalf("row %d comes after %d: %v", row.ID, last, err)
				}
				n, last = n+1, row.ID
			}
			return n
		}
		for name, test := range map[string]struct {
			search Search
			want   int
		}{
			"of a host and query": {Search{HostID: 1, Name: "q"}, 5500},
			"of all":              {Search{}, 9900},
			"what matches":        {Search{HostID: 9, Name: "q", Where: where(t, "n", "ends_with", "00")}, 44},
			"what matches by row": {Search{HostID: 9, Name: "q", Where: where(t, "n", "matches_regex", ".*00$")}, 44},
		} {
			if n := count(test.search); n != test.want {
				t.Errorf("%s: %d rows", name, n)
			}
		}
	})
}

func TestBatchesOfLargeRowsAreSmall(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := running(t, db, Options{})
		for i := range 20 {
			report(t, s, Entry{HostID: 1, Name: "q", Action: "added"}, fmt.Sprintf(`{"n":"%d","large":"%s"}`, i, strings.Repeat("x", 1<<20)))
		}
		v, err := s.view(t.Context(), Search{HostID: 1, Name: "q"})
		if err != nil {
			t.Fatal(err)
		}
		rows, next, err := v.fetch(t.Context(), v.scope.low, v.scope.high, exportTime)
		if err != nil || len(rows) != 8 && len(rows) != 9 || next != rows[len(rows)-1].ID || v.batch != minBatch {
			t.Errorf("%d rows up to %d, the next batch has %d: %v", len(rows), next, v.batch, err)
		}
		seen := 0
		if err := v.eachRow(t.Context(), func(Row, error) bool { seen++; return true }); err != nil || seen != 20 {
			t.Errorf("%d rows, %v", seen, err)
		}
	})
}

func TestAReaderMayStop(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := overDays(t, db, Options{}, 1, 10)
		ctx, cancel := context.WithCancel(t.Context())
		rows, err := s.EachRow(ctx, Search{HostID: 1, Name: "q"})
		if err != nil {
			t.Fatal(err)
		}
		for range rows {
			break
		}
		cancel()
		for _, err := range rows {
			if !fault.Is(err, fault.Busy) {
				t.Error("an export that was given up:", err)
			}
		}
		if len(s.exports) != 0 {
			t.Error("a place is not given back")
		}
	})
}

func TestLayoutIsBounded(t *testing.T) {
	var wide strings.Builder
	for i := range maxColumns + 1 {
		fmt.Fprintf(&wide, `,"c%d":1`, i)
	}
	broken := errors.New("broken")
	of := func(columns string, err error) iter.Seq2[Row, error] {
		return func(yield func(Row, error) bool) { yield(Row{Columns: []byte(columns)}, err) }
	}
	if _, err := Layout(of("{"+wide.String()[1:]+"}", nil)); !fault.Is(err, fault.Unprocessable) {
		t.Error("too many columns:", err)
	}
	if _, err := Layout(of("{}", broken)); !errors.Is(err, broken) {
		t.Error("an error:", err)
	}
	for _, err := range cells(of("{}", broken), nil) {
		if !errors.Is(err, broken) {
			t.Error("an error of the second time:", err)
		}
	}
}
