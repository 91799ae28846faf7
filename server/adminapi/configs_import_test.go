package adminapi

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// fleetConfig is a config of another fleet, in osquery's own format.
const fleetConfig = "// a fleet's config\n" + `{
  "options": {"verbose": true, "logger_plugin": "tls"},
  "schedule": {"uptime": {"query": "select * from \
uptime", "interval": "600", "owner": "ops"}},
  "packs": {"inner": {"queries": {"q": {"query": "select 2", "interval": 60}}}, "elsewhere": "/etc/x.conf"},
  "decorators": {"load": ["select 1 as one"]},
  "file_paths": {"etc": ["/etc/%%"]}, // watched
}`

// imported sends a file with a config.
func (w *world) imported(file, content string, args map[string]any) (int, []byte) {
	w.t.Helper()
	response := w.ask(example{method: "POST", path: "/configs/import", file: &upload{file, content}, send: args})
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	w.ok(err)
	w.described(response, body)
	return response.StatusCode, body
}

func TestImportOfAConfig(t *testing.T) {
	each(t, func(w *world) {
		w.fewQueries()
		linux := map[string]any{"platform": "linux", "tags": "lab"}
		expect := func(golden, file, content string, args map[string]any) {
			t.Helper()
			status, body := w.imported(file, content, args)
			w.golden(golden, status, body)
		}
		noted := w.auditCount()
		expect("config_import_dry", "fleet.conf", fleetConfig, map[string]any{"platform": "linux", "tags": "lab", "dry_run": true})
		if w.auditCount() != noted {
			t.Error("a dry run is in the audit trail")
		}
		expect("config_import", "Fleet.conf", fleetConfig, linux)
		w.expect("config_import_versions", "POST", "/configs/versions", linux)
		w.expect("config_import_version", "POST", "/configs/version", map[string]any{"platform": "linux", "version": 3})
		w.expect("config_import_audit", "GET", "/audit?action=config.import", nil)
		w.actions("pack.upload")
		const options = "config:\n  options: {verbose: true}\noverrides:\n  platforms:\n    darwin:\n      options: {verbose: false}\n"
		expect("config_import_added", "agent options.yml", options, map[string]any{"platform": "darwin", "arch": "arm64", "tags": "lab"})
		expect("config_import_shallow", "x.yaml", options, map[string]any{"platform": "windows", "type": "default"})
	})
}

func TestImportOfAConfigThatIsRefused(t *testing.T) {
	each(t, func(w *world) {
		linux := map[string]any{"platform": "linux"}
		before, noted := w.configVersions(), w.auditCount()
		refused := func(golden, file, content string, args map[string]any) {
			t.Helper()
			status, body := w.imported(file, content, args)
			w.golden(golden, status, body)
		}
		refused("config_import_platform", "x.conf", fleetConfig, nil)
		refused("config_import_ending", "x.exe", fleetConfig, linux)
		refused("config_import_json", "x.conf", "{\n\"options\": nothing}", linux)
		refused("config_import_pack", "x.conf", `{"queries":{"q":{"query":"select 1"}}}`, linux)
		refused("config_import_sql", "x.conf", `{"schedule":{"q":{"query":"select from"}},"packs":{"fresh":{"queries":{"q":{"query":"select 1"}}}}}`, linux)
		refused("config_import_tag", "x.conf", fleetConfig, map[string]any{"platform": "linux", "tags": strings.Repeat("x", 1000)})
		refused("config_import_large", "x.conf", `{"x":"`+strings.Repeat("x", 5<<20)+`"}`, linux)
		w.expect("config_import_missing", "POST", "/configs/import", linux)
		if !slices.Equal(w.configVersions(), before) || w.auditCount() != noted {
			t.Error("something was changed")
		}
		if status, body := w.do("GET", "/packs/fresh", nil); status != http.StatusNotFound {
			t.Errorf("a pack is left behind: %s", body)
		}
	})
}

// configVersions is the version of every config.
func (w *world) configVersions() []string {
	w.t.Helper()
	var versions []string
	for platform, archs := range w.allConfigs() {
		for arch, types := range archs {
			for number, config := range types {
				text, err := json.Marshal([]any{platform, arch, number, config.Version})
				w.ok(err)
				versions = append(versions, string(text))
			}
		}
	}
	slices.Sort(versions)
	return versions
}
