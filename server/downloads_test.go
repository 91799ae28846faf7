package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDownloadsHoldNoSecrets(t *testing.T) {
	root := t.TempDir()
	data := filepath.Join(root, "data")
	for _, folder := range []string{"data/certs", "data/downloads", "files", "database"} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(data, filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	for sentence, c := range map[string]struct {
		downloads string
		ok        bool
	}{
		"the default":                        {"", true},
		"a folder elsewhere":                 {filepath.Join(root, "files"), true},
		"a folder that is not there yet":     {filepath.Join(root, "files/new"), true},
		"a folder with a name like it":       {filepath.Join(root, "database"), true},
		"a folder below the default":         {filepath.Join(data, "downloads/public"), true},
		"the data folder":                    {data, false},
		"the folder around it":               {root, false},
		"the root of everything":             {"/", false},
		"the folder of certificates":         {filepath.Join(data, "certs"), false},
		"a folder in it with a similar name": {filepath.Join(data, "downloads2"), false},
		"a link to the data folder":          {filepath.Join(root, "link"), false},
		"a link to its certificates":         {filepath.Join(root, "link/certs"), false},
		"a way around":                       {filepath.Join(data, "downloads/../certs"), false},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := loadConfig(cmdServe, nil, []string{"MUSTER_DATA=" + data, "MUSTER_DOWNLOADS=" + c.downloads})
			if c.ok != (err == nil) || (err != nil && !strings.Contains(err.Error(), "downloads")) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWhatInstallersFetch(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{
		Data: dir, DatabaseURL: "sqlite://" + dir + "/muster.db", Downloads: filepath.Join(dir, "downloads"), Listen: "127.0.0.1:0", AgentListen: "127.0.0.1:0",
		Hostnames: []string{"fleet.example.com"}, AdminPassword: testPassword, EncryptionKey: bytes.Repeat([]byte{1}, 32),
	}
	a, err := newApp(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer a.release()
	if _, err := os.Stat(filepath.Join(dir, "secrets.key")); !os.IsNotExist(err) {
		t.Errorf("a key was made beside the one that was given: %v", err)
	}
	if err := os.WriteFile(filepath.Join(cfg.Downloads, "setup.sh"), []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, handler := range map[string]http.Handler{"people's listener": a.mainRoutes(), "agents' listener": a.agentRoutes()} {
		for path, want := range map[string]string{
			"/downloads/setup.sh": "#!/bin/sh", "/downloads/certificate.crt": "-----BEGIN CERTIFICATE", "/downloads/darwin/osquery.flags": "--tls_hostname=fleet.example.com:",
		} {
			if status, body := get(handler, path); status != 200 || !strings.HasPrefix(body, want) {
				t.Errorf("%s at the %s: %d %s", path, name, status, body)
			}
		}
		for _, path := range []string{"/downloads/../enroll_secret", "/downloads/%2e%2e/enroll_secret", "/downloads/..%2fenroll_secret", "/downloads/%2e%2e/services/api/v1/login"} {
			if status, body := get(handler, path); status == 200 || strings.Contains(body, "-----BEGIN") || strings.Contains(body, "missing") {
				t.Errorf("%s at the %s: %d %s", path, name, status, body)
			}
		}
	}
	if status, _ := get(a.agentRoutes(), "/services/api/v1/downloads/setup.sh"); status != 404 {
		t.Errorf("the API at the agents' listener: %d", status)
	}
}

func get(handler http.Handler, path string) (int, string) {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

func TestTheServerMakesItsKey(t *testing.T) {
	dir := t.TempDir()
	a, err := newApp(t.Context(), Config{Data: dir, DatabaseURL: "sqlite://" + dir + "/muster.db", Listen: "127.0.0.1:0", AdminPassword: testPassword}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	a.release()
	info, err := os.Stat(filepath.Join(dir, "secrets.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
