package agenttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// written is the body of a distributed/write.
type written struct {
	Queries  map[string][]map[string]string
	Statuses map[string]int
	Messages map[string]string
}

func writes(t *testing.T, server *reference) []written {
	t.Helper()
	var all []written
	for _, r := range server.seen("/distributed/write") {
		var w written
		must(t, json.Unmarshal([]byte(r.body), &w))
		all = append(all, w)
	}
	return all
}

// once makes an endpoint give an answer to the first request only.
func once(a answer) func(request) answer {
	given := false
	return func(request) answer {
		if given {
			return answer{body: `{}`}
		}
		given = true
		return a
	}
}

func TestLiveQueriesAreAnsweredTogether(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, nil)
	server.on("/distributed/read", once(answer{body: `{"queries":{"b":"select 1 as n","a":"select 2 as n, 3 as n"}}`}))
	must(t, a.PollDistributed(t.Context()))
	must(t, a.PollDistributed(t.Context()))
	got := writes(t, server)
	wantEqual(t, "writes", len(got), 1)
	wantEqual(t, "rows", fmt.Sprint(got[0].Queries), "map[a:[map[n:3]] b:[map[n:1]]]")
	wantEqual(t, "answers", a.Stats().Answers, 2)
}

func TestWhatAReadMakesAnAgentDo(t *testing.T) {
	for name, test := range map[string]struct {
		body    string
		queries string // ids answered
		wait    time.Duration
	}{
		"nothing": {`{}`, "", time.Minute},
		"a query": {`{"queries":{"a":"select 1"}}`, "a", time.Minute},
		"a discovery with rows lets its query run": {`{"queries":{"a":"select 1"},"discovery":{"a":"select 1 from users"}}`, "a", time.Minute},
		"one without skips it silently":            {`{"queries":{"a":"select 1","b":"select 1"},"discovery":{"a":"select 1 from users where uid=7777"}}`, "b", time.Minute},
		"one that fails rejects everything":        {`{"queries":{"a":"select 1","b":"select 1"},"discovery":{"a":"select 1 from nowhere"},"accelerate":60}`, "", time.Minute},
		"one without a query is harmless":          {`{"queries":{"b":"select 1"},"discovery":{"a":"select 1"}}`, "b", time.Minute},
		"accelerate is obeyed":                     {`{"accelerate":60}`, "", 5 * time.Second},
		"as a text it is not":                      {`{"accelerate":"60"}`, "", time.Minute},
		"an empty query ends the reading":          {`{"queries":{"a":"select 1","b":"","c":"select 1"},"accelerate":60}`, "a", time.Minute},
		"a query that is no text ends it":          {`{"queries":{"a":"select 1","b":7,"c":"select 1"},"accelerate":60}`, "a", time.Minute},
		"an error fails":                           {`{"error":"busy","queries":{"a":"select 1"}}`, "", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			server := newReference(t)
			a, _ := server.agent(t, nil)
			server.always("/distributed/read", answer{body: test.body})
			_ = a.PollDistributed(t.Context())
			var ids []string
			for _, w := range writes(t, server) {
				for _, id := range []string{"a", "b", "c"} {
					if _, ok := w.Queries[id]; ok {
						ids = append(ids, id)
					}
				}
			}
			wantEqual(t, "answered", strings.Join(ids, ","), test.queries)
			wantEqual(t, "next read", a.distributedWait(), test.wait)
		})
	}
}

func TestAnswersAreKeptUntilTheyAreTaken(t *testing.T) {
	server := newReference(t)
	a, clock := server.agent(t, nil)
	server.on("/distributed/read", once(answer{body: `{"queries":{"a":"select 1 as n"}}`}))
	server.always("/distributed/write", answer{status: 500, body: `{"error":"busy"}`})
	if err := a.PollDistributed(t.Context()); err == nil {
		t.Error("no failure")
	}
	wantEqual(t, "attempts", len(server.seen("/distributed/write")), 3)
	wantEqual(t, "waits", fmt.Sprint(clock.Slept()), "[1s 4s]")
	server.on("/distributed/read", once(answer{body: `{"queries":{"a":"select 2 as n","b":"select 3 as n"}}`}))
	server.on("/distributed/write", nil)
	must(t, a.PollDistributed(t.Context()))
	got := writes(t, server)
	wantEqual(t, "merged", fmt.Sprint(got[3].Queries), "map[a:[map[n:2]] b:[map[n:3]]]")
	wantEqual(t, "answers", a.Stats().Answers, 2)
}

func TestAnswersDieWithTheProcessButQueriesDoNot(t *testing.T) {
	server := newReference(t)
	a, _ := server.agent(t, nil)
	server.on("/distributed/read", once(answer{body: `{"queries":{"a":"select 1 as n","b":"select 2 as n","c":"select 3 as n"}}`}))
	ran := 0
	a.opt.Chaos.Crash = func(step Step) bool {
		if step == StepDistributed {
			ran++
		}
		return step == StepDistributed && ran == 2 // while b runs
	}
	if err := a.PollDistributed(t.Context()); !errors.Is(err, ErrCrashed) {
		t.Fatalf("got %v", err)
	}
	if err := a.PollDistributed(t.Context()); err == nil {
		t.Error("a dead agent polls")
	}
	a.Restart()
	server.on("/distributed/read", once(answer{body: `{"queries":{"d":"select 2 as n","e":"select  2 as n"}}`}))
	must(t, a.PollDistributed(t.Context()))
	got := writes(t, server)
	wantEqual(t, "writes", len(got), 1)
	wantEqual(t, "answers", fmt.Sprint(got[0].Queries), "map[c:[map[n:3]] d:[] e:[map[n:2]]]")
	wantEqual(t, "the SQL that killed it", got[0].Messages["d"], "distributed query is denylisted")
	wantEqual(t, "its status", got[0].Statuses["d"], 1)
}

func TestTheDenylistExpires(t *testing.T) {
	server := newReference(t)
	a, clock := server.agent(t, nil)
	server.always("/distributed/read", answer{body: `{"queries":{"a":"select 1 as n"}}`})
	a.opt.Chaos.Crash = func(step Step) bool { return step == StepDistributed }
	_ = a.PollDistributed(t.Context())
	a.opt.Chaos.Crash = nil
	a.Restart()
	must(t, a.PollDistributed(t.Context()))
	must(t, clock.Sleep(t.Context(), 24*time.Hour))
	must(t, a.PollDistributed(t.Context()))
	got := writes(t, server)
	wantEqual(t, "status on the same day", got[0].Statuses["a"], 1)
	wantEqual(t, "status on the next", got[1].Statuses["a"], 0)
}
