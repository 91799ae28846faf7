package agenttest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// The rules by which an agent takes an answer for success (osquery-tls.md section 0).
func TestWhatALoggerMakesOfAnAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		answer   answer
		kept     bool
		requests int
		key      bool // still there
	}{
		"an empty object deletes the lines":                 {answer{body: `{}`}, false, 1, true},
		"an empty body deletes them, whatever the status":   {answer{status: 500}, false, 1, true},
		"no content deletes them":                           {answer{status: 204}, false, 1, true},
		"an object deletes them, whatever the status":       {answer{status: 503, body: `{"message":"busy"}`}, false, 1, true},
		"error keeps them, whatever the status":             {answer{status: 200, body: `{"error":"busy"}`}, true, 1, true},
		"an HTML page keeps them":                           {answer{status: 502, body: `<html>bad gateway</html>`}, true, 1, true},
		"text keeps them":                                   {answer{status: 404, body: "404 page not found\n"}, true, 1, true},
		"text after the document keeps them":                {answer{body: `{} x`}, true, 1, true},
		"a list keeps them":                                 {answer{body: `[]`}, true, 1, true},
		"a broken connection keeps them and is tried twice": {answer{hangUp: true}, true, 2, true},
		"node_invalid keeps them and costs the key":         {answer{body: `{"node_invalid":true}`}, true, 1, false},
		"node_invalid false is harmless":                    {answer{body: `{"node_invalid":false}`}, false, 1, true},
		"node_invalid as a text is harmless":                {answer{body: `{"node_invalid":"true"}`}, false, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			server := newReference(t)
			a, _ := server.agent(t, nil)
			must(t, a.Enroll(t.Context()))
			a.AddResult("q", map[string]string{"n": "1"})
			server.always("/log", test.answer)
			err := a.FlushLogs(t.Context())
			wantEqual(t, "failed", err != nil, test.kept)
			wantEqual(t, "kept", len(a.Buffered()) == 1, test.kept)
			wantEqual(t, "requests", len(server.seen("/log")), test.requests)
			wantEqual(t, "has a key", a.NodeKey() != "", test.key)
		})
	}
}

func TestWhatAConfigPluginMakesOfAnAnswer(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40)
	big := `{"schedule":{"up":{"query":"select 1","interval":9}},"x":"` + strings.Repeat("x", 1<<20) + `"}`
	for name, test := range map[string]struct {
		version   Version
		answer    answer
		attempts  int
		scheduled int
		wiped     int64
	}{
		"a config replaces the other":          {Version523, answer{body: `{"schedule":{"a":{"query":"select 1","interval":5},"b":{"query":"select 2"}}}`}, 1, 2, 0},
		"the same config changes nothing":      {Version523, answer{body: ` { "schedule":{"up":{"query":"select * from uptime","interval":60}}} `}, 1, 1, 0},
		"an error keeps it":                    {Version523, answer{status: 500, body: `{"error":"busy"}`}, 3, 1, 0},
		"an HTML page keeps it":                {Version523, answer{status: 502, body: `<html>`}, 3, 1, 0},
		"comments keep it":                     {Version523, answer{body: "{} // nothing"}, 3, 1, 0},
		"an empty object wipes it":             {Version523, answer{body: `{}`}, 1, 0, 1},
		"an empty body wipes it":               {Version523, answer{status: 503}, 1, 0, 1},
		"an object of another kind wipes it":   {Version523, answer{status: 401, body: `{"message":"unauthorized"}`}, 1, 0, 1},
		"a config without queries wipes it":    {Version523, answer{body: `{"options":{"verbose":true},"schedule":{}}`}, 1, 0, 1},
		"a config that is too deep wipes it":   {Version523, answer{body: deep}, 1, 0, 1},
		"more than a mebibyte wipes it":        {Version523, answer{body: big}, 1, 0, 1},
		"the next version takes four mebibyte": {VersionNext, answer{body: big}, 1, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			server := newReference(t)
			a, _ := server.agent(t, func(o *Options) { o.Version = test.version })
			must(t, a.FetchConfig(t.Context()))
			server.always("/config", test.answer)
			_ = a.FetchConfig(t.Context())
			queries, err := a.Scheduled(t.Context())
			must(t, err)
			wantEqual(t, "attempts", len(server.seen("/config"))-1, test.attempts)
			wantEqual(t, "scheduled queries", len(queries), test.scheduled)
			wantEqual(t, "wiped", a.Stats().ConfigWiped, test.wiped)
		})
	}
}

func TestABadConfigIsRememberedAsTheConfig(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, nil)
	must(t, a.FetchConfig(t.Context()))
	server.always("/config", answer{body: `{}`})
	must(t, a.FetchConfig(t.Context()))
	must(t, a.FetchConfig(t.Context()))
	stats := a.Stats()
	wantEqual(t, "wiped", stats.ConfigWiped, 1)
	wantEqual(t, "unchanged", stats.ConfigsUnchanged, 1)
}

func TestTheConfigHashIsThatOfTheCompactForm(t *testing.T) {
	a, _ := newReference(t).agent(t, nil)
	// The example of osquery's own tests.
	must(t, a.ApplyConfig([]byte(`{ "schedule" : {"tls_proc": {"query": "select * from processes", "interval": 1}}, "node_invalid":false, "node": true }`)))
	wantEqual(t, "hash of the source", a.SourceHash(), "1c70dc4608ed9f8d8e24d23359a46e8739a93558")
	_, rows, err := a.Query(t.Context(), "select config_hash, config_valid from osquery_info")
	must(t, err)
	wantEqual(t, "config_hash", rows[0][0], a.ConfigHash())
	wantEqual(t, "config_valid", rows[0][1], "1")
}

func TestTheNextVersionAsksConditionally(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, func(o *Options) { o.Version = VersionNext })
	server.on("/config", func(r request) answer {
		if strings.Contains(r.body, `"etag":"v1"`) {
			return answer{body: `{"etag":"ok"}`}
		}
		return answer{body: `{"schedule":{"up":{"query":"select 1"}},"etag":"v1"}`}
	})
	must(t, a.FetchConfig(t.Context()))
	must(t, a.FetchConfig(t.Context()))
	bodies := server.seen("/config")
	wantEqual(t, "first", bodies[0].body, `{"node_key":"key-1","etag":""}`)
	wantEqual(t, "second", bodies[1].body, `{"node_key":"key-1","etag":"v1"}`)
	queries, err := a.Scheduled(t.Context())
	must(t, err)
	wantEqual(t, "queries", len(queries), 1)
	wantEqual(t, "wiped", a.Stats().ConfigWiped, 0)
}

func TestWhatEnrolmentMakesOfAnAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		answer answer
		key    string
	}{
		"a node_key enrolls":         {answer{body: `{"node_key":"k"}`}, "k"},
		"an id does as well":         {answer{body: `{"id":"k"}`}, "k"},
		"whatever else is said":      {answer{status: 500, body: `{"node_key":"k","node_invalid":true,"error":"no"}`}, "k"},
		"node_invalid alone refuses": {answer{body: `{"node_invalid":true}`}, ""},
		"an error refuses":           {answer{body: `{"error":"busy"}`}, ""},
		"a number is no key":         {answer{body: `{"node_key":7,"id":"k"}`}, ""},
		"an empty key is none":       {answer{body: `{"node_key":""}`}, ""},
		"nothing is no key":          {answer{status: 500}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := newReference(t)
			a, clock := server.agent(t, nil)
			server.always("/enroll", test.answer)
			err := a.Enroll(t.Context())
			wantEqual(t, "key", a.NodeKey(), test.key)
			if test.key != "" {
				must(t, err)
				return
			}
			if !errors.Is(err, ErrNoKey) {
				t.Errorf("got %v", err)
			}
			wantEqual(t, "attempts", len(server.seen("/enroll")), 12)
			slept := clock.Slept()
			want := []time.Duration{1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121}
			if !slices.EqualFunc(slept, want, func(a, b time.Duration) bool { return a == b*time.Second }) {
				t.Errorf("waited %v", slept)
			}
		})
	}
}

func TestNodeInvalidIsFollowedByAnEnrolmentInLine(t *testing.T) {
	server := newReference(t)
	a, clock := server.agent(t, nil)
	must(t, a.Enroll(t.Context()))
	server.on("/distributed/read", func(r request) answer {
		if strings.Contains(r.body, "key-1") {
			return answer{status: 401, body: `{"node_invalid":true}`}
		}
		return answer{body: `{}`}
	})
	must(t, a.PollDistributed(t.Context()))
	wantEqual(t, "key", a.NodeKey(), "key-2")
	wantEqual(t, "waits", len(clock.Slept()), 1)
	wantEqual(t, "re-enrolments", a.Stats().Reenrolls, 1)
}

// Thread A is told node_invalid, enrolls and holds K2; thread B's late
// node_invalid for K1 then costs the agent K2 (section 1.5).
func TestALateNodeInvalidKillsAFreshKey(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, nil)
	must(t, a.Enroll(t.Context()))
	a.AddResult("q", map[string]string{"n": "1"})
	onItsWay, release := make(chan struct{}), make(chan struct{})
	server.on("/log", func(request) answer {
		close(onItsWay)
		<-release
		return answer{body: `{"node_invalid":true}`}
	})
	flushed := make(chan error)
	go func() { flushed <- a.FlushLogs(t.Context()) }()
	<-onItsWay
	server.on("/config", func(r request) answer {
		if strings.Contains(r.body, "key-1") {
			return answer{body: `{"node_invalid":true}`}
		}
		return server.standard(r)
	})
	must(t, a.FetchConfig(t.Context()))
	wantEqual(t, "the fresh key", a.NodeKey(), "key-2")
	close(release)
	if err := <-flushed; err == nil {
		t.Error("the flush succeeded")
	}
	wantEqual(t, "the key after the late answer", a.NodeKey(), "")
	wantEqual(t, "cleared", a.Stats().Cleared, 2)
	wantEqual(t, "lines kept", len(a.Buffered()), 1)
}

func TestOldKeyAfterReenrollSendsOneBatchUnderTheKeyFromBefore(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, func(o *Options) { o.Chaos.OldKeyAfterReenroll = true })
	must(t, a.Enroll(t.Context()))
	server.always("/config", answer{body: `{"node_invalid":true}`})
	_ = a.FetchConfig(t.Context())
	server.on("/config", nil)
	must(t, a.FetchConfig(t.Context()))
	for range 2 {
		a.AddResult("q", map[string]string{"n": "1"})
		must(t, a.FlushLogs(t.Context()))
	}
	logs := server.seen("/log")
	if strings.Contains(logs[0].body, a.NodeKey()) || !strings.Contains(logs[1].body, a.NodeKey()) {
		t.Errorf("keys: %s then %s", logs[0].body, logs[1].body)
	}
}
