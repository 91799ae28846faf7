package agenttest

import (
	"strings"
	"testing"
	"time"
)

func TestEachRequestIsANewTLSConnection(t *testing.T) {
	for name, keepAlive := range map[string]bool{"as osquery does": false, "unless asked to keep them": true} {
		t.Run(name, func(t *testing.T) {
			server := newReference(t)
			a, _ := server.agent(t, func(o *Options) { o.KeepAlive = keepAlive })
			for range 4 {
				must(t, a.FetchConfig(t.Context()))
			}
			want := int64(5)
			if keepAlive {
				want = 1
			}
			wantEqual(t, "handshakes", a.Stats().Handshakes, want)
			wantEqual(t, "requests", a.Stats().Requests, 5)
		})
	}
}

func TestATimeoutIsNotSentAgainByTheClient(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, func(o *Options) { o.Deadline = 300 * time.Millisecond })
	must(t, a.Enroll(t.Context()))
	a.AddResult("q", map[string]string{"n": "1"})
	server.always("/log", answer{stall: true})
	if err := a.FlushLogs(t.Context()); err == nil {
		t.Error("an answer that never came was taken for success")
	}
	wantEqual(t, "requests", len(server.seen("/log")), 1)
	wantEqual(t, "lines kept", len(a.Buffered()), 1)
}

func TestLimitsOfAnAnswer(t *testing.T) {
	for name, over := range map[string]answer{
		"a body above 8 MiB":  {body: `{"x":"` + strings.Repeat("x", maxAnswer) + `"}`},
		"headers above 8 KiB": {body: `{}`, header: map[string]string{"X-Long": strings.Repeat("x", maxHeaders)}},
		"304 has no location": {status: 304},
	} {
		t.Run(name+" fails and is sent twice", func(t *testing.T) {
			server := newReference(t)
			a, _ := server.agent(t, nil)
			must(t, a.Enroll(t.Context()))
			a.AddResult("q", map[string]string{"n": "1"})
			server.always("/log", over)
			if err := a.FlushLogs(t.Context()); err == nil {
				t.Error("no failure")
			}
			wantEqual(t, "requests", len(server.seen("/log")), 2)
		})
	}
	t.Run("8 KiB less what the others take pass", func(t *testing.T) {
		server := newReference(t)
		a, _ := server.agent(t, nil)
		server.always("/config", answer{body: `{"options":{}}`, header: map[string]string{"X-Long": strings.Repeat("x", 7<<10)}})
		must(t, a.FetchConfig(t.Context()))
	})
}

func TestRedirectsTakeMethodBodyAndKeyAlong(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := newReference(t)
		a, _ := server.agent(t, nil)
		server.always("/config", answer{status: status, header: map[string]string{"Location": "/elsewhere"}})
		server.always("/elsewhere", answer{body: `{"options":{}}`})
		must(t, a.FetchConfig(t.Context()))
		got := server.seen("/elsewhere")[0]
		wantEqual(t, "body", got.body, `{"node_key":"key-1"}`)
		wantEqual(t, "key", got.header.Get("Authorization"), "NodeKey key-1")
	}
}

func TestALostAnswerIsNotAFailureOfDelivery(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, nil)
	must(t, a.Enroll(t.Context()))
	a.opt.Chaos.LoseAnswer = 1
	a.AddResult("q", map[string]string{"n": "1"})
	if err := a.FlushLogs(t.Context()); err == nil {
		t.Error("the answer was not lost")
	}
	wantEqual(t, "lines the server has", len(server.lines), 1)
	wantEqual(t, "lines kept", len(a.Buffered()), 1)
}

func TestASlowLinkTakesItsTime(t *testing.T) {
	server := newReference(t)
	a, clock := server.agent(t, func(o *Options) { o.Chaos.SlowLink = 1000 })
	must(t, a.Enroll(t.Context()))
	if took := clock.Now().Sub(start); took < 2*time.Second {
		t.Errorf("enrolled in %s at 1 kB/s", took)
	}
}

func TestYARARulesAreFetchedWithoutTheAgentsHeaders(t *testing.T) {
	server := newReference(t)
	server.always("/rules.yar", answer{body: "rule a { condition: true }"})
	for name, test := range map[string]struct{ flag, body string }{
		"by GET":                    {"false", ""},
		"with the key when told to": {"true", `{"node_key":"key-1"}`},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := server.agent(t, func(o *Options) { o.Flags = map[string]string{"yara_sigurl_authenticate": test.flag} })
			must(t, a.Enroll(t.Context()))
			server.keys = 0
			rules, err := a.FetchYARA(t.Context(), server.URL+"/rules.yar")
			must(t, err)
			wantContains(t, string(rules), "rule a")
			seen := server.seen("/rules.yar")
			got := seen[len(seen)-1]
			wantEqual(t, "body", got.body, test.body)
			wantEqual(t, "user agent", got.header.Get("User-Agent"), "")
			wantEqual(t, "authorization", got.header.Get("Authorization"), "")
		})
	}
	a, _ := server.agent(t, nil)
	server.always("/rules.yar", answer{status: 500, body: "rule a"})
	if _, err := a.FetchYARA(t.Context(), server.URL+"/rules.yar"); err == nil {
		t.Error("here the status counts")
	}
}

func TestYARARulesComeFromAddressesThatTheConfigAllows(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, nil)
	const address = "https://fleet.example.com:8443/yara/T/a.yar?x=1"
	if a.AllowsYARA(address) {
		t.Error("without a config nothing is allowed")
	}
	must(t, a.ApplyConfig([]byte(`{"schedule":{},"yara":{"signature_urls":["https://fleet.example.com/yara/.*","https://other.example.com/a\\.yar"]}}`)))
	for address, want := range map[string]bool{
		address: true, "https://fleet.example.com/yara/": true, "http://fleet.example.com/yara/a": false,
		"https://Fleet.example.com/yara/a": false, "https://fleet.example.com/x/yara/a": false, "https://other.example.com/a.yar": true,
		"https://other.example.com/abyar": false,
	} {
		if got := a.AllowsYARA(address); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}
