package alerts

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// several raises an alert a minute: of rule 7 on host 1, of rule 8 on host 2, of
// an indicator on host 1, of a service on host 1, and of rule 7 on host 3, which
// was removed. It returns their ids.
func (r *rig) several() []int64 {
	r.t.Helper()
	other, threat, service := finding(2), finding(1), finding(1)
	other.RuleID, other.Group, other.Name, other.Severity, other.TechniqueIDs, other.QueryName = 8, "rule:8", "50% of_it", "CRITICAL", []string{"T1003"}, "socket_events"
	threat.Source, threat.RuleID, threat.Group, threat.Name, threat.Severity, threat.TechniqueIDs = Indicator, 0, "ioc:9", "Evil Corp", "INFO", nil
	service.Source, service.RuleID, service.Group, service.SourceData, service.QueryName = VirusTotal, 0, "virustotal:x", json.RawMessage(`{"positives":5}`), ""
	var ids []int64
	for _, f := range []Finding{finding(1), other, threat, service, finding(3)} {
		ids = append(ids, r.raised(f)[0].Alert.ID)
		r.now = r.now.Add(time.Minute)
	}
	return ids
}

func TestList(t *testing.T) {
	yes, no := true, false
	each(t, func(r *rig) {
		ctx := r.t.Context()
		ids := r.several()
		start := r.now.Add(-5 * time.Minute)
		if _, err := r.SetStatus(ctx, ids[1:2], Handling{Resolved, TruePositive}, Note{}); err != nil {
			r.t.Fatal(err)
		}
		_, err := r.Assign(ctx, ids[2:3], "alice", Note{})
		r.ok(err)
		for sentence, c := range map[string]struct {
			filter Filter
			want   []int // places in ids
			total  int
		}{
			"all of hosts that are active, the newest first": {Filter{}, []int{3, 2, 1, 0}, 4},
			"of a source":               {Filter{Source: Rule}, []int{1, 0}, 2},
			"resolved ones":             {Filter{Resolved: &yes}, []int{1}, 1},
			"those not resolved":        {Filter{Resolved: &no}, []int{3, 2, 0}, 3},
			"by status":                 {Filter{Status: Open}, []int{3, 2, 0}, 3},
			"by verdict":                {Filter{Verdict: TruePositive}, []int{1}, 1},
			"by ids":                    {Filter{IDs: []int64{ids[0], ids[2], 1 << 40}}, []int{2, 0}, 2},
			"within a window":           {Filter{From: start.Add(time.Minute), To: start.Add(3 * time.Minute)}, []int{2, 1}, 2},
			"of a host":                 {Filter{HostID: 2}, []int{1}, 1},
			"of a removed host":         {Filter{HostID: 3}, nil, 0},
			"of a rule":                 {Filter{RuleID: 7}, []int{0}, 1},
			"of a query":                {Filter{QueryName: "socket_events"}, []int{1}, 1},
			"of a sub-technique":        {Filter{Technique: "T1059.004"}, []int{3, 0}, 2},
			"of its technique":          {Filter{Technique: "T1059"}, []int{3, 0}, 2},
			"of another technique":      {Filter{Technique: "T105"}, nil, 0},
			"by severity":               {Filter{Severity: "CRITICAL"}, []int{1}, 1},
			"of somebody":               {Filter{Assignee: "alice"}, []int{2}, 1},
			"of nobody":                 {Filter{Assignee: Nobody}, []int{3, 1, 0}, 3},
			"search in names":           {Filter{Search: "evil c"}, []int{2}, 4},
			"search knows no wildcards": {Filter{Search: "%_"}, nil, 4},
			"search a percent sign":     {Filter{Search: "50% OF_"}, []int{1}, 4},
			"search in severities":      {Filter{Search: "info"}, []int{2}, 4},
			"search in host names":      {Filter{Search: "WEB-2"}, []int{1}, 4},
			"search in times":           {Filter{Search: "2026-03-01 12:01:0"}, []int{1}, 4},
			"search within a filter":    {Filter{Search: "web", Source: Rule}, []int{1, 0}, 2},
			"search what is not text":   {Filter{Search: "\x00\xff"}, nil, 4},
			"a filter that is no text":  {Filter{QueryName: "\x00\xff"}, nil, 0},
			"a page":                    {Filter{Start: 1, Limit: 2}, []int{2, 1}, 4},
		} {
			rows, count, total, err := r.List(ctx, c.filter)
			r.ok(err)
			var got []int
			for _, a := range rows {
				got = append(got, slices.Index(ids, a.ID))
			}
			matched := len(c.want)
			if c.filter.Limit > 0 {
				matched = 4
			}
			if !slices.Equal(got, c.want) || count != matched || total != c.total {
				r.t.Errorf("%s: %v, count %d, total %d", sentence, got, count, total)
			}
		}
	})
}

func TestCounts(t *testing.T) {
	each(t, func(r *rig) {
		ctx := r.t.Context()
		ids := r.several()
		r.raised(finding(1))
		_, err := r.Resolve(ctx, ids[1:2], Note{})
		r.ok(err)
		no := false
		got, err := r.CountBySource(ctx, Filter{Resolved: &no})
		r.ok(err)
		want := map[Source]map[string]int{Rule: {"WARNING": 2}, Indicator: {"INFO": 1}, VirusTotal: {"WARNING": 1}}
		if diff := cmp.Diff(want, got); diff != "" {
			r.t.Error(diff)
		}
		renamed := finding(2)
		renamed.Name = "Another name"
		r.raised(renamed)
		top, err := r.Top(ctx, Filter{}, 2)
		r.ok(err)
		wantTop := Top{
			Rules: []RuleCount{{7, "Another name", 3}, {8, "50% of_it", 1}}, Hosts: []HostCount{{1, 4}, {2, 2}},
			Queries: []QueryCount{{"process_events", 4}, {"socket_events", 1}},
		}
		if diff := cmp.Diff(wantTop, top); diff != "" {
			r.t.Error(diff)
		}
		byRule, err := r.CountByRule(ctx)
		r.ok(err)
		if diff := cmp.Diff(map[int64]int{7: 3}, byRule); diff != "" {
			r.t.Error(diff)
		}
		top, err = r.Top(ctx, Filter{Search: strings.Repeat("x", 10), HostID: 99}, 5)
		if r.ok(err); top.Rules == nil || top.Hosts == nil || top.Queries == nil || len(top.Hosts) != 0 {
			r.t.Errorf("of nothing: %+v", top)
		}
	})
}
