package adminapi

import (
	"testing"

	"muster/server/intel"
)

func TestServices(t *testing.T) {
	each(t, func(w *world) {
		w.expect("services", "GET", "/management/intel", nil)
		w.expect("services_set", "POST", "/management/intel", map[string]any{
			"service": "virustotal", "address": "https://mirror.example.com/vtapi/v2/", "per_minute": "10", "endpoints": true, "detected_hours": 12, "clean_hours": 48,
		})
		w.expect("services_off", "POST", "/management/intel", map[string]any{"service": "alienvault", "enabled": false})
		w.expect("services_unknown", "POST", "/management/intel", map[string]any{"service": "shodan"})
		w.expect("services_nothing", "POST", "/management/intel", map[string]any{"service": "ibmxforce", "base_url": "https://mirror.example.com/"})
		w.expect("services_bad_address", "POST", "/management/intel", map[string]any{"service": "ibmxforce", "address": "https://user:geheim@example.com"})
		_, _, err := w.deps.Intel.SetKeys(t.Context(), intel.Change{Set: map[intel.Provider]intel.Key{intel.VirusTotal: {Key: "geheim-2"}}})
		w.ok(err)
		w.ok(w.deps.Intel.Offer(t.Context(), []intel.Sought{{Type: intel.MD5, Value: aHash}}))
		w.expect("services_after", "GET", "/management/intel", nil)

		w.expect("engines", "GET", "/management/virustotal/av_engine", nil)
		w.expect("engines_set", "POST", "/management/virustotal/av_engine", map[string]any{"min_match_count": 5, "av_engines": map[string]any{"ClamAV": map[string]any{"status": true}}})
		w.expect("engines_more", "POST", "/management/virustotal/av_engine", map[string]any{"av_engines": map[string]any{"Avast": map[string]any{"status": false}}})
		w.expect("engines_after", "GET", "/management/virustotal/av_engine", nil)
		w.expect("engines_neither", "POST", "/management/virustotal/av_engine", nil)
		w.expect("engines_none", "POST", "/management/virustotal/av_engine", map[string]any{"min_match_count": 0})
		w.expect("engines_no_status", "POST", "/management/virustotal/av_engine", map[string]any{"av_engines": map[string]any{"ClamAV": true}})
		w.audited([]string{"intel.set", "intel.set", "intel.set", "intel.set"}, "geheim")
	})
}
