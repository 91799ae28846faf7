package schedule

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/server/database"
	"muster/server/database/dbtest"
)

func TestTablesOfAQuery(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		add(t, s, parsed(t, "net", `{"platform":"linux","queries":{"open sockets":{"interval":60,
			"query":"select * from processes p join process_open_sockets s using (pid) left join users u using (uid)"}}}`, "lab"))
		for _, test := range []struct {
			name, query string
			tags        []string
			want        []string
		}{
			{"a query of the config", "deb_packages", nil, []string{"deb_packages"}},
			{"a query of a pack reads what its SQL says", "pack/net/open sockets", []string{"lab"}, []string{"processes", "process_open_sockets"}},
			{"a host without the pack knows nothing of it", "pack/net/open sockets", nil, nil},
			{"a query that is gone goes by its name", "pack/gone/process_events", nil, []string{"process_events"}},
			{"another name of a table", "hosts", nil, []string{"etc_hosts"}},
			{"a table of the original's extension", "win_dns_events", nil, []string{"win_dns_events"}},
			{"a name that says nothing", "suspicious things", nil, nil},
		} {
			t.Run(test.name, func(t *testing.T) {
				h := known(t, s, host(linux, "x86_64", test.tags...))
				if diff := cmp.Diff(test.want, s.Tables(h, test.query)); diff != "" {
					t.Error(diff)
				}
				if n := testing.AllocsPerRun(20, func() { s.Tables(h, test.query) }); n > 0 && test.tags != nil {
					t.Errorf("%v allocations", n)
				}
			})
		}
	})
}
