package agentapi

import (
	"os"
	"strings"
	"testing"
)

func TestFlagfile(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if linux := Flagfile("linux", "fleet.example.com:8443"); !strings.Contains(string(readme), linux) {
		t.Errorf("the README has another flagfile than\n%s", linux)
	}
	for _, platform := range []string{"darwin", "windows"} {
		text := Flagfile(platform, "fleet.example.com:8443")
		for line := range strings.Lines(text) {
			line = strings.TrimRight(line, "\r\n")
			if !strings.Contains(string(readme), line) || strings.Contains(line, "{") {
				t.Errorf("%s: %s", platform, line)
			}
		}
		if strings.Contains(text, "\r\n") != (platform == "windows") {
			t.Errorf("%s has the line ends of another system", platform)
		}
	}
	for _, path := range paths {
		if !strings.Contains(flagfile, "="+path.original+"\n") {
			t.Errorf("agents are not told of %s", path.original)
		}
	}
	if text := Flagfile("amiga", "x"); text != "" {
		t.Error(text)
	}
}
