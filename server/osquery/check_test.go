package osquery

import (
	"context"
	"reflect"
	"strings"
	"sync"
	"testing"

	"muster/server/fault"
)

func TestCheckAccepts(t *testing.T) {
	tests := map[string]string{
		"a query":                                    "SELECT * FROM users",
		"a semicolon at the end":                     "select 1 ; -- done",
		"a semicolon in quotes and comments":         "select ';', \";\", [pid;] from (select 1 as [pid;]) /* ; */ -- ;",
		"a table that needs a constraint":            "select * from file",
		"tables of different platforms":              "select * from registry, launchd",
		"a hidden column that is named":              "select env, eid from process_events",
		"a star without the hidden columns":          "select * from users union select 1,2,3,4,5,6,7,8,9",
		"a recursive query":                          "with recursive c(x) as (select 1 union all select x+1 from c limit 3) select x from c",
		"a with whose name no table has":             "with x as (select 1) select count(*) from x",
		"an alias of a table":                        "select hostnames from hosts",
		"functions of osquery":                       "select carve(path), regex_match(path, '(a)(b)', 1) from file where in_cidr_block('10.0.0.0/8', '10.1.1.1')",
		"functions of SQLite with JSON":              "select j.value, concat('a', 1), concat_ws(',', 'a'), json_extract('{}', '$.a') from json_each('[1]') j",
		"an order of version texts":                  "select name from deb_packages order by version collate version_dpkg",
		"SQLite's own list of tables":                "select name from sqlite_temp_master",
		"a byte order mark and other spaces":         "\ufeff\r\n\tselect 1",
		"values":                                     "values (1), (2)",
		"words in quotes that are no columns (text)": `select * from users where username = "root"`,
	}
	for name, sql := range tests {
		t.Run(name, func(t *testing.T) {
			if err := Check(t.Context(), sql); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCheckRefuses(t *testing.T) {
	deep := "select * from " + strings.Repeat("(select * from ", 2000) + "users" + strings.Repeat(")", 2000)
	tests := []struct{ name, sql, want string }{
		{"nothing", " ", "the query is empty"},
		{"a comment alone", "-- select 1", "the query is empty"},
		{"a semicolon alone", ";", "the query is empty"},
		{"an unknown table", "SELECT * FROM userss", "line 1, column 15: no such table: userss (did you mean users?)"},
		{"an unknown table after a comma", "select users.uid from users, usrs where 1", "line 1, column 30: no such table: usrs (did you mean users?)"},
		{"an unknown table that is an alias before", "select uid as userss\nfrom userss", "line 2, column 6: no such table: userss (did you mean users?)"},
		{"an unknown column", "select\n  usrname from users", "line 2, column 3: no such column: usrname (did you mean username?)"},
		{"an unknown column of an alias", "select u.usrname from users u", "line 1, column 8: no such column: u.usrname (did you mean username?)"},
		{"an unknown function", "select regex_mach('é', 'b', 0)", "line 1, column 8: no such function: regex_mach (did you mean regex_match?)"},
		{"columns counted in characters", "select 'é', usrname from users", "line 1, column 13: no such column: usrname (did you mean username?)"},
		{"too few arguments", "select split('a', 'b')", "line 1, column 8: wrong number of arguments to function split()"},
		{"nothing like it", "select * from zzzzqqqqxxxx", "line 1, column 15: no such table: zzzzqqqqxxxx"},
		{"an ambiguous column", "select uid from users, processes", "line 1, column 8: ambiguous column name: uid"},
		{"a slip of syntax after the same word", "select a.uid from users a join users b b", `line 1, column 40: near "b": syntax error`},
		{"an end too early", "select * from users where ", "line 1, column 26: the query ends too early"},
		{"an open quote", "select 'abc", `line 1, column 8: unrecognized token: "'abc"`},
		{"two statements", "select 1; select 2", "line 1, column 11: only one statement is allowed"},
		{"a write", "delete from users", "line 1, column 1: only SELECT is allowed, not delete"},
		{"a write behind a with", "with a as (select 1) delete from users", "line 1, column 22: only SELECT is allowed"},
		{"a pragma", "pragma table_info(users)", "line 1, column 1: only SELECT is allowed, not pragma"},
		{"a pragma as a table", "select * from pragma_table_info('users')", "line 1, column 15: access to pragma_table_info.cid is prohibited"},
		{"an attached file", "attach 'x' as y", "line 1, column 1: only SELECT is allowed, not attach"},
		{"a loaded library", "select load_extension('x')", "line 1, column 8: not authorized to use function: load_extension"},
		{"a parameter", "select * from users where uid = ?", "line 1, column 33: a parameter such as ? has no value in a live query"},
		{"a NUL", "select '\x00'", "line 1, column 9: a NUL character"},
		{"broken UTF-8", "select '\xff'", "line 1, column 9: not valid UTF-8"},
		{"a text too long", "select '" + strings.Repeat("a", MaxLength) + "'", "the query is longer than 65536 bytes"},
		{"a nest too deep", deep, "Recursion limit"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := Check(t.Context(), test.sql)
			if want := invalid + ": " + test.want; !fault.Is(err, fault.Unprocessable) || fault.Public(err) != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

func TestCheckManyAtOnce(t *testing.T) {
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			sql, valid := "select uid from users", i%2 == 0
			if !valid {
				sql = "select nothing from users"
			}
			if err := Check(t.Context(), sql); (err == nil) != valid {
				t.Errorf("%s: %v", sql, err)
			}
		})
	}
	group.Wait()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Check(over, "select 1"); err != nil && !fault.Is(err, fault.Busy) {
		t.Errorf("a caller that is gone gets %v", err)
	}
}

// TestHostileQueries checks that SQL made to explode ends soon.
func TestHostileQueries(t *testing.T) {
	doubling := "WITH a0 AS (SELECT uid FROM users)"
	for i := range 30 {
		doubling += strings.ReplaceAll(", aNEXT AS (SELECT x.uid FROM aNOW x, aNOW y)", "NOW", string(rune('0'+i)))
		doubling = strings.ReplaceAll(doubling, "NEXT", string(rune('0'+i+1)))
	}
	for _, sql := range []string{
		doubling + " SELECT 1 FROM a9",
		"select *" + strings.Repeat(",*", 30000) + " from users",
		"select uid in (" + strings.Repeat("1,", 30000) + "1) from users",
		"select 1 from " + strings.Repeat("time,", 13000) + "time",
		"select " + strings.Repeat("(", 30000) + "1" + strings.Repeat(")", 30000),
		"select 1 where " + strings.Repeat("1 or ", 13000) + "1",
		"select 1" + strings.Repeat(" union select 1", 4000),
	} {
		if err := Check(t.Context(), sql); err != nil && !fault.Is(err, fault.Unprocessable) {
			t.Errorf("%.60s...: %v", sql, err)
		}
	}
}

// FuzzCheck looks for a text that panics, or that is accepted and is more than
// one reading statement in the eyes of SQLite.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		"select * from users; drop table users", "select ';' /* ; */ -- ;\n, \"a;b\", [;], `;`", "with a as (select 1) insert into users select * from a",
		"select x'00', 1.5e3, ?1, :a, $b::c(d), 1 is not null", "\ufeffvalues(1)", "select 'a''b' || \"c\"\"d\"", "select /*", "select 1 /* a */; /* b */ ;",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		if Check(context.Background(), sql) != nil {
			return
		}
		databases, err := checkers.take(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer checkers.put(databases)
		conn, statement, err := databases.prepare(sql)
		if err != nil {
			t.Fatalf("accepted and refused: %v", err)
		}
		defer func() { _ = statement.Close() }()
		if conn.refused != "" {
			t.Errorf("accepted though %s", conn.refused)
		}
		// What the driver left over after the first statement, whose last spaces it trimmed.
		for _, rest := range lex(reflect.ValueOf(statement).Elem().FieldByName("t").String() + " ") {
			if rest.kind != endToken {
				t.Errorf("accepted with a second statement: %q", rest.text)
			}
		}
	})
}
