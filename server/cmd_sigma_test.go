package main

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/server/database"
	"muster/server/database/dbtest"
)

const goodRule = `title: Netcat
logsource: {product: linux, category: process_creation}
detection: {s: {Image|endswith: /nc}, f: {Company: x}, condition: s and not f}
`

const otherRules = "title: Web\nlogsource: {category: webserver}\ndetection: {s: [x], condition: s}\n" +
	"---\ntitle: \"Wrong \\e[1m\"\nlogsource: {product: linux, category: process_creation}\ndetection:\n  s: {Image|ends: x}\n  condition: s\n"

// rulesFolder holds two files of rules and one that is none.
func rulesFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	write(t, folder, "a.yml", goodRule)
	write(t, folder, "b.yaml", otherRules)
	write(t, folder, "notes.txt", "no rule")
	return folder
}

func TestSigmaCheckSaysWhatBecomesOfEachRule(t *testing.T) {
	folder := rulesFolder(t)
	var s session
	if status := s.run(t.Context(), "sigma", "check", folder, "--warnings"); status != exitFailed {
		t.Errorf("exit %d", status)
	}
	want := `F/a.yml:1: Netcat: process_events
    field Company is not in table process_events: alternatives and exceptions that ask for it were left out
F/b.yaml:1: Web: not applicable: no table reports logsource category=webserver
F/b.yaml:8: Wrong ` + "\uFFFD" + `[1m: failed: there is no modifier "ends"
`
	if diff := cmp.Diff(want, strings.ReplaceAll(s.out.String(), folder, "F")); diff != "" {
		t.Error(diff)
	}
	if got := s.err.String(); got != "1 translated, 1 not applicable, 1 failed\n" {
		t.Errorf("%q", got)
	}
}

func TestSigmaCheckOfWhatIsFine(t *testing.T) {
	mapping := write(t, t.TempDir(), "mapping.yaml", "targets: [{for: [{category: webserver}], tables: [web_log]}]")
	for name, test := range map[string]struct {
		in, want string
		args     []string
	}{
		"standard input":         {goodRule, "-:1: Netcat: process_events\n", nil},
		"with a mapping":         {strings.SplitAfter(otherRules, "---\n")[0], "-:1: Web: web_log\n", []string{"--mapping", mapping}},
		"nothing at all":         {"", "", nil},
		"what is not applicable": {strings.SplitAfter(otherRules, "---\n")[0], "-:1: Web: not applicable: no table reports logsource category=webserver\n", nil},
	} {
		var s session
		s.in.WriteString(test.in)
		if status := s.run(t.Context(), append([]string{"sigma", "check", "-"}, test.args...)...); status != exitOK || s.out.String() != test.want {
			t.Errorf("%s: exit %d, %q %q", name, status, s.out.String(), s.err.String())
		}
	}
}

func TestSigmaRefusesWhatItCannotDo(t *testing.T) {
	folder := rulesFolder(t)
	for name, test := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"no word":               {nil, exitUsage, "say check or import"},
		"no file":               {[]string{"check"}, exitUsage, "say check or import"},
		"another word":          {[]string{"chek", "none.yml"}, exitUsage, `there is no word "chek": say check or import`},
		"a check that is dry":   {[]string{"check", folder, "--dry-run"}, exitUsage, "the arguments fit none of its forms"},
		"a mapping for imports": {[]string{"import", folder, "--mapping", "x"}, exitUsage, "the arguments fit none of its forms"},
		"a file that is not":    {[]string{"check", filepath.Join(folder, "none.yml")}, exitFailed, "no such file"},
		"a mapping that is not": {[]string{"check", folder, "--mapping", "none.yaml"}, exitFailed, "--mapping: open none.yaml"},
		"a folder without any":  {[]string{"check", t.TempDir()}, exitFailed, "holds no files *.yml or *.yaml"},
	} {
		var s session
		if status := s.run(t.Context(), append([]string{"sigma"}, test.args...)...); status != test.status || !strings.Contains(s.err.String(), test.says) {
			t.Errorf("%s: exit %d, %q", name, status, s.err.String())
		}
	}
}

// importAPI is the part of the API that an import talks to: it answers each request
// in turn and keeps what was asked.
func importAPI(t *testing.T, answers ...string) (environ []string, asked *[]map[string]any) {
	t.Helper()
	asked = &[]map[string]any{}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request map[string]any
		if r.URL.Path != "/services/api/v1/rules/sigma/import" || bearer(r) != "good" || json.NewDecoder(r.Body).Decode(&request) != nil || len(*asked) == len(answers) {
			reply(w, 400, `{"status":"failure","message":"Not this"}`)
			return
		}
		*asked = append(*asked, request)
		reply(w, 200, answers[len(*asked)-1])
	}))
	t.Cleanup(server.Close)
	ca := write(t, t.TempDir(), "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	return []string{"MUSTER_TOKEN=good", "MUSTER_SERVER=" + server.URL, "MUSTER_CA=" + ca}, asked
}

func TestSigmaImportPrintsTheServersReport(t *testing.T) {
	folder := rulesFolder(t)
	environ, asked := importAPI(t, `{"status":"success","message":"","data":{
		"imported":[{"id":7,"name":"Netcat","tables":["process_events"]}],"updated":[{"id":3,"name":"Old","tables":["a","b"]}],"unchanged":[{"id":4,"name":"Same","tables":["a"]}],
		"not_applicable":[{"name":"Web","reason":"no table","line":5}],"failed":[{"name":"","reason":"no modifier","line":13}]}}`)
	s := session{environ: environ}
	if status := s.run(t.Context(), "sigma", "import", folder, "--dry-run"); status != exitFailed {
		t.Errorf("exit %d: %s", status, s.err.String())
	}
	want := `imported: Netcat: process_events
updated: Old: a, b
F/b.yaml:1: Web: not applicable: no table
F/b.yaml:8: (no title): failed: no modifier
`
	if diff := cmp.Diff(want, strings.ReplaceAll(s.out.String(), folder, "F")); diff != "" {
		t.Error(diff)
	}
	if got := s.err.String(); got != "1 imported, 1 updated, 1 unchanged, 1 not applicable, 1 failed\ndry run: nothing was changed\n" {
		t.Errorf("%q", got)
	}
	if len(*asked) != 1 || (*asked)[0]["rules"] != goodRule+"\n---\n"+otherRules || (*asked)[0]["dry_run"] != true {
		t.Errorf("asked for %q", *asked)
	}
}

func TestSigmaImportSendsManyFilesInSeveralRequests(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"a.yml", "b.yml", "c.yml"} {
		write(t, folder, name, goodRule+"# "+strings.Repeat(name, 100_000))
	}
	const none = `{"status":"success","message":"","data":{"imported":[],"updated":[],"not_applicable":[],"failed":[]}}`
	environ, asked := importAPI(t, none, none)
	s := session{environ: environ}
	if status := s.run(t.Context(), "sigma", "import", folder); status != exitOK || len(*asked) != 2 {
		t.Errorf("exit %d, %d requests: %s", status, len(*asked), s.err.String())
	}
	environ, _ = importAPI(t, none)
	s = session{environ: environ}
	if status := s.run(t.Context(), "sigma", "import", folder); status != exitFailed || !strings.Contains(s.err.String(), "Not this") {
		t.Errorf("the second request is refused: exit %d: %s", status, s.err.String())
	}
}

// On the server's own machine, with a token made in its database.
func TestSigmaImportIntoAServer(t *testing.T) {
	p := newProcess(t, dbtest.URL(t, database.SQLite))
	folder := rulesFolder(t)
	environ := []string{"MUSTER_DATA=" + p.dir, "MUSTER_DATABASE_URL=" + p.dbURL, "MUSTER_LISTEN=" + p.address}
	for i, step := range []struct {
		args []string
		want string
	}{
		{[]string{"--dry-run"}, "1 imported, 0 updated, 0 unchanged, 1 not applicable, 1 failed\ndry run: nothing was changed\n"},
		{nil, "1 imported, 0 updated, 0 unchanged, 1 not applicable, 1 failed\n"},
		{nil, "0 imported, 0 updated, 1 unchanged, 1 not applicable, 1 failed\n"},
	} {
		s := session{environ: environ}
		status := s.run(t.Context(), append([]string{"sigma", "import", folder}, step.args...)...)
		if status != exitFailed || s.err.String() != step.want {
			t.Errorf("step %d: exit %d, %s%s", i, status, s.out.String(), s.err.String())
		}
		if want := folder + "/b.yaml:8: Wrong"; !strings.Contains(s.out.String(), want) {
			t.Errorf("step %d: %q does not tell %q", i, s.out.String(), want)
		}
	}
}
