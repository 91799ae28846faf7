package agentapi

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The start page shows the same flags, and the same places for each platform.
func TestTheStartPageShowsTheFlagfile(t *testing.T) {
	page, err := os.ReadFile("../web/index.html")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("../web/assets/start.js")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(page), `<pre id="flags">`)
	shown, _, _ = strings.Cut(shown, "</pre>")
	shown = regexp.MustCompile(`<[^>]*>`).ReplaceAllString(shown, "") + "\n"
	if diff := cmp.Diff(Flagfile("linux", "muster.example.com:8443"), shown); diff != "" {
		t.Errorf("the start page shows other flags (- flagfile, + page):\n%s", diff)
	}
	for _, platform := range []string{"linux", "darwin", "windows"} {
		for line := range strings.Lines(Flagfile(platform, "x")) {
			name, path, _ := strings.Cut(strings.TrimSpace(line), "=")
			if name != "--tls_server_certs" && name != "--enroll_secret_path" {
				continue
			}
			if quoted := strings.ReplaceAll(path, `\`, `\\`); !strings.Contains(string(script), `"`+quoted+`"`) {
				t.Errorf("%s: the start page does not know %s", platform, path)
			}
		}
	}
}

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
