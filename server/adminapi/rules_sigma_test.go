package adminapi

import (
	"io"
	"strings"
	"testing"

	"muster/server/detect"
)

const (
	sigmaShell = `title: Shell
id: 11111111-0000-4000-8000-000000000000
status: test
level: critical
description: A shell
tags: [attack.execution, attack.t1059.004]
logsource: {category: process_creation, product: linux}
detection:
  selection:
    Image|endswith: /sh
  condition: selection
`
	sigmaCloud  = "title: Cloud\nid: 2\nlogsource: {product: aws}\ndetection:\n  a: {eventName: x}\n  condition: a\n"
	sigmaBroken = "title: Broken\nid: 3\nlogsource: {category: process_creation, product: linux}\ndetection:\n  a: {Image: x}\n  condition: b\n"
)

// importedSigma imports a file of Sigma rules and compares the answer.
func (w *world) importedSigma(golden, content string, more map[string]any) {
	w.t.Helper()
	response := w.ask(example{method: "POST", path: "/rules/sigma/import", file: &upload{"all.yml", content}, send: more})
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	w.ok(err)
	w.described(response, body)
	w.golden(golden, response.StatusCode, body)
}

func TestSigmaRulesAreImported(t *testing.T) {
	each(t, func(w *world) {
		all := strings.Join([]string{sigmaShell, sigmaCloud, sigmaBroken}, "---\n")
		w.importedSigma("sigma_import", all, nil)
		w.expect("sigma_rule", "GET", "/rules/1", nil)
		w.expect("sigma_source", "GET", "/rules/1/source", nil)
		w.expect("sigma_again", "POST", "/rules/sigma/import", map[string]any{"rules": sigmaShell})
		w.expect("sigma_update", "POST", "/rules/sigma/import", map[string]any{"rules": strings.Replace(sigmaShell, "/sh", "/bash", 1), "status": "inactive"})

		// What is sent back as it was shown leaves it a Sigma rule; other conditions do not.
		rule, err := w.deps.Detect.Find(t.Context(), 1)
		w.ok(err)
		w.expect("sigma_edit", "POST", "/rules/1", map[string]any{"name": "Shells", "conditions": object(rule.Conditions), "status": "INACTIVE"})
		w.expect("sigma_edit_conditions", "POST", "/rules/1", map[string]any{"name": "Shells", "conditions": leaf("path", "equal", "/bin/sh")})
		w.expect("sigma_no_source", "GET", "/rules/1/source", nil)
		if got := w.trail("rule."); got != "rule.edit Shells, rule.edit Shells, rule.update Shell, rule.import , rule.import all.yml" {
			t.Errorf("the trail says %s", got)
		}
		w.expect("sigma_audit", "POST", "/audit", map[string]any{"action": "rule.update"})
	})
}

func TestASigmaImportIsTried(t *testing.T) {
	each(t, func(w *world) {
		w.importedSigma("sigma_dry", strings.Join([]string{sigmaShell, sigmaCloud, sigmaBroken}, "---\n"), map[string]any{"dry_run": true})
		w.expect("rules_none", "POST", "/rules", nil)
		if got := w.trail("rule."); got != "" {
			t.Errorf("the trail says %s", got)
		}
	})
}

func TestSigmaImportsThatAreRefused(t *testing.T) {
	each(t, func(w *world) {
		w.expect("sigma_missing", "POST", "/rules/sigma/import", nil)
		w.importedSigma("sigma_both", sigmaShell, map[string]any{"rules": sigmaShell})
		w.expect("sigma_wrong_status", "POST", "/rules/sigma/import", map[string]any{"rules": sigmaShell, "status": "on"})
		w.importedSigma("sigma_large", strings.Repeat("#", detect.MaxImport+1), nil)
		w.importedSigma("sigma_binary", "MZ\x00\xff", nil)
		w.importedSigma("sigma_no_yaml", "title: [", nil)
		w.importedSigma("sigma_nothing", "# nothing\n", nil)
		w.expect("rules_none", "POST", "/rules", nil)
	})
}
