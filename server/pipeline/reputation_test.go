package pipeline

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/server/intel"
	"muster/server/jobs"
	"muster/server/outputs"
)

// reputationRig asks a service in this process that knows one bad hash.
type reputationRig struct {
	*retroRig
	reputation *Reputation
	lookups    *intel.Lookups
}

func newReputationRig(base *rig) *reputationRig {
	r := &reputationRig{retroRig: newRetroRig(base)}
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		risk := "low"
		if strings.HasSuffix(q.URL.Path, pastMD5) {
			risk = "high"
		}
		_, _ = fmt.Fprintf(w, `{"malware":{"risk":%q}}`, risk)
	}))
	r.Cleanup(service.Close)
	r.ok(r.intel.SetSettings(r.Context(), intel.IBMXForce, func(o *intel.ServiceSettings) { o.Address, o.PerMinute = service.URL, 6000 }))
	r.reputation = &Reputation{Raiser: r.retro.Raiser, Hosts: r.retro.Hosts, Results: r.results, Intel: r.intel, Log: r.retro.Log}
	r.lookups = r.intel.Lookups(intel.IBMXForce)
	return r
}

func (r *reputationRig) key() {
	_, _, err := r.intel.SetKeys(r.Context(), intel.Change{Set: map[intel.Provider]intel.Key{intel.IBMXForce: {Key: "k", Pass: "p"}}})
	r.ok(err)
}

// collected follows the log to its end.
func (r *reputationRig) collected() {
	r.Helper()
	ends, err := r.results.Ends(r.Context(), 0)
	r.ok(err)
	r.until("the log is followed", func() bool {
		r.ok(r.reputation.Collect(r.Context()))
		at, err := r.intel.Cursor(r.Context())
		r.ok(err)
		return at.ID >= ends.Newest
	})
}

// verdicts does the jobs of what was detected.
func (r *reputationRig) verdicts() int {
	r.Helper()
	waiting := r.waiting(intel.VerdictJob)
	for _, j := range waiting {
		r.ok(r.reputation.Verdict(r.Context(), j))
		r.ok(r.db.Write(r.Context()).Exec("DELETE FROM jobs WHERE id = ?", j.ID).Error)
	}
	return len(waiting)
}

// alerted are the alerts in short.
func (r *reputationRig) alerted() []string {
	var all []string
	for _, a := range r.raised() {
		why := decoded[[]struct{ Field string }](r.rig, a.Why)
		all = append(all, fmt.Sprint(a.Source, " ", a.Name, " ", a.Severity, " host ", a.HostID, " at ", a.Time.Unix(), " retro ", a.Retro, " ", why, " ", string(a.SourceData)))
	}
	slices.Sort(all)
	return all
}

func TestWhatServicesDetectIsRaised(t *testing.T) {
	each(t, rigOptions{}, func(base *rig) {
		r := newReputationRig(base)
		r.stored(1, 1000, "added", map[string]string{"md5": pastMD5}) // before there is a key
		r.collected()
		r.key()
		r.collected()
		r.stored(1, 2000, "added", map[string]string{"md5": newMD5, "sha256": "odd", "remote_address": "8.8.8.8"})
		r.collected()
		r.ok(r.lookups.Run(r.Context()))
		if n := r.verdicts(); n != 0 || r.alerted() != nil {
			t.Errorf("%d jobs, %v", n, r.alerted())
		}
		r.stored(1, 3000, "added", map[string]string{"md5": strings.ToUpper(pastMD5)})
		r.stored(77, 3000, "added", map[string]string{"md5": pastMD5}) // of a host that is gone
		r.stored(1, 4000, "removed", map[string]string{"md5": pastMD5})
		r.collected()
		r.ok(r.lookups.Run(r.Context()))
		if n := r.verdicts(); n != 1 {
			t.Errorf("%d jobs", n)
		}
		want := []string{"ibmxforce " + pastMD5 + ` CRITICAL host 1 at 3000 retro true [{md5}] {"family":null,"mimetype":"","risk":"high"}`}
		if diff := cmp.Diff(want, r.alerted()); diff != "" {
			t.Error(diff)
		}
		r.stored(1, 5000, "added", map[string]string{"md5": pastMD5})
		r.collected()
		if diff := cmp.Diff(want, r.alerted()); diff != "" {
			t.Errorf("seen again: %s", diff)
		}
	})
}

// What is known to be bad is raised for a host that gets it later, without a lookup.
func TestWhatIsKnownIsRaisedForOtherHosts(t *testing.T) {
	each(t, rigOptions{everyone: []string{"mail"}}, func(base *rig) {
		r := newReputationRig(base)
		r.key()
		r.collected()
		r.ok(r.intel.Offer(r.Context(), []intel.Sought{{Type: intel.MD5, Value: pastMD5}}))
		r.ok(r.lookups.Run(r.Context()))
		if n := r.verdicts(); n != 1 || r.alerted() != nil {
			t.Errorf("%d jobs, %v", n, r.alerted())
		}
		r.stored(1, 1000, "added", map[string]string{"md5": pastMD5})
		r.collected()
		want := []string{"ibmxforce " + pastMD5 + ` CRITICAL host 1 at 1000 retro false [{md5}] {"family":null,"mimetype":"","risk":"high"}`}
		if diff := cmp.Diff(want, r.alerted()); diff != "" {
			t.Error(diff)
		}
		if n := len(r.waiting(outputs.NotifyKind)); n != 1 {
			t.Errorf("%d are told", n)
		}
		r.ok(r.reputation.Verdict(r.Context(), jobs.Job{Args: json.RawMessage(`{"provider":"virustotal","type":"md5","value":"` + pastMD5 + `"}`)}))
	})
}
