package agenttest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// resultOf is a result line as far as these tests look at it.
type resultOf struct {
	Name    string
	Action  string
	Counter int64
	Epoch   int64
	Columns map[string]any
}

func results(t *testing.T, a *Agent) []resultOf {
	t.Helper()
	if problems := statuses(a); strings.Contains(problems, "Error executing") {
		t.Fatal(problems)
	}
	var found []resultOf
	for _, line := range a.Buffered() {
		if line.Status {
			continue
		}
		var r resultOf
		must(t, json.Unmarshal(line.Raw, &r))
		found = append(found, r)
	}
	return found
}

func statuses(a *Agent) string {
	a.Relay()
	var all strings.Builder
	for _, line := range a.Buffered() {
		if line.Status {
			all.Write(line.Raw)
			all.WriteByte('\n')
		}
	}
	return all.String()
}

func schedule(queries string) []byte {
	return []byte(`{"options":{"pack_delimiter":"/"},"schedule":{` + queries + `}}`)
}

func TestADifferentialQueryTellsWhatChanged(t *testing.T) {
	a, clock := newReference(t).agent(t, nil)
	must(t, a.ApplyConfig(schedule(`"clock":{"query":"select unix_time/60 as minute, 'same' as fixed from time union select 0, 'stays'","interval":1}`)))
	for range 3 {
		if _, err := a.RunQueries(t.Context(), "clock"); err != nil {
			t.Fatal(err)
		}
		must(t, clock.Sleep(t.Context(), 30*time.Second))
	}
	var told []string
	for _, r := range results(t, a) {
		told = append(told, fmt.Sprint(r.Counter, " ", r.Action, " ", r.Columns["minute"]))
	}
	minute := start.Unix() / 60
	want := []string{
		"0 added 0", fmt.Sprint("0 added ", minute), // the first run is everything
		fmt.Sprint("1 removed ", minute), fmt.Sprint("1 added ", minute+1), // the second changed nothing: no line, no count
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}

func TestRemovedFalseKeepsRemovedRowsBack(t *testing.T) {
	a, clock := newReference(t).agent(t, nil)
	must(t, a.ApplyConfig(schedule(`"clock":{"query":"select unix_time from time","interval":1,"removed":false}`)))
	for range 2 {
		_, err := a.RunQueries(t.Context())
		must(t, err)
		must(t, clock.Sleep(t.Context(), time.Second))
	}
	for _, r := range results(t, a) {
		wantEqual(t, "action", r.Action, "added")
	}
	wantEqual(t, "lines", len(results(t, a)), 2)
}

func TestRemembered(t *testing.T) {
	one, two := packRow([]cell{{"n", "1", kindInteger}}), packRow([]cell{{"n", "2", kindInteger}})
	t.Run("rows are a multiset", func(t *testing.T) {
		removed, added := compareRows([]row{one, one, two}, []row{one, two, two})
		wantEqual(t, "removed", len(removed), 1)
		wantEqual(t, "removed row", removed[0], one)
		wantEqual(t, "added row", added[0], two)
	})
	t.Run("a new epoch starts again at 0 with everything", func(t *testing.T) {
		q := &remembered{}
		q.update(false, "x", 0, []row{one}, false)
		q.update(true, "x", 0, []row{two}, false)
		got := q.update(true, "x", 1, []row{two}, false)
		wantEqual(t, "counter", got.counter, 0)
		wantEqual(t, "added", len(got.added), 1)
	})
	t.Run("other SQL is compared with the old rows and goes on counting", func(t *testing.T) {
		q := &remembered{}
		q.update(false, "x", 0, []row{one}, false)
		got := q.update(true, "y", 0, []row{two}, false)
		wantEqual(t, "counter", got.counter, 1)
		wantEqual(t, "removed", len(got.removed), 1)
	})
	t.Run("event tables start at 1 and are never compared", func(t *testing.T) {
		q := &remembered{}
		wantEqual(t, "first", q.update(false, "x", 0, []row{one}, true).counter, 1)
		got := q.update(true, "x", 0, []row{one}, true)
		wantEqual(t, "second", got.counter, 2)
		wantEqual(t, "added", len(got.added), 1)
		wantEqual(t, "nothing new", len(q.update(true, "x", 0, nil, true).added), 0)
		wantEqual(t, "after nothing", q.update(true, "x", 0, []row{one}, true).counter, 3)
	})
}

func TestEventTablesYieldNewRowsOnEachRun(t *testing.T) {
	for platform, table := range map[Platform]string{Linux: "process_events", Darwin: "es_process_events", Windows: "process_etw_events"} {
		a, clock := newReference(t).agent(t, func(o *Options) { o.Platform = platform; o.Events = 5 })
		must(t, a.ApplyConfig(schedule(`"e":{"query":"select pid, path, cmdline, eid from `+table+`","interval":10}`)))
		for range 3 {
			_, err := a.RunQueries(t.Context())
			must(t, err)
			must(t, clock.Sleep(t.Context(), 10*time.Second))
		}
		seen := map[string]bool{}
		counters := map[int64]int{}
		for _, line := range a.Buffered() {
			seen[string(line.Raw)] = true
		}
		for _, r := range results(t, a) {
			counters[r.Counter]++
		}
		wantEqual(t, table+": different lines", len(seen), 15)
		if diff := cmp.Diff(map[int64]int{1: 5, 2: 5, 3: 5}, counters); diff != "" {
			t.Error(diff)
		}
	}
}

func TestFileEventsHappenWhereTheConfigLooks(t *testing.T) {
	a, _ := newReference(t).agent(t, nil)
	const query = `"schedule":{"f":{"query":"select target_path, category from file_events","interval":10}}`
	must(t, a.ApplyConfig([]byte(`{`+query+`}`)))
	_, err := a.RunQueries(t.Context())
	must(t, err)
	wantEqual(t, "events without file_paths", len(results(t, a)), 0)
	must(t, a.ApplyConfig([]byte(`{`+query+`,"file_paths":{"etc":["/etc/%%"]}}`)))
	_, err = a.RunQueries(t.Context())
	must(t, err)
	found := results(t, a)
	wantEqual(t, "events", len(found), 3)
	wantEqual(t, "category", found[0].Columns["category"], any("etc"))
}

func TestNumericsAreNumbersAndWhatIsMissingIsEmpty(t *testing.T) {
	a, _ := newReference(t).agent(t, nil)
	must(t, a.ApplyConfig([]byte(`{"options":{"logger_numerics":true},"schedule":{"n":{
		"query":"select pid, path, null as gone, 1.5 as half, count(*) as total from processes where pid = 1","interval":10}}}`)))
	_, err := a.RunQueries(t.Context())
	must(t, err)
	want := map[string]any{"pid": 1.0, "path": "/usr/lib/systemd/systemd", "gone": "", "half": 1.5, "total": 1.0}
	if diff := cmp.Diff(want, results(t, a)[0].Columns); diff != "" {
		t.Error(diff)
	}
}

func TestWhichQueriesAHostRuns(t *testing.T) {
	const config = `{"options":{"pack_delimiter":"%s"},
	 "schedule":{"all":{"query":"select 1","interval":"60"},
	  "mac":{"query":"select 1","platform":"darwin"}, "ubuntu":{"query":"select 1","platform":"ubuntu,windows"},
	  "posix":{"query":"select 1","platform":"posix"}, "gentoo":{"query":"select 1","platform":"gentoo"},
	  "old":{"query":"select 1","version":"5.12.0"}, "future":{"query":"select 1","version":"9.0.0"},
	  "my_epoch":{"query":"select 1"}, "query.x":{"query":"select 1"}, "sql_counter":{"query":"select 1"},
	  "never":{"query":"select 1","interval":0}, "rarely":{"query":"select 1","interval":604801}, "float":{"query":"select 1","interval":1.5},
	  "empty":{"query":""}},
	 "packs":{"p":{"queries":{"q":{"query":"select 1"},"mac":{"query":"select 1","platform":"darwin"}}},
	  "found":{"discovery":["select 1 from users where uid=0"],"queries":{"q":{"query":"select 1"}}},
	  "not_found":{"discovery":["select 1 from users where uid=0","select 1 from users where uid=77777"],"queries":{"q":{"query":"select 1"}}},
	  "broken":{"discovery":["select 1 from nowhere"],"queries":{"q":{"query":"select 1"}}},
	  "mac":{"platform":"darwin","queries":{"q":{"query":"select 1"}}},
	  "nobody":{"shard":-1,"version":"99.0","queries":{"q":{"query":"select 1"}}},
	  "by_name":"/etc/pack.conf"}}`
	server := newReference(t)
	for name, test := range map[string]struct {
		platform  Platform
		version   Version
		delimiter string
		want      []string
	}{
		"Linux":                {Linux, Version523, "/", []string{"all", "old", "pack/found/q", "pack/p/q", "posix", "ubuntu"}},
		"macOS":                {Darwin, Version523, "/", []string{"all", "mac", "old", "pack/found/q", "pack/mac/q", "pack/p/mac", "pack/p/q", "posix"}},
		"Windows":              {Windows, Version523, "_", []string{"all", "old", "pack_p_q", "ubuntu"}},
		"names were free once": {Linux, Version59, "/", []string{"all", "my_epoch", "pack/found/q", "pack/p/q", "posix", "query.x", "sql_counter", "ubuntu"}},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := server.agent(t, func(o *Options) { o.Platform, o.Version = test.platform, test.version })
			must(t, a.ApplyConfig([]byte(fmt.Sprintf(config, test.delimiter))))
			queries, err := a.Scheduled(t.Context())
			must(t, err)
			if diff := cmp.Diff(test.want, slices.Sorted(maps.Keys(queries))); diff != "" {
				t.Error(diff)
			}
			wantContains(t, statuses(a), "invalid interval: never")
		})
	}
}

func TestAShardTakesTheHostsBelowIt(t *testing.T) {
	server := newReference(t)
	ran := 0
	for seed := range int64(60) {
		a, _ := server.agent(t, func(o *Options) { o.Seed = seed })
		must(t, a.ApplyConfig([]byte(`{"schedule":{"some":{"query":"select 1","shard":50},"all":{"query":"select 1"}}}`)))
		queries, err := a.Scheduled(t.Context())
		must(t, err)
		_, some := queries["some"]
		wantEqual(t, "runs it", some, a.machine.shard() <= 50)
		if some {
			ran++
		}
	}
	if ran < 15 || ran > 45 {
		t.Errorf("%d of 60 hosts are in half of them", ran)
	}
}

func TestIntervalsAreSplayedOnceAndForAll(t *testing.T) {
	server := newReference(t)
	splays := map[int64]bool{}
	for seed := range int64(30) {
		a, _ := server.agent(t, func(o *Options) { o.Seed = seed })
		splayed := a.splay("q", 100)
		if splayed < 90 || splayed > 110 {
			t.Errorf("100 became %d", splayed)
		}
		a.Kill()
		a.Restart()
		wantEqual(t, "after a restart", a.splay("q", 100), splayed)
		splays[splayed] = true
	}
	if len(splays) < 5 {
		t.Errorf("all hosts are in step: %v", splays)
	}
}

func TestATickRunsWhatIsDue(t *testing.T) {
	a, _ := newReference(t).agent(t, nil)
	must(t, a.ApplyConfig(schedule(`"q":{"query":"select 1","interval":100}`)))
	splayed := a.splay("q", 100)
	due, found := a.nextDue(t.Context(), start.Unix())
	if !found || due%splayed != 0 || due <= start.Unix() || due > start.Unix()+splayed {
		t.Fatalf("due at %d with %d", due, splayed)
	}
	for at := due - 1; at <= due+1; at++ {
		ran, err := a.RunSchedule(t.Context(), time.Unix(at, 0))
		must(t, err)
		wantEqual(t, "ran", ran == 1, at == due)
	}
}

func TestDecorationsComeAlong(t *testing.T) {
	a, _ := newReference(t).agent(t, nil)
	must(t, a.ApplyConfig([]byte(`{"schedule":{"q":{"query":"select 1 as n","interval":60}},
	 "decorators":{"load":["select hostname from system_info","select * from nowhere"],"always":["select unix_time as t from time"],
	 "interval":{"60":["select 'm' as minute"],"61":["select 'no' as refused"]}}}`)))
	_, err := a.RunQueries(t.Context())
	must(t, err)
	wantContains(t, string(a.Buffered()[0].Raw), `"decorations":{"hostname":"`+a.Hostname()+`","minute":"m","t":"`+num(start.Unix())+`"},"columns":{"n":"1"}`)
}

func TestOptionsStayWhenTheConfigDropsThem(t *testing.T) {
	a, _ := newReference(t).agent(t, nil)
	must(t, a.ApplyConfig([]byte(`{"options":{"distributed_interval":"7","logger_min_status":2,"config_refresh":1,"logger_tls_period":""}}`)))
	must(t, a.ApplyConfig([]byte(`{"options":{}}`)))
	wantEqual(t, "distributed_interval", a.Option("distributed_interval"), "7")
	wantEqual(t, "a flag of the command line", a.Option("config_refresh"), "300")
	wantEqual(t, "an empty text", a.Option("logger_tls_period"), "4")
	a.Kill()
	a.Restart()
	wantEqual(t, "after a restart", a.Option("distributed_interval"), "60")
}

func TestAQueryThatRanWhenTheAgentDiedIsDenied(t *testing.T) {
	a, clock := newReference(t).agent(t, nil)
	config := schedule(`"heavy":{"query":"select 1 as n"},"trusted":{"query":"select 2 as n","denylist":false}`)
	must(t, a.ApplyConfig(config))
	for _, name := range []string{"heavy", "trusted"} {
		a.opt.Chaos.Crash = func(step Step) bool { return step == StepScheduled }
		if _, err := a.RunQueries(t.Context(), name); err == nil {
			t.Fatal("no crash")
		}
		a.opt.Chaos.Crash = nil
		a.Restart()
		must(t, a.ApplyConfig(config))
	}
	_, err := a.RunQueries(t.Context())
	must(t, err)
	wantEqual(t, "lines", len(results(t, a)), 1)
	wantContains(t, statuses(a), "Scheduled query may have failed: trusted")
	_, rows, err := a.Query(t.Context(), "select name, denylisted, executions from osquery_schedule order by name")
	must(t, err)
	wantEqual(t, "osquery_schedule", fmt.Sprint(rows), "[[heavy 1 0] [trusted 1 1]]")
	must(t, clock.Sleep(t.Context(), 24*time.Hour))
	_, err = a.RunQueries(t.Context(), "heavy")
	must(t, err)
	wantEqual(t, "lines a day later", len(results(t, a)), 2)
}
