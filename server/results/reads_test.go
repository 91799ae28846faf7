package results

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/database"
	"muster/server/database/dbtest"
)

// report appends one line with the given rows, as columns.
func report(t *testing.T, s *Store, e Entry, columns ...string) {
	t.Helper()
	l := Line{Key: LineKey(e.HostID, 0, fmt.Append(nil, e.Name, e.Action, columns), 0)}
	for _, text := range columns {
		e.Columns = []byte(text)
		l.Entries = append(l.Entries, e)
	}
	mustAppend(t, s, 1, l)
}

func TestActivitySearch(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := running(t, db, Options{})
		added := Entry{HostID: 1, Name: "q", Action: "added"}
		report(t, s, added,
			`{"path":"C:\\Windows\\System32","note":"50% of_it"}`,
			`{"path":"/usr/bin/SSHD","pid":42,"path2":null}`,
			`{"size":18446744073709551615,"ratio":1.50,"on":true,"quoted":"say \"hi\" \u00e9 <b>"}`,
			`{}`)
		report(t, s, Entry{HostID: 1, Name: "q", Action: "removed"}, `{"path":"sshd"}`)
		report(t, s, Entry{HostID: 2, Name: "q", Action: "added"}, `{"path":"sshd"}`)
		report(t, s, Entry{HostID: 1, Name: "other", Action: "snapshot"}, `{"path":"sshd"}`)
		tests := []struct {
			name, search string
			count        int
		}{
			{"no search finds all", "", 4},
			{"without regard to case", "sshd", 1},
			{"a key is not searched", "path", 0},
			{"nor the text around values", `","`, 0},
			{"a backslash is one character", `C:\windows\s`, 1},
			{"percent is no wildcard", "50% of", 1},
			{"percent alone", "%", 1},
			{"underscore is no wildcard", "of it", 0},
			{"a number", "42", 1},
			{"a number beyond 64 bits with a sign", "18446744073709551615", 1},
			{"a number as it was written", "1.50", 1},
			{"a boolean", "true", 1},
			{"null is no text", "null", 0},
			{"quotes", `say "hi"`, 1},
			{"an escaped letter and markup", "é <b>", 1},
			{"a question mark is no parameter", "?", 0},
			{"a single quote", "'", 0},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				rows, count, total, err := s.Activity(t.Context(), ActivityFilter{HostID: 1, Name: "q", Search: test.search})
				if err != nil || count != test.count || len(rows) != test.count || total != 4 {
					t.Errorf("%d rows, count %d, total %d, %v", len(rows), count, total, err)
				}
			})
		}
		rows, count, total, err := s.Activity(t.Context(), ActivityFilter{HostID: 1, Name: "never ran"})
		if err != nil || rows == nil || len(rows) != 0 || count != 0 || total != 0 {
			t.Errorf("an unknown query: %v %d %d %v", rows, count, total, err)
		}
	})
}

func TestASearchSurvivesRowsThatJSONFunctionsRefuse(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := running(t, db, Options{})
		for name, columns := range map[string]string{
			"an escaped NUL":   `{"a":"x\u0000y","b":"needle"}`,
			"half a surrogate": `{"a":"\ud800","b":"needle"}`,
			"not JSON":         `not JSON, but a needle`,
			"an array":         `["needle"]`,
		} {
			report(t, s, Entry{HostID: 1, Name: name, Action: "added"}, columns, `{"a":"Needle"}`, `{"a":"hay"}`)
			rows, count, _, err := s.Activity(t.Context(), ActivityFilter{HostID: 1, Name: name, Search: "needle"})
			if err != nil || count != 2 || len(rows) != 2 {
				t.Errorf("%s: %d rows, count %d, %v", name, len(rows), count, err)
			}
		}
	})
}

func TestActivityPages(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		c := newClock(noon)
		s, _ := running(t, db, Options{Now: c.now})
		if err := s.EnsurePartitions(t.Context()); err != nil {
			t.Fatal(err)
		}
		for day := range 3 { // over several partitions
			c.set(noon.AddDate(0, 0, day))
			mustAppend(t, s, 50, lines(1, day*50, day*50+50)...)
		}
		page := func(search string, start, limit int) (names []string) {
			t.Helper()
			rows, count, total, err := s.Activity(t.Context(), ActivityFilter{HostID: 1, Name: "q", Search: search, Start: start, Limit: limit})
			if err != nil || total != 150 || search == "" && count != 150 {
				t.Fatalf("count %d, total %d, %v", count, total, err)
			}
			for _, r := range rows {
				names = append(names, string(r.Columns))
			}
			return names
		}
		if diff := cmp.Diff([]string{`{"n":"149"}`, `{"n":"148"}`}, page("", 0, 2)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{`{"n":"100"}`, `{"n":"99"}`, `{"n":"98"}`}, page("", 49, 3)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{`{"n":"39"}`, `{"n":"29"}`}, page("9", 20, 2)); diff != "" {
			t.Error(diff)
		}
		if n := len(page("", 0, 0)); n != DefaultLimit {
			t.Errorf("no limit gives %d rows", n)
		}
		if n := len(page("", -5, 1_000_000)); n != 150 {
			t.Errorf("a large limit gives %d rows", n)
		}
		if n := len(page("", 150, 10)); n != 0 {
			t.Errorf("beyond the end there are %d rows", n)
		}
	})
	if limit(0) != DefaultLimit || limit(-1) != DefaultLimit || limit(MaxLimit+1) != MaxLimit || limit(7) != 7 {
		t.Error("limits are wrong")
	}
}

func TestActivityCounts(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s, _ := running(t, db, Options{})
		report(t, s, Entry{HostID: 1, Name: "drivers", Action: "added"}, `{}`, `{}`)
		report(t, s, Entry{HostID: 1, Name: "drivers", Action: "removed"}, `{}`)
		report(t, s, Entry{HostID: 1, Name: "Certificates", Action: "snapshot"}, `{}`)
		report(t, s, Entry{HostID: 2, Name: "drivers", Action: "added"}, `{}`)
		got, err := s.ActivityCounts(t.Context(), 1)
		if diff := cmp.Diff([]NameCount{{"Certificates", 1}, {"drivers", 3}}, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
		if none, err := s.ActivityCounts(t.Context(), 9); err != nil || none == nil || len(none) != 0 {
			t.Errorf("%v %v", none, err)
		}
	})
}

func TestStatusLogs(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		c := newClock(time.Date(2026, 6, 21, 0, 59, 32, 68726000, time.UTC))
		s, _ := running(t, db, Options{Now: c.now})
		for i, status := range []Status{
			{HostID: 1, Severity: 1, Filename: "virtual_table.cpp", Line: 922, Message: "The Chrome table", Version: "5.23.1"},
			{HostID: 1, Severity: 2, Filename: "tls.cpp", Line: 77, Message: "100% failed_over", Version: "4.0.2"},
			{HostID: 2, Severity: 0, Filename: "tls.cpp", Line: 1, Message: "another host", Version: "4.0.2"},
			{HostID: 1, Severity: 0, Filename: "tls.cpp", Line: 5, Message: "fine", Version: "4.0.2"},
		} {
			mustAppend(t, s, 1, Line{Key: LineKey(1, int64(i), nil, 0), Status: &status})
			c.set(c.now().Add(time.Hour))
		}
		tests := []struct {
			name, search string
			lines        []int64
		}{
			{"all, newest first", "", []int64{5, 77, 922}},
			{"message without regard to case", "chrome", []int64{922}},
			{"file name", "TLS.", []int64{5, 77}},
			{"version", "4.0", []int64{5, 77}},
			{"line", "922", []int64{922}},
			{"time of arrival", "2026-06-21T00:59:32.068726", []int64{922}},
			{"hour of arrival", "T01:59", []int64{77}},
			{"no wildcards", "failed-over", nil},
			{"percent", "0%", []int64{77}},
			{"nothing", "zzz", nil},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				logs, count, total, err := s.StatusLogs(t.Context(), StatusFilter{HostID: 1, Search: test.search})
				var got []int64
				for _, l := range logs {
					got = append(got, l.Line)
				}
				if diff := cmp.Diff(test.lines, got); err != nil || diff != "" || count != len(test.lines) || total != 3 || logs == nil {
					t.Errorf("count %d, total %d, %v %s", count, total, err, diff)
				}
			})
		}
		logs, count, _, err := s.StatusLogs(t.Context(), StatusFilter{HostID: 1, Search: "cpp", Start: 1, Limit: 1})
		if err != nil || len(logs) != 1 || logs[0].Line != 77 || count != 3 {
			t.Errorf("the second page is %+v, count %d, %v", logs, count, err)
		}
	})
}
