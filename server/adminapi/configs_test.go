package adminapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

var configTypes = []string{"default", "shallow", "deep"}

// fewQueries leaves one query in every config, so that the golden files do not
// follow what ships.
func (w *world) fewQueries() {
	w.t.Helper()
	for platform, archs := range w.allConfigs() {
		for arch, types := range archs {
			for number, config := range types {
				queries := map[string]any{}
				for name := range config.Queries {
					if name != "osquery_info" {
						queries[name] = map[string]any{"remove": true}
					}
				}
				status, body := w.do("POST", "/configs/update", map[string]any{"platform": platform, "arch": arch,
					"type": configTypes[number[0]-'0'], "queries": queries, "filters": map[string]any{}, "options": map[string]any{}})
				if status != http.StatusOK {
					w.t.Fatalf("%d %s", status, body)
				}
			}
		}
	}
}

func (w *world) allConfigs() map[string]map[string]map[string]configItem {
	w.t.Helper()
	var all struct {
		Data map[string]map[string]map[string]configItem
	}
	_, body := w.do("GET", "/configs/all", nil)
	w.ok(json.Unmarshal(body, &all))
	return all.Data
}

func TestConfigs(t *testing.T) {
	each(t, func(w *world) {
		linux := func(more map[string]any) map[string]any {
			all := map[string]any{"platform": "linux", "arch": "x86_64", "type": "default"}
			for name, value := range more {
				all[name] = value
			}
			return all
		}
		w.fewQueries()
		w.expect("configs", "GET", "/configs/all", nil)
		w.expect("config_view", "POST", "/configs/view", map[string]any{"platform": "windows", "arch": "x86_64"})
		w.expect("config_view_host", "POST", "/configs/view", map[string]any{"host_identifier": "11111111-AAAA-4AAA-8AAA-111111111111"})
		w.expect("config_view_no_host", "POST", "/configs/view", map[string]any{"host_identifier": "nobody"})
		w.expect("config_view_missing", "POST", "/configs/view", map[string]any{"arch": "x86_64"})
		w.expect("config_view_wrong", "POST", "/configs/view", map[string]any{"platform": "beos", "arch": "x86_64"})
		w.expect("config_view_none", "POST", "/configs/view", map[string]any{"platform": "linux", "arch": "arm64"})
		w.expect("config_update", "POST", "/configs/update", linux(map[string]any{
			"queries": map[string]any{
				"osquery_info": map[string]any{"status": true, "interval": "600"},
				"extension":    map[string]any{"status": false, "interval": 60, "query": "SELECT a FROM my_extension;", "description": "Ours"},
				"unknown":      map[string]any{"status": true, "interval": 60},
			},
			"filters": map[string]any{"file_paths": map[string]any{"etc": []string{"/etc/%%"}}}, "comment": "faster",
		}))
		w.expect("config_update_missing", "POST", "/configs/update", map[string]any{"queries": map[string]any{}})
		w.expect("config_update_half", "POST", "/configs/update", linux(map[string]any{"queries": map[string]any{"osquery_info": map[string]any{"status": true}}, "filters": map[string]any{}}))
		w.expect("config_update_wrong", "POST", "/configs/update", linux(map[string]any{
			"queries": map[string]any{"bad": map[string]any{"status": true, "interval": 60, "query": "SELECT 1 FRM users"}}, "filters": map[string]any{}}))
		w.expect("config_update_unknown", "POST", "/configs/update", linux(map[string]any{"arch": "x86", "queries": map[string]any{}, "filters": map[string]any{}}))
		w.expect("config_versions", "POST", "/configs/versions", linux(nil))
		w.expect("config_version", "POST", "/configs/version", linux(map[string]any{"version": 3}))
		w.expect("config_version_unknown", "POST", "/configs/version", linux(map[string]any{"version": 9}))
		w.expect("config_restore", "POST", "/configs/restore", linux(map[string]any{"version": 2, "comment": "back"}))
		w.expect("config_restore_unknown", "POST", "/configs/restore", linux(map[string]any{"version": 9}))
		w.expect("config_add", "POST", "/configs/add", linux(map[string]any{"arch": "arm64"}))
		w.expect("config_add_again", "POST", "/configs/add", linux(map[string]any{"arch": "arm64"}))
		w.expect("config_toggle", "PUT", "/configs/toggle", map[string]any{"platform": "windows", "arch": "x86_64", "type": "deep"})
		w.expect("config_toggle_none", "PUT", "/configs/toggle", linux(map[string]any{"type": "deep"}))
		w.expect("config_toggle_missing", "PUT", "/configs/toggle", linux(map[string]any{"type": nil}))
		w.expect("config_toggled", "POST", "/configs/view", map[string]any{"platform": "windows", "arch": "x86_64"})
	})
}

// What a client reads of a config and sends back changes nothing.
func TestConfigsComeBackAsTheyAre(t *testing.T) {
	each(t, func(w *world) {
		for platform, archs := range w.allConfigs() {
			for arch, types := range archs {
				for number, config := range types {
					_, body := w.do("POST", "/configs/update", map[string]any{"platform": platform, "arch": arch,
						"type": configTypes[number[0]-'0'], "queries": config.Queries, "filters": config.Filters, "options": config.Options})
					var got configUpdated
					w.ok(json.Unmarshal(body, &got))
					if got.Data.Version != 1 || len(got.Ignored) > 0 || len(got.Data.Queries) != len(config.Queries) {
						t.Errorf("%s %s %s: %s", platform, arch, number, body)
					}
				}
			}
		}
	})
}

func TestConfigOfAHost(t *testing.T) {
	each(t, func(w *world) {
		w.fewQueries()
		status, body := w.do("POST", "/packs/add", map[string]any{"name": "lab", "tags": "lab", "queries": map[string]any{
			"here": map[string]any{"query": "SELECT 1;", "interval": 60}, "there": map[string]any{"query": "SELECT 2;", "interval": 60, "platform": "windows"}}})
		if status != http.StatusOK {
			t.Fatalf("%s", body)
		}
		if status, body = w.do("POST", "/queries/add", map[string]any{"name": "tagged", "query": "SELECT 3;", "interval": 60, "tags": "lab"}); status != http.StatusOK {
			t.Fatalf("%s", body)
		}
		w.expect("config_host", "POST", "/hosts/config", map[string]any{"node_id": 1})
		w.expect("config_host_more", "POST", "/hosts/additional_config", map[string]any{"node_id": 1})
		w.expect("config_host_more_neither", "POST", "/hosts/additional_config", nil)
		w.expect("config_host_more_unknown", "POST", "/hosts/additional_config", map[string]any{"host_identifier": "nobody"})
		w.expect("config_host_explain", "GET", "/hosts/1/config/explain", nil)
		w.expect("config_host_explain_unknown", "GET", "/hosts/9/config/explain", nil)
	})
}

func TestDryRun(t *testing.T) {
	each(t, func(w *world) {
		w.fewQueries()
		versions := func() string {
			var text []string
			for platform, archs := range w.allConfigs() {
				for arch, types := range archs {
					for number, config := range types {
						text = append(text, fmt.Sprint(platform, arch, number, config.Version, config.Status))
					}
				}
			}
			slices.Sort(text)
			return strings.Join(text, ", ")
		}
		before, noted := versions(), w.auditCount()
		dry := func(args map[string]any) map[string]any { args["dry_run"] = true; return args }
		w.expect("dry_update", "POST", "/configs/update", dry(map[string]any{"platform": "linux", "queries": map[string]any{
			"osquery_info": map[string]any{"status": false, "interval": 60}, "new": map[string]any{"status": true, "interval": 60, "query": "SELECT 1;"}},
			"filters": map[string]any{"events": map[string]any{}}, "options": map[string]any{"verbose": true}}))
		w.expect("dry_update_wrong", "POST", "/configs/update", dry(map[string]any{"platform": "linux", "queries": map[string]any{
			"osquery_info": map[string]any{"status": true, "interval": -1}}, "filters": map[string]any{}}))
		w.expect("dry_nothing", "POST", "/configs/add", dry(map[string]any{"platform": "linux", "arch": "arm64"}))
		w.expect("dry_restore_unknown", "POST", "/configs/restore", dry(map[string]any{"platform": "linux", "version": 7}))
		status, body := w.do("PUT", "/configs/toggle", dry(map[string]any{"platform": "windows", "arch": "x86_64", "type": "deep"}))
		if status != http.StatusOK || !strings.Contains(string(body), "Dry run: nothing was changed") {
			t.Errorf("%d %s", status, body)
		}
		if after := versions(); after != before || w.auditCount() != noted {
			t.Errorf("something was changed: %s", after)
		}
	})
}

func (w *world) auditCount() int {
	w.t.Helper()
	var trail struct {
		Data struct {
			Count int `json:"count"`
		}
	}
	_, body := w.do("POST", "/audit", nil)
	w.ok(json.Unmarshal(body, &trail))
	return trail.Data.Count
}
