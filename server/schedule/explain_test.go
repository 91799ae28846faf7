package schedule

import (
	"fmt"
	"strings"
	"testing"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/hosts"
)

func explained(t testing.TB, s *Store, h *hosts.Host) Explanation {
	t.Helper()
	e, err := s.Explain(t.Context(), known(t, s, h))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestExplain(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{SignatureURLs: []string{"https://muster/yara/.*"}})
		c := change(t, `{
			"uptime":{"status":false,"interval":60},
			"elsewhere":{"status":true,"interval":60,"query":"select 1","platform":"windows"},
			"young":{"status":true,"interval":60,"query":"select 1","version":"5.11.0"},
			"shared":{"status":true,"interval":60,"query":"select 1"}, "few":{"status":true,"interval":60,"query":"select 1","shard":1}}`, `{"events":{"disable_subscribers":["x"]}}`)
		c.Options = map[string]any{"verbose": true, "host_identifier": "uuid", "logger_tls_period": int64(20), "empty": ""}
		if _, err := s.UpdateConfig(t.Context(), linuxConfig, c); err != nil {
			t.Fatal(err)
		}
		if err := s.SetOptions(t.Context(), map[string]any{"logger_tls_period": int64(30), "tls_hostname": "x"}); err != nil {
			t.Fatal(err)
		}
		lab := func(name, sql string) {
			if _, err := s.AddQuery(t.Context(), StoredQuery{Name: name, Query: Query{SQL: sql, Interval: 60, Removed: true, Denylist: true, Tags: []string{"lab"}}}); err != nil {
				t.Fatal(err)
			}
		}
		lab("shared", "select 2")
		lab("mine", "select 1")
		add(t, s, parsed(t, "p", `{"discovery":["select 1"],"queries":{"a":{"query":"select 1"},"b":{"query":"select 1","platform":"darwin"}},"file_paths":{"x":["/y"]}}`, "lab"))
		add(t, s, parsed(t, "mac", `{"platform":"darwin","queries":{"a":{"query":"select 1"}}}`, "lab", "other"))
		add(t, s, parsed(t, "new", `{"version":"6.0.0","queries":{"a":{"query":"select 1"}}}`, "lab"))
		h := host(linux, "x86_64", "lab", "unused")
		h.Hostname, h.OsqueryVersion = "web-1", "5.10.2"
		e := explained(t, s, h)
		got := map[string]string{}
		for _, q := range e.Queries {
			got[q.Source.Kind+" "+q.Name] = fmt.Sprintf("%s %s %s", q.Runs, q.Reason, strings.Join(q.Source.Tags, ","))
			if q.Source.ID == 0 || q.Query.SQL == "" {
				t.Errorf("%+v", q)
			}
		}
		for name, want := range map[string]string{
			"config users":     "yes  ",
			"config uptime":    "no it is switched off in the config ",
			"config elsewhere": "no it is for the platform windows ",
			"config young":     "no it needs osquery 5.11.0, and the host has 5.10.2 ",
			"config few":       fmt.Sprintf("no it is for 1 percent of the hosts, and this one is in percent %d ", shardOf("web-1")),
			"query shared":     "no the config has a query of its name lab",
			"query mine":       "yes  lab",
			"pack pack/p/a":    "depends it runs while all discovery queries of its pack have rows lab",
			"pack pack/p/b":    "no it is for the platform darwin lab",
			"pack pack/mac/a":  "no of its pack: it is for the platform darwin lab",
			"pack pack/new/a":  "no of its pack: it needs osquery 6.0.0, and the host has 5.10.2 lab",
		} {
			if got[name] != want {
				t.Errorf("%s: %q, want %q", name, got[name], want)
			}
		}
		checkValues(t, "options", e.Options, "verbose config, logger_tls_period stored, distributed_interval built-in")
		checkValues(t, "withheld", e.Withheld, "host_identifier config, empty config, tls_hostname stored")
		checkValues(t, "filters", e.Filters, "events config, yara server, file_paths pack p")
		sent := configOf(t, s, h)
		if e.Config != linuxConfig || e.Version != 2 || e.Size != len(sent.Plain) || e.ETag != sent.ETag || e.Hash != ConfigHash(sent.Plain) {
			t.Errorf("%v %d %d %s %s", e.Config, e.Version, e.Size, e.ETag, e.Hash)
		}
	})
}

func checkValues(t *testing.T, what string, values []ExplainedValue, wanted string) {
	t.Helper()
	var all []string
	for _, v := range values {
		all = append(all, v.Name+" "+v.Origin)
	}
	for want := range strings.SplitSeq(wanted, ", ") {
		if !strings.Contains(strings.Join(all, ", "), want) {
			t.Errorf("%s: no %q in %v", what, want, all)
		}
	}
}

func TestExplainWhatIsLeftOut(t *testing.T) {
	s := loaded(t, dbtest.Open(t, database.SQLite), Options{})
	add(t, s, huge(t, "one", 600<<10, "lab"))
	add(t, s, huge(t, "two", 700<<10, "lab"))
	runs := map[string]string{}
	for _, q := range explained(t, s, host(linux, "x86_64", "lab")).Queries {
		runs[q.Source.Name] = q.Runs + " " + q.Reason
	}
	if runs["one"] != "yes " || runs["two"] != "no "+leftOut {
		t.Error(runs["one"], runs["two"])
	}
}

// The first byte of the SHA-1 of the name, as in osquery.
func TestShards(t *testing.T) {
	for hostname, want := range map[string]int{"": 85, "localhost": 20} {
		if got := shardOf(hostname); got != want {
			t.Errorf("%q is in shard %d", hostname, got)
		}
	}
}

func TestOlder(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"5.9.1", "5.10.0", true}, {"5.10.0", "5.9.1", false}, {"5.9.1", "5.9.1", false},
		{"5.9.1-12-gabc", "5.9.1", false}, {"5", "5.0.1", true}, {"5.9", "5.9.0", false}, {"5.23.1+git", "5.24", true},
	} {
		if older(test.a, test.b) != test.want {
			t.Errorf("%s before %s", test.a, test.b)
		}
	}
}
