package pipeline

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/alerts"
	"muster/server/indicator"
	"muster/server/intel"
	"muster/server/jobs"
	"muster/server/outputs"
	"muster/server/results"
	"muster/server/seal"
)

const (
	pastMD5 = "44d88612fea8a8f36de82e1278abb02f"
	newMD5  = "00000000000000000000000000000001"
)

// retroRig is the pipeline with indicators that look back.
type retroRig struct {
	*rig
	intel *intel.Store
	retro *Retro
}

func newRetroRig(r *rig) *retroRig {
	box, err := seal.New(make([]byte, seal.KeySize))
	r.ok(err)
	store := intel.New(r.db, box, r.bus, r.pipeline.Log, intel.Options{Jobs: r.jobs, RetroAfter: time.Millisecond})
	r.ok(store.Load(r.Context()))
	return &retroRig{rig: r, intel: store, retro: &Retro{
		Raiser: r.pipeline.Detection.Raiser, Hosts: r.pipeline.Hosts, Results: r.results, Intel: store, Log: r.pipeline.Log,
	}}
}

func bad(of indicator.Type, value, threat string) intel.NewIndicator {
	return intel.NewIndicator{Type: of, Value: value, ThreatName: threat, Severity: "CRITICAL", Confidence: 80}
}

func (r *retroRig) feed(name string, all ...intel.NewIndicator) {
	r.Helper()
	_, err := r.intel.Import(r.Context(), intel.Import{Feed: name, Indicators: all})
	r.ok(err)
}

// stored stores a row of the host at a time on the agent's clock.
func (r *retroRig) stored(host, at int64, action string, columns map[string]string) {
	r.Helper()
	r.lines++
	_, err := r.results.Append(r.Context(), []results.Line{{Key: results.LineKey(host, at, fmt.Append(nil, r.lines), 0), Entries: []results.Entry{
		{HostID: host, Name: "socket_events", Action: action, Columns: encoded(columns), UnixTime: at},
	}}})
	r.ok(err)
}

func (r *retroRig) work() intel.RetroRun {
	r.Helper()
	r.ok(r.retro.Work(r.Context(), jobs.Job{}))
	runs, err := r.intel.RetroRuns(r.Context())
	r.ok(err)
	if len(runs) == 0 {
		return intel.RetroRun{}
	}
	run := runs[0]
	if run.Ended.Before(run.Started) {
		r.Errorf("the run has not ended: %+v", run)
	}
	run.Started, run.Ended, run.From = time.Time{}, time.Time{}, time.Time{}
	return run
}

func TestNewIndicatorsAreLookedForInThePast(t *testing.T) {
	for _, indexed := range []bool{false, true} {
		t.Run(fmt.Sprintf("indexed %v", indexed), func(t *testing.T) {
			each(t, rigOptions{everyone: []string{"mail"}}, func(base *rig) {
				r := newRetroRig(base)
				for at := range int64(3) {
					r.stored(1, 1000+at, "added", map[string]string{"md5": pastMD5, "n": fmt.Sprint(at)})
				}
				r.stored(1, 2000, "removed", map[string]string{"md5": newMD5})
				r.stored(77, 2000, "added", map[string]string{"md5": newMD5}) // of a host that is gone
				r.stored(1, 3000, "added", map[string]string{"domain_name": ".www.evil.example", "remote_address": "192.0.2.77"})
				if indexed {
					r.ok(r.results.ObserveAll(r.Context()))
				}
				r.feed("feed", bad(intel.MD5, pastMD5, "eicar"), bad(intel.MD5, newMD5, "none"), bad(intel.Domain, "evil.example", "evil"),
					bad(intel.Address, "192.0.2.0/24", "net"), bad(intel.Path, "/never/seen", "none"))
				if waiting := r.waiting(intel.RetroJob); len(waiting) != 1 {
					t.Errorf("%d jobs wait", len(waiting))
				}
				if diff := cmp.Diff(intel.RetroRun{Indicators: 5, Sightings: 5, Alerts: 3, Rows: 6, Complete: true}, r.work()); diff != "" {
					t.Error(diff)
				}
				r.looked(map[string]string{
					"eicar": `socket_events 1002 3 [{md5 is_indicator ` + pastMD5 + `}]`,
					"evil":  `socket_events 3000 1 [{domain_name is_indicator evil.example}]`,
					"net":   `socket_events 3000 1 [{remote_address is_indicator 192.0.2.0/24}]`,
				})
				if n := len(r.waiting(outputs.NotifyKind)); n != 3 {
					t.Errorf("%d are told", n)
				}
			})
		})
	}
}

// looked compares the alerts by their threat: the row, the sightings, why.
func (r *retroRig) looked(want map[string]string) {
	r.Helper()
	got := map[string]string{}
	for _, a := range r.raised() {
		data := decoded[struct {
			Sightings int       `json:"sightings"`
			First     time.Time `json:"first_seen"`
			Last      time.Time `json:"last_seen"`
		}](r.rig, a.SourceData)
		why := decoded[[]struct{ Field, Operator, Value string }](r.rig, a.Why)
		got[a.Name] = fmt.Sprint(a.QueryName, " ", a.Time.Unix(), " ", data.Sightings, " ", why)
		if !a.Retro || a.Source != alerts.Indicator || a.Severity != "CRITICAL" || data.Last.Unix() != a.Time.Unix() || data.First.Unix() != a.Time.Unix()-int64(data.Sightings-1) {
			r.Errorf("%s: %+v %+v", a.Name, a, data)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.Error(diff)
	}
}

func TestAPastSightingIsRaisedOnce(t *testing.T) {
	each(t, rigOptions{}, func(base *rig) {
		r := newRetroRig(base)
		r.stored(1, 1000, "added", map[string]string{"md5": pastMD5})
		names := func() (all []string) {
			for _, a := range r.raised() {
				all = append(all, a.Name)
			}
			slices.Sort(all)
			return all
		}
		steps := []struct {
			sentence string
			do       func()
			names    []string
		}{
			{"imported", func() { r.feed("one", bad(intel.MD5, pastMD5, "first")) }, []string{"first"}},
			{"again", func() { r.feed("one", bad(intel.MD5, pastMD5, "first")) }, []string{"first"}},
			{"under another name and by another feed", func() { r.feed("two", bad(intel.MD5, pastMD5, "second")) }, []string{"first"}},
			{"deleted and imported", func() {
				for _, feed := range []string{"one", "two"} {
					_, err := r.intel.DeleteFeed(r.Context(), feed)
					r.ok(err)
				}
				r.feed("one", bad(intel.MD5, pastMD5, "first"))
			}, []string{"first"}},
			{"a new host had it", func() {
				_, err := r.intel.SetSelf(r.Context(), []intel.NewIndicator{bad(intel.Domain, "x.example", "x")})
				r.ok(err)
			}, []string{"first"}},
		}
		for _, step := range steps {
			step.do()
			r.work()
			if diff := cmp.Diff(step.names, names()); diff != "" {
				t.Errorf("%s: %s", step.sentence, diff)
			}
		}
		if n := r.count("jobs WHERE kind = 'intel.retro'"); n != 1 {
			t.Errorf("%d jobs wait", n)
		}
	})
}

// Without the time to look at rows one by one, names themselves are still found.
func TestALookBackWithoutTimeIsNotComplete(t *testing.T) {
	each(t, rigOptions{}, func(base *rig) {
		r := newRetroRig(base)
		r.retro.Walk = time.Nanosecond
		r.stored(1, 1000, "added", map[string]string{"domain_name": "evil.example"})
		r.feed("one", bad(intel.Domain, "evil.example", "evil"), bad(intel.Address, "192.0.2.0/24", "net"))
		if diff := cmp.Diff(intel.RetroRun{Indicators: 2, Sightings: 1, Alerts: 1}, r.work()); diff != "" {
			t.Error(diff)
		}
	})
}
