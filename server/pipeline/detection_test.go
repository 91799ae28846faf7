package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/rules"
	"muster/server/alerts"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/detect"
	"muster/server/hosts"
	"muster/server/intel"
	"muster/server/jobs"
	"muster/server/outputs"
	"muster/server/results"
)

func TestARowThatMeetsARuleRaisesAnAlertInItsCommit(t *testing.T) {
	each(t, rigOptions{}, func(r *rig) {
		rule := r.rule("nc", "path", "ends_with", "/nc")
		bad := r.line(map[string]string{"path": "/usr/bin/nc", "cmdline": "nc -l 4444"})
		r.accept(r.line(map[string]string{"path": "/bin/ls"}), bad)
		r.accept(bad) // sent again
		r.accept(r.line(map[string]string{"path": "/tmp/NC"}))

		raised := r.raised()
		if len(raised) != 1 {
			r.Fatalf("%d alerts", len(raised))
		}
		a := raised[0]
		if a.Source != alerts.Rule || a.RuleID != rule.ID || a.Name != "nc" || a.Severity != detect.Critical || a.EventCount != 2 || a.HostID != r.host.ID {
			r.Errorf("the alert is %+v", a)
		}
		row, err := r.results.Find(r.Context(), []int64{a.ResultID})
		if r.ok(err); len(row) != 1 || cmp.Diff(decoded[map[string]string](r, row[0].Columns), decoded[map[string]string](r, a.Columns)) != "" {
			r.Errorf("the alert names row %v", row)
		}
		wantWhy := []why{{Field: "path", Operator: "ends_with", Value: "/nc", Actual: "/usr/bin/nc"}}
		if diff := cmp.Diff(wantWhy, decoded[[]why](r, a.Why)); diff != "" {
			r.Error(diff)
		}
		told := []string{}
		for _, j := range r.waiting(outputs.NotifyKind) {
			n := decoded[outputs.NotifyArgs](r, j.Args)
			if n.AlertID != a.ID || n.EventID == 0 {
				r.Errorf("the job is %+v", n)
			}
			told = append(told, n.Alerter)
		}
		slices.Sort(told)
		if diff := cmp.Diff([]string{"debug", "hook"}, told); diff != "" {
			r.Error(diff)
		}
	})
}

func TestARowThatHoldsIndicatorsRaisesAnAlertForEach(t *testing.T) {
	each(t, rigOptions{everyone: []string{"mail"}}, func(r *rig) {
		_, err := r.intel.SetSelf(r.Context(), []intel.NewIndicator{
			{Type: intel.Domain, Value: "evil.example", ThreatName: "bad domain", Severity: detect.Warning},
			{Type: intel.Address, Value: "192.0.2.0/24", ThreatName: "bad network", Severity: detect.Critical, Confidence: 80},
		})
		r.ok(err)
		r.ok(r.intel.Load(r.Context()))
		r.accept(r.line(map[string]string{"domain_name": ".www.Evil.example", "remote_address": "192.0.2.7"}), r.line(map[string]string{"domain_name": "notevil.example"}))
		raised := r.raised()
		slices.SortFunc(raised, func(a, b alerts.Alert) int { return strings.Compare(a.Name, b.Name) })
		if len(raised) != 2 || raised[0].Name != "bad domain" || raised[1].Severity != detect.Critical || raised[1].Source != alerts.Indicator || raised[0].RuleID != 0 {
			r.Fatalf("raised %+v", raised)
		}
		wantWhy := []why{{Field: "remote_address", Operator: "is_indicator", Value: "192.0.2.0/24", Actual: "192.0.2.7"}}
		if diff := cmp.Diff(wantWhy, decoded[[]why](r, raised[1].Why)); diff != "" {
			r.Error(diff)
		}
		if data := decoded[map[string]any](r, raised[1].SourceData); data["confidence"] != 80.0 || data["feed"] != "self" {
			r.Errorf("it says %v", data)
		}
		if told := r.waiting(outputs.NotifyKind); len(told) != 2 || decoded[outputs.NotifyArgs](r, told[0].Args).Alerter != "mail" {
			r.Errorf("told %+v", told)
		}
	})
}

func TestAlertsThatCannotBeRaisedCostNoRowAndComeLater(t *testing.T) {
	each(t, rigOptions{}, func(r *rig) {
		r.rule("nc", "path", "ends_with", "/nc")
		r.ok(r.db.Write(r.Context()).Exec("ALTER TABLE alert_events RENAME TO gone").Error)
		r.accept(r.line(map[string]string{"path": "/bin/nc"}), r.line(map[string]string{"path": "/bin/ls"}))
		if rows, left := r.count("results"), len(r.waiting(ReplayJob)); rows != 2 || left != 1 || r.count("alerts") != 0 {
			r.Fatalf("%d rows, %d replays, %d alerts", rows, left, r.count("alerts"))
		}
		r.ok(r.db.Write(r.Context()).Exec("ALTER TABLE gone RENAME TO alert_events").Error)
		r.replay()
		if raised := r.raised(); len(raised) != 1 || raised[0].EventCount != 1 {
			r.Errorf("raised %+v", raised)
		}
	})
}

func TestARowThatTakesTooLongIsStoredAndEvaluatedLaterOnce(t *testing.T) {
	each(t, rigOptions{detect: detect.Options{Budget: time.Nanosecond}}, func(r *rig) {
		// Large enough to be looked at in steps, and stopped before the match.
		r.rule("nc", "path", "matches_regex", "^[ab]{300}nc")
		r.accept(r.line(map[string]string{"path": strings.Repeat("a", 300) + "nc" + strings.Repeat("x", 20_000)}))
		if rows, left := r.count("results"), len(r.waiting(ReplayJob)); rows != 1 || left != 1 {
			r.Fatalf("%d rows, %d replays", rows, left)
		}
		job := r.waiting(ReplayJob)[0]
		for range 2 { // a job may be done twice
			r.ok(r.pipeline.Detection.Replay(r.Context(), job))
		}
		if raised := r.raised(); len(raised) != 1 || raised[0].EventCount != 1 {
			r.Errorf("raised %+v", raised)
		}
	})
}

func TestAStormOfMatchesIsRaisedInParts(t *testing.T) {
	each(t, rigOptions{}, func(r *rig) {
		r.rule("all", "path", "begins_with", "/")
		lines := make([]int, maxRaised+maxReplayed+10)
		batch := r.line(map[string]string{"path": "/0"})
		for i := range lines[1:] {
			batch.Entries = append(batch.Entries, r.line(map[string]string{"path": fmt.Sprint("/", i)}).Entries...)
		}
		r.accept(batch)
		if at := r.raised(); len(at) != 1 || at[0].EventCount != maxRaised || len(r.waiting(ReplayJob)) != 2 {
			r.Fatalf("at once: %+v, %d replays", at, len(r.waiting(ReplayJob)))
		}
		r.replay()
		if raised := r.raised(); len(raised) != 1 || raised[0].EventCount != len(lines) {
			r.Errorf("in the end: %+v", raised)
		}
	})
}

func TestRowsThatManyRulesMeetAreRaisedInParts(t *testing.T) {
	for sentence, c := range map[string]struct {
		rules, rows, atOnce int
		path                string
	}{
		"findings count, and not rows":      {rules: 3, rows: 250, atOnce: 166, path: "/bin/nc"},
		"so does how much there is of them": {rules: 2, rows: 30, atOnce: 20, path: "/" + strings.Repeat("a", 200<<10)},
		"a row may leave all to the replay": {rules: maxRaised + 1, rows: 1, atOnce: 0, path: "/bin/nc"},
	} {
		t.Run(sentence, func(t *testing.T) {
			each(t, rigOptions{}, func(r *rig) {
				r.rules(c.rules)
				batch := r.line(map[string]string{"path": c.path})
				for range c.rows - 1 {
					batch.Entries = append(batch.Entries, r.line(map[string]string{"path": c.path}).Entries...)
				}
				r.accept(batch)
				if got := r.count("alert_events"); got != c.atOnce*c.rules {
					r.Errorf("%d events at once, want %d", got, c.atOnce*c.rules)
				}
				for range 2 { // a job may be done twice
					r.replay()
				}
				if got := r.count("alert_events"); got != c.rows*c.rules {
					r.Errorf("%d events in the end, want %d", got, c.rows*c.rules)
				}
			})
		})
	}
}

// rules stores so many rules that every path meets.
func (r *rig) rules(n int) {
	r.Helper()
	conditions := encoded(map[string]any{"condition": "AND", "rules": []any{map[string]any{"field": "path", "operator": "begins_with", "value": "/"}}})
	for i := range n {
		_, err := r.detect.Add(r.Context(), detect.Rule{Name: fmt.Sprint("rule ", i), Severity: detect.Info, Conditions: conditions})
		r.ok(err)
	}
	r.ok(r.detect.Refresh(r.Context()))
}

func TestARowThatMeetsNothingCostsNoMemory(t *testing.T) {
	if raced {
		t.Skip("pools forget things then")
	}
	r := newRig(t, dbtest.Open(t, database.SQLite), rigOptions{detect: detect.Options{Shipped: rules.Files}})
	_, err := r.intel.SetSelf(r.Context(), []intel.NewIndicator{{Type: intel.Domain, Value: "evil.example", ThreatName: "bad", Severity: detect.Warning}})
	r.ok(err)
	r.ok(r.intel.Load(r.Context()))
	tables := []string{"process_events"}
	r.pipeline.Detection.Tables = func(*hosts.Host, string) []string { return tables }
	lines := []results.Line{r.line(map[string]string{
		"path": "/usr/bin/git", "cmdline": "git status --short", "parent_path": "/usr/bin/zsh", "cwd": "/home/ann/src", "uid": "1000",
		"remote_address": "192.0.2.7", "domain": "git.example", "sha256": strings.Repeat("0a", 32),
	})}
	look := func() { r.pipeline.Detection.look(r.host, lines) }
	if n := testing.AllocsPerRun(200, look); n > 0 || lines[0].Entries[0].Finding != nil {
		t.Errorf("%v allocations, found %+v", n, lines[0].Entries[0].Finding)
	}
}

func TestWhatIsNoObjectIsStoredAsItCame(t *testing.T) {
	each(t, rigOptions{}, func(r *rig) {
		r.rule("nc", "path", "is_empty", "")
		line := r.line(nil)
		line.Entries[0].Columns = []byte(`["no object"]`)
		r.accept(line)
		if r.count("results") != 1 || len(r.raised()) != 0 {
			r.Errorf("%d rows, %d alerts", r.count("results"), len(r.raised()))
		}
	})
}

// replay does the jobs of that kind.
func (r *rig) replay() {
	r.Helper()
	for _, job := range r.waiting(ReplayJob) {
		r.ok(r.pipeline.Detection.Replay(r.Context(), jobs.Job{ID: job.ID, Args: job.Args}))
	}
}
