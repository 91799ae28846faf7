package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/agentapi/agenttest"
	"muster/server/database"
	"muster/server/database/dbtest"
)

// The way of a file of rules: uploaded, compiled in a process of its own, listed
// with its address, allowed by the config, fetched by an agent.
func TestYARARulesReachAgents(t *testing.T) {
	p := newProcess(t, dbtest.URL(t, database.SQLite), "MUSTER_AGENT_URL=https://127.0.0.1:1")
	token := signIn(t, p)
	upload := func(content string) (int, string) { return uploadYARA(p, token, "web.yar", content) }
	if status, answer := upload("rule web {\n condition: x }"); status != 422 || !strings.Contains(answer, `line 2: undefined identifier \"x\"`) {
		t.Errorf("wrong rules: %d %s", status, answer)
	}
	if status, answer := upload("rule web { condition: true }"); status != 200 {
		t.Fatalf("the upload answers %d %s", status, answer)
	}
	address := listedURL(t, p, token, "web.yar")
	agent, err := agenttest.New(agenttest.Options{Server: p.url(), RootCAs: p.roots, Secret: testSecret, Seed: 1,
		Flags: map[string]string{"yara_sigurl_authenticate": "true"}})
	for _, step := range []func(context.Context) error{agent.Enroll, agent.FetchConfig} {
		if err == nil {
			err = step(t.Context())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if !agent.AllowsYARA(address) || agent.AllowsYARA("https://127.0.0.1/other") {
		t.Errorf("the config does not allow %s, or too much", address)
	}
	rules, err := agent.FetchYARA(t.Context(), strings.Replace(address, "https://127.0.0.1:1", p.url(), 1))
	if err != nil || string(rules) != "rule web { condition: true }" {
		t.Errorf("fetched %s, %v", rules, err)
	}
	log, err := os.ReadFile(p.log.Name())
	if secret := strings.Split(address, "/")[4]; err != nil || strings.Contains(string(log), secret) {
		t.Errorf("the log shows the address: %v", err)
	}
}

func listedURL(t *testing.T, p *process, token, name string) string {
	t.Helper()
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url()+"/services/api/v1/yara/files", nil)
	request.Header.Set("x-access-token", token)
	response, err := p.client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var list struct {
		Data []struct {
			Name string `json:"file_name"`
			URL  string
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	for _, file := range list.Data {
		if file.Name == name {
			return file.URL
		}
	}
	t.Fatalf("%s is not listed: %+v", name, list)
	return ""
}

func TestYARACommand(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	good, bad, none := write("good.yar", "rule a { condition: true }"), write("bad.yar", "rule a {\n condition: x }"), write("none.yar", "// nothing")
	for sentence, c := range map[string]struct {
		args   []string
		in     string
		status int
		says   string
	}{
		"files that compile":    {[]string{good, good}, "", exitOK, ""},
		"one that does not":     {[]string{good, bad}, "", exitFailed, bad + ": line 2: undefined identifier \"x\"\n"},
		"one without rules":     {[]string{none}, "", exitFailed, none + ": it holds no rule\n"},
		"one that is not there": {[]string{dir + "/x.yar"}, "", exitFailed, "no such file"},
		"standard input":        {[]string{"-"}, "rule b { condition: false }", exitOK, ""},
		"nothing":               {nil, "", exitUsage, "name files"},
		"both":                  {[]string{"--verdict", good}, "", exitUsage, "name files"},
	} {
		t.Run(sentence, func(t *testing.T) {
			var s session
			s.in.WriteString(c.in)
			if status := s.run(t.Context(), append([]string{"yara"}, c.args...)...); status != c.status {
				t.Errorf("exit %d, want %d", status, c.status)
			}
			if got := s.err.String(); !strings.Contains(got, c.says) || (c.says == "") != (got == "") {
				t.Errorf("says %q", got)
			}
		})
	}
}

func TestAgentsAddress(t *testing.T) {
	for sentence, c := range map[string]struct {
		cfg          Config
		url, pattern string
	}{
		"what is set":               {Config{AgentURL: "https://Fleet.Example.com", Hostnames: []string{"other"}, Listen: ":8443"}, "https://fleet.example.com", "https://fleet.example.com/yara/.*"},
		"the first name":            {Config{Hostnames: []string{"fleet.example.com", "other"}, Listen: ":8443"}, "https://fleet.example.com:8443", "https://fleet.example.com/yara/.*"},
		"the port that agents have": {Config{Hostnames: []string{"fleet.example.com"}, Listen: ":8443", AgentListen: "10.0.0.1:9000"}, "https://fleet.example.com:9000", "https://fleet.example.com/yara/.*"},
	} {
		t.Run(sentence, func(t *testing.T) {
			a := &app{cfg: c.cfg}
			if got := fmt.Sprint(a.signatureURLs()); a.agentURL() != c.url || got != "["+c.pattern+"]" {
				t.Errorf("%s %s", a.agentURL(), got)
			}
		})
	}
}

// uploadYARA uploads a file of rules.
func uploadYARA(p *process, token, name, content string) (int, string) {
	p.Helper()
	var form bytes.Buffer
	writer := multipart.NewWriter(&form)
	part, err := writer.CreateFormFile("file", name)
	if err == nil {
		_, err = part.Write([]byte(content))
	}
	if err != nil || writer.Close() != nil {
		p.Fatal(err)
	}
	request, _ := http.NewRequestWithContext(p.Context(), http.MethodPost, p.url()+"/services/api/v1/yara/add", &form)
	request.Header.Set("Content-Type", writer.FormDataContentType())
	request.Header.Set("x-access-token", token)
	response, err := p.client().Do(request)
	if err != nil {
		p.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer bytes.Buffer
	_, _ = answer.ReadFrom(response.Body)
	return response.StatusCode, answer.String()
}
