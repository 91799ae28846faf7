package osquery

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/fault"
)

func open(t *testing.T, platform string) *SQLite {
	t.Helper()
	s, err := OpenSQLite(platform)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestFunctions(t *testing.T) {
	tests := []struct{ call, want string }{
		{"split('192.168.0.1', '.', 1)", "168"},
		{"split('192.168.0.1', '.0', 0)", "192"},
		{"split('a', '.', 5)", ""},
		{"regex_split('a--b', '-+', 1)", "b"},
		{"regex_match('abc123', '([a-z]+)([0-9]+)', 2)", "123"},
		{"regex_match('abc123', '[0-9]+', 0)", "123"},
		{"regex_match('abc', '[0-9]+', 0)", ""},
		{"regex_match('abc', 'b', 7)", ""},
		{"concat('a', 1, NULL, 'b')", "a1b"},
		{"concat_ws('-', 'a', NULL, 'b')", "a-b"},
		{"to_base64('ab')", "YWI="},
		{"from_base64('YWI=')", "ab"},
		{"from_base64('?')", ""},
		{"conditional_to_base64('ab')", "ab"},
		{"conditional_to_base64('é')", "w6k="},
		{"md5('a')", "0cc175b9c0f1b6a831c399e269772661"},
		{"sha1('a')", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"},
		{"sha256('a')", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"},
		{"md5(NULL) IS NULL", "1"},
		{"inet_aton('1.2.3.4')", "16909060"},
		{"inet_aton('::1') IS NULL", "1"},
		{"in_cidr_block('10.0.0.0/8', '10.1.2.3')", "1"},
		{"in_cidr_block('fd00::/8', 'fe80::1')", "0"},
		{"parent_directory('/usr/bin/ls')", "/usr/bin"},
		{"parent_directory('ls') IS NULL", "1"},
		{"find_file_path_in_cmd('\"C:/a b/c.exe\" -x', 1)", "C:/a b/c.exe"},
		{"is_path_deterministic('/usr/bin/ls -l')", "0"},
		{"is_path_deterministic('/usr/bin/ls')", "1"},
		// The vector that the community id's specification gives.
		{"community_id_v1('128.232.110.120', '66.35.250.204', 34855, 80, 6)", "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{"community_id_v1('66.35.250.204', '128.232.110.120', 80, 34855, 6)", "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{"community_id_v1('nowhere', '66.35.250.204', 80, 1, 6) IS NULL", "1"},
		{"version_compare('1.10.0', '>', '1.9.9')", "1"},
		{"version_compare('1:1.0', '<', '2.0', 1, 0, 0, 0)", "0"},
		{"version_compare('1.0', '=', '1.0')", "1"},
		{"version_compare('1.0~rc1', '<', '1.0', 1, 1, 1, 0)", "1"},
		{"'10.2' > '9.1' COLLATE version", "1"},
		{"'1.0~rc1' < '1.0' COLLATE version_rhel", "1"},
		{"ceil(1.2) || ' ' || floor(-1.2) || ' ' || floor(5)", "2 -2 5"},
		{"round(log(10), 3) || ' ' || log(2, 8) || ' ' || log10(1000)", "2.303 3.0 3.0"},
		{"sqrt(-1) IS NULL", "1"},
		{"sqrt(NULL) IS NULL", "1"},
		{"power('2abc', 3)", "8.0"},
		{"carve('/etc/hosts')", "Carve Started"},
		{"1e15", "1.0e+15"},
		{"0.1", "0.1"},
		{"NULL", ""},
		{"1.0/3", "0.333333333333333"},
		{"1e300*1e10", "Inf"},
	}
	s := open(t, "linux")
	for _, test := range tests {
		result, err := s.Query(t.Context(), "SELECT "+test.call, nil)
		if err != nil || len(result.Rows) != 1 || result.Rows[0][0] != test.want {
			t.Errorf("%s = %v, %v; want %q", test.call, result.Rows, err, test.want)
		}
	}
	for call, want := range map[string]string{
		"split('a', '', 0)":                     "Invalid input to split function",
		"regex_match('a', '(', 0)":              "Invalid regex",
		"version_compare('1', '!', '2')":        "Unknown compare operator",
		"in_cidr_block('10.0.0.0/8', 'x')":      "IP address cannot be parsed",
		"community_id_v1_strict('', '', 1,1,6)": "Invalid inputs",
	} {
		if _, err := s.Query(t.Context(), "SELECT "+call, nil); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", call, err, want)
		}
	}
}

func users(names ...string) Fill {
	return func(table string) []map[string]string {
		var rows []map[string]string
		for i, name := range names {
			if table == "users" {
				rows = append(rows, map[string]string{"uid": string(rune('1' + i)), "username": name, "is_hidden": "0", "unknown": "x"})
			}
		}
		return rows
	}
}

func TestQuery(t *testing.T) {
	s := open(t, "linux")
	tests := []struct {
		name, sql string
		want      Result
	}{
		{"numbers compare as numbers", "select uid + 1 as n from users where uid > 1", Result{[]string{"n"}, [][]string{{"3"}}}},
		{"hidden columns when named", "select username, is_hidden from users limit 1", Result{[]string{"username", "is_hidden"}, [][]string{{"ann", "0"}}}},
		{"a table without rows", "select pid from processes", Result{[]string{"pid"}, nil}},
		{"a star leaves them out", "select * from users limit 1", Result{
			[]string{"uid", "gid", "uid_signed", "gid_signed", "username", "description", "directory", "shell", "uuid"},
			[][]string{{"1", "", "", "", "ann", "", "", "", ""}},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := s.Query(t.Context(), test.sql, users("ann", "bob"))
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
	if rows, err := s.Query(t.Context(), "select * from users", nil); err != nil || len(rows.Rows) != 0 {
		t.Errorf("rows of another query are left: %v %v", rows, err)
	}
	if _, err := s.Query(t.Context(), "select * from registry", nil); err == nil || err.Error() != "no such table: registry" {
		t.Errorf("a table of another platform: %v", err)
	}
	if _, err := OpenSQLite("plan9"); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown platform: %v", err)
	}
}

func TestTablesUsed(t *testing.T) {
	s := open(t, "windows")
	tables, err := s.TablesUsed(t.Context(), "with x as (select count(*) from hosts) select 1 from x, users where exists (select 1 from programs)")
	if diff := cmp.Diff([]string{"etc_hosts", "programs", "users"}, tables); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	tables, err = s.TablesUsed(t.Context(), "select p.pid from processes p join hash h using (path); select 1 from users")
	if diff := cmp.Diff([]string{"hash", "processes"}, tables); err != nil || diff != "" {
		t.Errorf("a join by USING: %v %s", err, diff)
	}
	if _, err := s.TablesUsed(t.Context(), "select * from nowhere"); err == nil || err.Error() != "no such table: nowhere" {
		t.Errorf("an unknown table: %v", err)
	}
}

func TestQueryEndsWithItsContext(t *testing.T) {
	s := open(t, "darwin")
	for _, sql := range []string{
		"with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c",
		"select sleep(3600)",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := s.Query(ctx, sql, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", sql, err)
		}
		cancel()
	}
	if _, err := s.Query(t.Context(), "select 1", nil); err != nil {
		t.Errorf("the database is unusable afterwards: %v", err)
	}
}

func TestManyHostsShareADatabase(t *testing.T) {
	s := open(t, "linux")
	var group sync.WaitGroup
	for _, name := range []string{"ann", "bob", "cid", "dan", "eve", "fay", "gus", "hal"} {
		group.Go(func() {
			for range 20 {
				got, err := s.Query(t.Context(), "select username from users", users(name))
				if err != nil || len(got.Rows) != 1 || got.Rows[0][0] != name {
					t.Errorf("%s got %v %v", name, got.Rows, err)
				}
			}
		})
	}
	group.Wait()
	_ = s.Close()
	if _, err := s.Query(t.Context(), "select 1", nil); err == nil {
		t.Error("a closed database answers")
	}
}

func BenchmarkQuery(b *testing.B) {
	s, err := OpenSQLite("linux")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	fill := users("ann", "bob")
	for b.Loop() {
		if _, err := s.Query(b.Context(), "select * from users where uid > 0", fill); err != nil {
			b.Fatal(err)
		}
	}
}
