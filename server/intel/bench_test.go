package intel

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"muster/server/condition"
)

// million is a set of a million indicators: hashes for the most part, as in feeds.
func million(b *testing.B) *set {
	b.Helper()
	const all = 1_000_000
	builder := newBuilder(map[string]int{"sha256": all / 2, "md5": all / 5, "domain_name": all / 5, "remote_address": all / 10})
	for i := range int64(all) {
		r := record{ID: i + 1, Threat: fmt.Sprint("threat ", i%5000), Severity: "WARNING", Feed: "feed"}
		switch {
		case i%10 < 5:
			r.Type, r.Value = "sha256", fmt.Sprintf("%064x", i)
		case i%10 < 7:
			r.Type, r.Value = "md5", fmt.Sprintf("%032x", i)
		case i%10 < 9:
			r.Type, r.Value = "domain_name", fmt.Sprintf("host%d.bad%d.example", i, i%100_000)
		case i%100 < 99:
			r.Type, r.Value = "remote_address", fmt.Sprintf("%d.%d.%d.%d", 20+i>>24, i>>16&255, i>>8&255, i&255)
		default:
			r.Type, r.Value = "remote_address", fmt.Sprintf("%d.%d.%d.0/24", 50+i>>16&255, i>>8&255, i&255)
		}
		builder.add(r)
	}
	return &set{base: builder.t, late: &tables{}}
}

func BenchmarkCheck(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	all := million(b)
	runtime.GC()
	runtime.ReadMemStats(&after)
	s := newStore(b, nil, nil)
	s.current.Store(all)
	rows := map[string]string{
		"process":  `{"auid":"1000","cmdline":"/usr/bin/tool7 --job 12","cwd":"/srv/app","parent":"1","path":"/usr/bin/tool7","pid":"12","time":"1799142004","uid":"1000"}`,
		"hashes":   `{"action":"CREATED","md5":"44d88612fea8a8f36de82e1278abb02f","sha1":"` + someSHA1 + `","sha256":"` + someSHA256 + `","target_path":"/srv/data/1"}`,
		"socket":   `{"action":"connect","family":"2","path":"/usr/bin/tool","pid":"7","remote_address":"203.0.113.9","remote_port":"443"}`,
		"domain":   `{"domain_name":".a.long.name.of.some.Example.com","pid":"7"}`,
		"one hit":  `{"domain_name":"www.host17.bad17.example","pid":"7"}`,
		"one hash": `{"sha256":"` + fmt.Sprintf("%064x", 11) + `"}`,
	}
	for name, columns := range rows {
		b.Run(name, func(b *testing.B) {
			var row condition.Object
			if err := row.Load(columns); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				s.Check(&row)
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "bytes/indicator")
		})
	}
	runtime.KeepAlive(all)
}

func TestChecksThatFindNothingAllocateNothing(t *testing.T) {
	b := newBuilder(nil)
	for i, n := range []NewIndicator{threat(MD5, someMD5, "x"), threat(Domain, "evil.example", "x"), threat(Address, "192.0.2.0/24", "x"), threat(Path, "/bin/evil", "x"), threat(URL, "http://a/", "x")} {
		b.add(record{ID: int64(i + 1), Type: string(n.Type), Value: n.Value, Threat: n.ThreatName, Severity: n.Severity, Feed: Self})
	}
	c := newCheck(time.Now) // and not one of the pool, which drops some when races are looked for
	c.set = &set{base: b.t, late: &tables{}}
	var row condition.Object
	if err := row.Load(`{"md5":"44D88612FEA8A8F36DE82E1278ABB000","domain_name":".Www.Other.example","remote_address":"198.51.100.7","address":"2001:db8::1","path":"/Bin/ls","url":"HTTP://b/","pid":7}`); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		c.row(&row)
		if c.hits != nil {
			t.Error("a hit")
		}
	}); n != 0 {
		t.Errorf("%v allocations a row", n)
	}
}
