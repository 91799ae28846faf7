package pipeline

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/detect"
	"muster/server/fault"
	"muster/server/hosts"
)

// trials are over the rig, where the query "joined" reads two tables.
func (r *rig) trials() *RuleTrials {
	return &RuleTrials{Hosts: r.pipeline.Hosts, Results: r.results, Detect: r.detect, Alerts: r.alerts, Now: time.Now,
		Tables: func(_ *hosts.Host, name string) []string {
			if name == "joined" {
				return []string{"users", "process_events"}
			}
			return []string{name}
		}}
}

func leafOf(field, operator string, value any) json.RawMessage {
	return encoded(map[string]any{"condition": "AND", "rules": []any{map[string]any{"field": field, "operator": operator, "value": value}}})
}

const sigmaNetcat = "title: Netcat\nid: 1\nlogsource: {category: process_creation, product: linux}\ndetection:\n  a:\n    Image|endswith: /nc\n  condition: a\n"

func TestARuleIsTriedOnHistory(t *testing.T) {
	each(t, rigOptions{}, func(r *rig) {
		// Nobody looks while these are stored, so no rule has raised anything.
		r.pipeline.Detection = nil
		for i := range 30 {
			r.accept(r.line(map[string]string{"path": "/usr/bin/nc", "pid": fmt.Sprint(i)}))
		}
		other := r.line(map[string]string{"path": "/usr/bin/NC", "pid": "30"})
		other.Entries[0].Name = "joined"
		polled := r.line(map[string]string{"path": "/usr/bin/nc", "pid": "31"})
		polled.Entries[0].Name = "processes"
		r.accept(other, polled, r.line(map[string]string{"path": "/bin/ls"}))
		today := time.Now().UTC().Format(time.DateOnly)

		got, err := r.trials().Try(r.Context(), detect.Draft{Sigma: sigmaNetcat}, 7)
		r.ok(err)
		if got.Matches != 31 || got.Alerts != 1 || got.HostCount != 1 || len(got.Hosts) != 1 || got.Hosts[0].Host.ID != r.host.ID || got.Hosts[0].Matches != 31 || got.Truncated {
			r.Errorf("%+v", got)
		}
		if diff := cmp.Diff([]NamedCount{{"process_events", 30}, {"joined", 1}}, got.Queries); diff != "" {
			r.Error(diff)
		}
		if len(got.Days) < 1 || got.Days[len(got.Days)-1].Name != today || !got.Reach.Complete || got.Reach.Rows != 33 {
			r.Errorf("%+v, %+v", got.Days, got.Reach)
		}
		if len(got.Sample) != maxSample || got.Sample[0].Name != "joined" || len(got.Sample[0].Why) != 1 || got.Sample[0].Why[0].Actual != "/usr/bin/NC" {
			r.Errorf("%+v", got.Sample)
		}

		draft, err := r.trials().Try(r.Context(), detect.Draft{Conditions: leafOf("host_identifier", "equal", r.host.Identifier)}, 7)
		if err != nil || draft.Matches != 33 {
			r.Errorf("%d matches of the host, %v", draft.Matches, err)
		}

		rule := r.rule("nc", "path", "ends_with", "/nc")
		_, err = r.detect.AddException(r.Context(), detect.Exception{RuleID: rule.ID, Conditions: leafOf("pid", "less", 10), Reason: "known"})
		r.ok(err)
		stored, err := r.trials().Try(r.Context(), detect.Draft{RuleID: rule.ID}, 7)
		if err != nil || stored.Matches != 22 || stored.Suppressed != 10 || stored.Rule.Name != "nc" {
			r.Errorf("%+v, %v", stored, err)
		}

		r.ok(r.pipeline.Hosts.Remove(r.Context(), r.host.ID))
		if gone, err := r.trials().Try(r.Context(), detect.Draft{RuleID: rule.ID}, 7); err != nil || gone.Matches != 0 || gone.Hosts != nil {
			r.Errorf("of a host that was removed: %+v, %v", gone, err)
		}
	})
}

func TestARuleThatCannotBeTried(t *testing.T) {
	each(t, rigOptions{}, func(r *rig) {
		for sentence, c := range map[string]struct {
			draft detect.Draft
			kind  fault.Kind
			says  string
		}{
			"nothing":             {detect.Draft{}, fault.Invalid, "one of the three"},
			"two at once":         {detect.Draft{RuleID: 1, Sigma: sigmaNetcat}, fault.Invalid, "one of the three"},
			"no such rule":        {detect.Draft{RuleID: 1}, fault.NotFound, "Rule with this id does not exist"},
			"wrong conditions":    {detect.Draft{Conditions: leafOf("a", "is", "b")}, fault.Invalid, "Unsupported operator: is"},
			"wrong Sigma":         {detect.Draft{Sigma: "title: x\n"}, fault.Unprocessable, "logsource is missing"},
			"several Sigma rules": {detect.Draft{Sigma: sigmaNetcat + "---\n" + sigmaNetcat}, fault.Unprocessable, "holds 2 rules"},
			"not applicable":      {detect.Draft{Sigma: strings.Replace(sigmaNetcat, "product: linux", "product: aws", 1)}, fault.Unprocessable, "not applicable"},
		} {
			_, err := r.trials().Try(r.Context(), c.draft, 7)
			if !fault.Is(err, c.kind) || !strings.Contains(fault.Public(err), c.says) {
				r.Errorf("%s: %v", sentence, err)
			}
		}
	})
}

func TestAlertsThatMatchesWouldRaise(t *testing.T) {
	at := func(seconds ...int64) (times []int64) {
		for _, s := range seconds {
			times = append(times, s*1_000_000)
		}
		return times
	}
	for sentence, c := range map[string]struct {
		times []int64
		want  int64
	}{
		"none":                                {nil, 0},
		"one":                                 {at(5), 1},
		"those of one window":                 {at(64, 30, 5), 1},
		"the window starts with the alert":    {at(100, 64, 5), 2},
		"at the window's end comes a new one": {at(65, 5), 2},
		"nearly in order":                     {at(64, 5, 30, 200), 2},
	} {
		if got := alertsOf(c.times, time.Minute); got != c.want {
			t.Errorf("%s: %d", sentence, got)
		}
	}
}
