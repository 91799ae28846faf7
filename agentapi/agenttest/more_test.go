package agenttest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestGzipIsUnderstoodWhereItWasAskedFor(t *testing.T) {
	server := newReference(t)
	server.always("/config", answer{body: string(deflate([]byte(lifeConfig))), header: map[string]string{"Content-Encoding": "gzip"}})
	for accept, want := range map[string]bool{"true": true, "false": false} {
		a, _ := server.agent(t, func(o *Options) { o.Flags = map[string]string{"tls_accept_gzip": accept} })
		wantEqual(t, "understood", a.FetchConfig(t.Context()) == nil, want)
		configs := server.seen("/config")
		wantEqual(t, "asked for", configs[len(configs)-1].header.Get("Accept-Encoding") == "gzip", want)
	}
}

func TestPathsOfAFleetServer(t *testing.T) {
	server := newReference(t)
	server.always("/api/osquery/enroll", answer{body: `{"node_key":"k"}`})
	a, _ := server.agent(t, func(o *Options) { o.Paths = FleetPaths() })
	must(t, a.Enroll(t.Context()))
	a.AddLine(false, []byte(`{"name":"raw"}`))
	a.AddLine(true, []byte(`{"message":"raw"}`))
	must(t, a.FlushLogs(t.Context()))
	logs := server.seen("/api/osquery/log")
	wantEqual(t, "results", logs[0].body, `{"data":[{"name":"raw"}],"log_type":"result","node_key":"k"}`)
	wantEqual(t, "statuses", logs[1].body, `{"data":[{"message":"raw"}],"log_type":"status","node_key":"k"}`)
}

func TestTheLastGoodConfigIsTheBackup(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, func(o *Options) { o.Flags = map[string]string{"config_enable_backup": "true"} })
	must(t, a.FetchConfig(t.Context()))
	server.always("/config", answer{status: 502, body: "<html>"})
	a.Kill()
	a.Restart()
	if err := a.FetchConfig(t.Context()); err == nil {
		t.Error("no failure")
	}
	queries, err := a.Scheduled(t.Context())
	must(t, err)
	wantEqual(t, "queries", len(queries), 1)
}

func TestEnrollAlwaysGetsANewKeyAtEachStart(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, func(o *Options) { o.Flags = map[string]string{"enroll_always": "true"} })
	must(t, a.Enroll(t.Context()))
	a.Restart()
	must(t, a.Enroll(t.Context()))
	wantEqual(t, "key", a.NodeKey(), "key-2")
}

func TestQueriesWithAStartupPriorityRunAtOnce(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, nil)
	must(t, a.ApplyConfig(schedule(`"c":{"query":"select 3"},"b":{"query":"select 2","startup_priority":2},"a":{"query":"select 1","startup_priority":7}`)))
	a.runAtStart(t.Context())
	var names []string
	for _, r := range results(t, a) {
		names = append(names, r.Name)
	}
	wantEqual(t, "order", strings.Join(names, " "), "b a")
}

func TestOsqueryTablesTellOfTheAgentItself(t *testing.T) {
	a, _ := newReference(t).agent(t, nil)
	must(t, a.ApplyConfig([]byte(`{"schedule":{"q":{"query":"select 1","interval":60}},"packs":{
		"here":{"discovery":["select 1"],"queries":{"q":{"query":"select 1"}}},"there":{"platform":"windows","queries":{"q":{"query":"select 1"}}}}}`)))
	_, err := a.Scheduled(t.Context())
	must(t, err)
	for sql, want := range map[string]string{
		"select name, active from osquery_packs order by name":                         "[[here 1] [main 1] [there 0]]",
		"select name, interval from osquery_schedule order by name":                    "[[pack_here_q 3600] [q 60]]",
		"select value, default_value from osquery_flags where name = 'config_refresh'": "[[300 0]]",
		"select count(*) > 2 from osquery_events where active = 1":                     "[[1]]",
		"select version from osquery_info":                                             "[[5.23.1]]",
	} {
		_, rows, err := a.Query(t.Context(), sql)
		must(t, err)
		wantEqual(t, sql, fmt.Sprint(rows), want)
	}
}

func TestALinuxHostHasOneKindOfPackages(t *testing.T) {
	server := newReference(t)
	kinds := map[string]int{}
	for seed := range int64(20) {
		a, _ := server.agent(t, func(o *Options) { o.Seed = seed })
		_, rows, err := a.Query(t.Context(), `select (select count(*) from deb_packages) > 0, (select count(*) from rpm_packages) > 0,
			(select platform from os_version) = 'rocky', (select count(*) from platform_info)`)
		must(t, err)
		wantEqual(t, "rpm", rows[0][1], rows[0][2])
		if rows[0][0] == rows[0][1] {
			t.Errorf("seed %d: both or neither: %v", seed, rows)
		}
		kinds["rpm "+rows[0][1]]++
		kinds["firmware "+rows[0][3]]++
	}
	wantEqual(t, "kinds of hosts", len(kinds), 4)
}

func TestACopiedDiskTakesQueriesAndCarvesAlong(t *testing.T) {
	a, _ := newReference(t).agent(t, nil)
	must(t, a.ApplyConfig([]byte(lifeConfig)))
	_, err := a.RunQueries(t.Context())
	must(t, err)
	_, _, err = a.Query(t.Context(), "select * from carves where carve=1 and path='/etc/hosts'")
	must(t, err)
	twin, err := a.CloneDisk(2)
	must(t, err)
	defer twin.Kill()
	_, rows, err := twin.Query(t.Context(), "select status from carves")
	must(t, err)
	wantEqual(t, "carves", fmt.Sprint(rows), "[[SCHEDULED]]")
	must(t, twin.RunCarves(t.Context()))
	_, rows, err = a.Query(t.Context(), "select status from carves")
	must(t, err)
	wantEqual(t, "the original's", fmt.Sprint(rows), "[[SCHEDULED]]")
}

func TestManualClockWakesWhoeverIsDue(t *testing.T) {
	clock := NewManualClock(start)
	woken := make(chan error, 2)
	for _, d := range []time.Duration{time.Second, time.Minute} {
		go func() { woken <- clock.Sleep(t.Context(), d) }()
	}
	must(t, clock.BlockUntil(t.Context(), 2))
	clock.Advance(time.Second)
	must(t, <-woken)
	select {
	case <-woken:
		t.Error("both woke")
	default:
	}
	clock.Advance(time.Minute)
	must(t, <-woken)
}

// Whatever a server sends as a config: no panic, and the agent can still say what
// it would run.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(goldenConfig))
	f.Add([]byte(lifeConfig))
	f.Add([]byte(`{"packs":{"p":{"shard":"x","discovery":[1],"queries":{"q":7}}},"options":{"a":{"b":[1]},"logger_tls_period":-1},"decorators":{"interval":{"60":"x"}}}`))
	a, err := New(Options{Server: "https://127.0.0.1:1", Clock: NewSkippingClock(start)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if d, err := parseDocument(body); err == nil {
			a.adopt(d, true)
			for _, p := range d.packs {
				a.planPack(p)
			}
		}
		again, err := parseDocument(body)
		if err == nil && again.size == 0 {
			t.Error("a document without bytes")
		}
	})
}

// Rows come out of their packed form as they went in.
func FuzzRow(f *testing.F) {
	f.Add("a", "1", "b", "\xff\x00")
	f.Add("", "", "a", strings.Repeat("x", 300))
	f.Fuzz(func(t *testing.T, name, value, other, text string) {
		var got bytes.Buffer
		unpackRow(packRow([]cell{{name, value, kindText}, {other, text, kindInteger}}), func(c cell) {
			fmt.Fprintf(&got, "%q=%q%c ", c.name, c.value, c.kind)
		})
		first, second := fmt.Sprintf("%q=%qs ", name, value), fmt.Sprintf("%q=%qi ", other, text)
		want := first + second
		switch {
		case name == other:
			want = second
		case other < name:
			want = second + first
		}
		wantEqual(t, "row", got.String(), want)
	})
}
