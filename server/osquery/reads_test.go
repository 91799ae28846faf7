package osquery

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReads(t *testing.T) {
	tests := []struct {
		name, sql string
		want      []string
	}{
		{"one table", "SELECT * FROM process_events;", []string{"process_events"}},
		{"a table of an extension", "select * from win_process_events", []string{"win_process_events"}},
		{"capitals, quotes and a schema", `SELECT a FROM main."Processes" AS p`, []string{"processes"}},
		{"joined tables, and commas", "select 1 from processes p join process_open_sockets s on s.pid = p.pid, users u where 1", []string{"processes", "process_open_sockets", "users"}},
		{"a comma after FROM's clause is none of tables", "select 1 from a where x in (b, c) order by d, e", []string{"a"}},
		{"what only adds columns", "SELECT e.pid, p.path FROM process_events e LEFT JOIN processes AS p ON p.pid = e.parent LEFT OUTER JOIN users u USING (uid)", []string{"process_events"}},
		{"a join after a left join counts", "select 1 from a left join b on 1 join c on 2", []string{"a", "c"}},
		{"subqueries", "select (select count(*) from users) from (select * from startup_items) where x in (select name from services)", []string{"users", "startup_items", "services"}},
		{"names that WITH defines", "with recent as (select * from file_events), b(x) as (select 1) select * from recent", []string{"file_events"}},
		{"another name of a table", "select * from programs_and_features", []string{"programs"}},
		{"functions are none", "select 1 from json_each('[]') where a = 'from b'", []string{"json_each"}},
		{"both sides of a union", "select a from x union select b from y", []string{"x", "y"}},
		{"nothing", "", []string{}},
		{"what is no query", "from", []string{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := Reads(test.sql)
			if got == nil {
				got = []string{}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzReads(f *testing.F) {
	f.Add("with a as (select 1 from b left join c on 1) select * from a, d where x = ')'")
	f.Fuzz(func(t *testing.T, sql string) {
		for _, name := range Reads(sql) {
			if name == "" && !strings.ContainsAny(sql, "\"`[") {
				t.Errorf("an empty name in %q", sql)
			}
		}
	})
}
