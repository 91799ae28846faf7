package adminapi

import (
	"testing"
)

// documentIOCs is the document's own example, with what are no hashes.
var documentIOCs = map[string]any{
	"test-intel_ipv4":        map[string]any{"type": "remote_address", "severity": "WARNING", "intel_type": "self", "values": "3.30.1.15,3.30.1.16"},
	"test-intel_domain_name": map[string]any{"type": "domain_name", "severity": "WARNING", "intel_type": "self", "values": "unknown.com,slackabc.com"},
	"test-intel_md5":         map[string]any{"type": "md5", "severity": "INFO", "intel_type": "self", "values": "3h8dk0sksm0,9sd772ndd80"},
}

func TestIOCs(t *testing.T) {
	one := func(entry any) map[string]any {
		return map[string]any{"data": map[string]any{"bad": entry, "a good one": documentIOCs["test-intel_ipv4"]}}
	}
	ioc := func(of, severity string, values any) map[string]any {
		return one(map[string]any{"type": of, "severity": severity, "values": values})
	}
	each(t, func(w *world) {
		w.expect("iocs_none", "GET", "/iocs", nil)
		w.expect("iocs_add", "POST", "/iocs/add", map[string]any{"data": documentIOCs})
		w.expect("iocs", "GET", "/iocs", nil)
		for name, body := range map[string]map[string]any{
			"no_object":    one("md5"),
			"no_values":    one(map[string]any{"type": "md5", "severity": "INFO"}),
			"no_value":     ioc("md5", "INFO", " , "),
			"a_number":     ioc("md5", "INFO", []any{1}),
			"unknown_type": ioc("colour", "INFO", "red"),
			"bad_severity": ioc("md5", "BAD", "44d88612fea8a8f36de82e1278abb02f"),
			"bad_value":    ioc("remote_address", "INFO", "192.0.2.1, 192.0.2.256"),
			"whole_world":  ioc("remote_address", "INFO", "0.0.0.0/0"),
		} {
			w.expect("iocs_"+name, "POST", "/iocs/add", body)
		}
		w.expect("iocs_no_data", "POST", "/iocs/add", map[string]any{"data": "x"})
		w.expect("iocs", "GET", "/iocs", nil)
		w.expect("iocs_trimmed", "POST", "/iocs/add", map[string]any{"data": map[string]any{
			"spaced": map[string]any{"type": "domain_name", "severity": "critical", "values": " .Evil.example , www.evil.example\n"},
			"listed": map[string]any{"type": "path", "severity": "LOW", "values": []string{"/tmp/a,b"}},
		}})
		w.expect("iocs_after", "GET", "/iocs", nil)
		w.expect("iocs_cleared", "POST", "/iocs/add", map[string]any{"data": map[string]any{}})
		w.expect("iocs_none", "GET", "/iocs", nil)
		w.audited([]string{"iocs.set", "iocs.set", "iocs.set"})
	})
}
