package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheMappingOfAnOperator(t *testing.T) {
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "mapping.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if m, err := sigmaMapping(""); m != nil || err != nil {
		t.Errorf("none: %v, %v", m, err)
	}
	if m, err := sigmaMapping(file("targets:\n- for: [{category: file_event}]\n  tables: [file_events]\n  fields: {TargetFilename: target_path}\n")); m == nil || err != nil {
		t.Errorf("a sound one: %v, %v", m, err)
	}
	for path, says := range map[string]string{file("x: y\n"): "The mapping is wrong", filepath.Join(t.TempDir(), "none"): "no such file"} {
		if _, err := sigmaMapping(path); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "sigma_mapping") {
			t.Errorf("%v", err)
		}
	}
}
