package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// write makes a file below dir and returns its path.
func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// flags makes the layer of the command line.
func flags(pairs ...string) layer {
	told := layer{}
	for i := 0; i < len(pairs); i += 2 {
		told[pairs[i]] = given{value: pairs[i+1], origin: "--" + flagName(pairs[i])}
	}
	return told
}

func TestPrecedence(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "other.yaml", "listen: file:1\nlog_level: warn\nretention_live: 3\n")
	secret := write(t, dir, "secret", "from a file\n")
	for sentence, c := range map[string]struct {
		flags   layer
		environ []string
		get     func(Config) any
		want    any
	}{
		"nothing said: the default":            {nil, nil, func(c Config) any { return c.Listen }, ":8443"},
		"the file comes before the default":    {flags("config", file), nil, func(c Config) any { return c.Listen }, "file:1"},
		"the environment names the file":       {nil, []string{"MUSTER_CONFIG=" + file}, func(c Config) any { return c.LogLevel }, slog.LevelWarn},
		"the environment comes before it":      {flags("config", file), []string{"MUSTER_LISTEN=env:1"}, func(c Config) any { return c.Listen }, "env:1"},
		"the flag comes before both":           {flags("config", file, "listen", "flag:1"), []string{"MUSTER_LISTEN=env:1"}, func(c Config) any { return c.Listen }, "flag:1"},
		"an empty variable counts as not set":  {flags("config", file), []string{"MUSTER_LISTEN="}, func(c Config) any { return c.Listen }, "file:1"},
		"an empty flag is a value":             {flags("agent_listen", ""), []string{"MUSTER_AGENT_LISTEN=:1"}, func(c Config) any { return c.AgentListen }, ""},
		"days are days":                        {flags("config", file), nil, func(c Config) any { return c.RetentionLive }, 3 * day},
		"a secret from the environment":        {nil, []string{"MUSTER_ADMIN_PASSWORD=direct"}, func(c Config) any { return c.AdminPassword }, "direct"},
		"a secret from a file":                 {nil, []string{"MUSTER_ADMIN_PASSWORD_FILE=" + secret}, func(c Config) any { return c.AdminPassword }, "from a file"},
		"a flag's file before the environment": {flags("admin_password_file", secret), []string{"MUSTER_ADMIN_PASSWORD=direct"}, func(c Config) any { return c.AdminPassword }, "from a file"},
		"the database URL from a file":         {nil, []string{"MUSTER_DATABASE_URL_FILE=" + write(t, dir, "url", "postgres://u:p@h/d")}, func(c Config) any { return c.DatabaseURL }, "postgres://u:p@h/d"},
		"the database is below data":           {flags("data", "/srv/muster"), nil, func(c Config) any { return c.DatabaseURL }, "sqlite:///srv/muster/muster.db"},
		"a list with commas":                   {nil, []string{"MUSTER_HOSTNAMES=a.example, 10.0.0.1,"}, func(c Config) any { return c.Hostnames }, []string{"a.example", "10.0.0.1"}},
		"a size with a unit":                   {nil, []string{"MUSTER_MAX_CARVE_SIZE=2MiB"}, func(c Config) any { return c.MaxCarveSize }, int64(2 << 20)},
		"a key in hexadecimal":                 {nil, []string{"MUSTER_ENCRYPTION_KEY=" + strings.Repeat("0a", 32)}, func(c Config) any { return c.EncryptionKey }, bytes.Repeat([]byte{10}, 32)},
		"downloads are below data":             {flags("data", "/srv/muster"), nil, func(c Config) any { return c.Downloads }, "/srv/muster/downloads"},
		"retention may be for ever":            {nil, []string{"MUSTER_RETENTION_RESULTS=0"}, func(c Config) any { return c.RetentionResults }, time.Duration(0)},
		"a typo in the environment is named":   {nil, []string{"MUSTER_LISTENN=:1", "MUSTER_PORT=tcp://1", "MUSTER_TEST_POSTGRES=x", "OTHER=1"}, func(c Config) any { return c.Ignored }, []string{"MUSTER_LISTENN"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			cfg, err := loadConfig(cmdServe, c.flags, c.environ)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, c.get(cfg)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFileInDataFolder(t *testing.T) {
	dir := t.TempDir()
	environ := []string{"MUSTER_DATA=" + dir}
	cfg, err := loadConfig(cmdServe, nil, environ)
	if err != nil || cfg.File != "" {
		t.Fatalf("without a file: %q, %v", cfg.File, err)
	}
	file := write(t, dir, "muster.yaml", "# a comment\nhostnames:\n  - a.example\n  - b.example\nlog_format: json\norigins:\n")
	cfg, err = loadConfig(cmdServe, nil, environ)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.File != file || cfg.LogFormat != "json" || !cmp.Equal(cfg.Hostnames, []string{"a.example", "b.example"}) || cfg.Origins != nil {
		t.Errorf("got %+v", cfg)
	}
	write(t, dir, "muster.yaml", "data: /elsewhere\n")
	if _, err = loadConfig(cmdServe, nil, environ); err == nil || !strings.Contains(err.Error(), "data cannot be set") {
		t.Errorf("a file that moves its own folder: %v", err)
	}
}

func TestWrongSettings(t *testing.T) {
	dir := t.TempDir()
	secret, empty := write(t, dir, "secret", "s3cret"), write(t, dir, "empty", "\n")
	inFile := func(content string) layer {
		return flags("config", write(t, t.TempDir(), "muster.yaml", content))
	}
	for sentence, c := range map[string]struct {
		flags   layer
		environ []string
		want    []string // parts of the message
	}{
		"a flag is named":                      {flags("listen", "8443"), nil, []string{"listen", "8443", "--listen", "HOST:PORT"}},
		"a variable is named":                  {nil, []string{"MUSTER_LOG_LEVEL=loud"}, []string{"log_level", "loud", "MUSTER_LOG_LEVEL", "debug, info, warn or error"}},
		"a line of the file is named":          {inFile("listen: :1\nretention_live: -1\n"), nil, []string{"retention_live", "-1", "muster.yaml:2"}},
		"an unknown key is named":              {inFile("listen: :1\nlisten_on: :2\n"), nil, []string{"muster.yaml:2", "listen_on", "no setting"}},
		"config is no key":                     {inFile("config: x\n"), nil, []string{"config", "no setting"}},
		"a key twice":                          {inFile("listen: :1\nlisten: :2\n"), nil, []string{"muster.yaml:2", "listen", "twice"}},
		"a mapping is no value":                {inFile("listen:\n  port: 1\n"), nil, []string{"muster.yaml:1", "listen", "single value"}},
		"a list of lists is no list":           {inFile("origins:\n  - [a]\n"), nil, []string{"origins", "single values"}},
		"a file that is a list":                {inFile("- listen\n"), nil, []string{"muster.yaml", "log_level: debug"}},
		"a file that is no YAML":               {inFile("a: b: c\n"), nil, []string{"muster.yaml", "mapping"}},
		"a named file must be there":           {flags("config", filepath.Join(dir, "none")), nil, []string{"config", "none"}},
		"a port too large":                     {flags("listen", ":99999"), nil, []string{"listen", "port"}},
		"a size of nothing":                    {flags("max_log_body", "0"), nil, []string{"max_log_body", "size"}},
		"a size that overflows":                {flags("max_log_body", "9999999999GiB"), nil, []string{"max_log_body", "size"}},
		"a proxy that is a name":               {flags("trusted_proxies", "10.0.0.1,proxy"), nil, []string{"trusted_proxies", "network"}},
		"a folder that is not absolute":        {flags("destination_paths", "/var/log/muster,logs"), nil, []string{"destination_paths", "absolute"}},
		"an origin with a path":                {flags("origins", "https://a.example/x"), nil, []string{"origins", "https://HOST"}},
		"a format of our own":                  {flags("log_format", "xml"), nil, []string{"log_format", "text or json"}},
		"a certificate without its key":        {flags("tls_cert", "a.pem"), nil, []string{"tls_cert", "tls_key"}},
		"two listeners at one address":         {flags("agent_listen", ":8443"), nil, []string{"agent_listen", "listen"}},
		"metrics need their own address":       {flags("metrics_listen", ":8443"), nil, []string{"metrics_listen"}},
		"a secret's file must be there":        {flags("enroll_secret_file", filepath.Join(dir, "none")), nil, []string{"enroll_secret", "--enroll-secret-file", "none"}},
		"a secret's file must not be empty":    {flags("enroll_secret_file", empty), nil, []string{"enroll_secret", "empty"}},
		"a key that is a password":             {nil, []string{"MUSTER_ENCRYPTION_KEY=s3cret"}, []string{"encryption_key", "MUSTER_ENCRYPTION_KEY", "32 bytes"}},
		"a secret once a layer":                {nil, []string{"MUSTER_ADMIN_PASSWORD=s3cret", "MUSTER_ADMIN_PASSWORD_FILE=" + secret}, []string{"admin_password", "MUSTER_ADMIN_PASSWORD_FILE", "choose one"}},
		"the database URL is one of two kinds": {nil, []string{"MUSTER_DATABASE_URL=mysql://u:s3cret@h/d"}, []string{"database_url", "MUSTER_DATABASE_URL", "postgres://"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := loadConfig(cmdServe, c.flags, c.environ)
			if err == nil {
				t.Fatal("it is accepted")
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%q tells the secret", err)
			}
		})
	}
}

func TestEachCommandReadsItsOwnSettings(t *testing.T) {
	unreadable := []string{"MUSTER_ADMIN_PASSWORD_FILE=/nonexistent", "MUSTER_LISTEN=:9443", "MUSTER_AGENT_LISTEN=10.1.2.3:9444"}
	query, err := loadConfig(cmdQuery, nil, unreadable)
	if err != nil {
		t.Fatalf("the admin's password is no matter of query: %v", err)
	}
	agents, err := loadConfig(cmdAgents, nil, unreadable)
	if err != nil {
		t.Fatal(err)
	}
	if query.Server != "https://localhost:9443" || agents.Server != "https://10.1.2.3:9444" || query.ServerGiven {
		t.Errorf("query asks %s, agents ask %s", query.Server, agents.Server)
	}
	remote, err := loadConfig(cmdQuery, flags("server", "https://muster.example/"), unreadable)
	if err != nil || remote.Server != "https://muster.example" || !remote.ServerGiven {
		t.Errorf("got %s, %v", remote.Server, err)
	}
	for command, broken := range map[string]string{"help": "MUSTER_LISTEN=x", "version": "MUSTER_CONFIG=/nonexistent"} {
		if _, err := loadConfig(command, nil, []string{broken}); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add("listen: :1\norigins: [https://a]\nadmin_password: x\n")
	f.Add("listen: &a [*a]\n")
	f.Add("? {a: b}\n: c\n")
	f.Fuzz(func(t *testing.T, content string) {
		values, err := parseFile("muster.yaml", []byte(content))
		for key := range values {
			if err == nil && !inFile(key) {
				t.Errorf("%q is accepted", key)
			}
		}
	})
}
