package main

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"muster/server/fault"
	"muster/server/hosts"
)

// secretName is the enrol secret that the server keeps for itself; hosts that
// enrol with it get the packs that ship with the server.
const secretName = "default"

var secretTags = []string{"inventory", "security", "health"}

// firstRun makes what a new server needs, the account admin and an enrol secret,
// and says on standard output what to do next. What is made up is told before
// anything else can fail: a password is shown once and kept nowhere.
func (a *app) firstRun(ctx context.Context) error {
	created, password, err := a.accounts.EnsureAdmin(ctx, a.cfg.AdminPassword)
	if err != nil {
		return err
	}
	if !created || a.cfg.AdminPassword != "" {
		password = ""
	}
	if created {
		if err := accountText.Execute(os.Stdout, map[string]string{"Password": password, "Program": a.program()}); err != nil {
			return err
		}
	}
	if err := a.ensureSecret(ctx); err != nil {
		return err
	}
	return a.welcome(os.Stdout)
}

// ensureSecret keeps the configured enrol secret, or makes one when there is none
// at all, and leaves it in the data folder for the tools of this machine. The file
// comes first: the database keeps only a hash.
func (a *app) ensureSecret(ctx context.Context) error {
	secret, file := a.cfg.EnrollSecret, a.cfg.SecretFile()
	if secret != "" {
		if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
			return err
		}
		return a.hosts.EnsureSecret(ctx, hosts.NewSecret{Name: secretName, Secret: secret, Tags: secretTags})
	}
	known, err := a.hosts.ListSecrets(ctx)
	if err != nil || len(known) > 0 {
		return err
	}
	if left, err := os.ReadFile(file); err == nil { // of a first start that was cut off
		secret = strings.TrimSpace(string(left))
	}
	if secret == "" {
		secret = rand.Text()
		if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
			return err
		}
	}
	_, err = a.hosts.AddSecret(ctx, hosts.NewSecret{Name: secretName, Secret: secret, Tags: secretTags})
	if fault.Is(err, fault.Conflict) {
		return os.Remove(file) // another replica was first, with a secret of its own
	}
	return err
}

// welcome prints the next three things to do.
func (a *app) welcome(w io.Writer) error {
	ca := filepath.Join(a.cfg.Data, "certs", "ca.pem")
	if a.cfg.TLSCert != "" {
		ca = "the root certificate of your authority"
	}
	secret := a.cfg.SecretFile()
	if _, err := os.Stat(secret); err != nil {
		secret = "an enrol secret (make one: " + a.program() + " secret add NAME)"
	}
	return welcomeText.Execute(w, map[string]any{
		"URL": localURL(a.cfg.Listen), "Elsewhere": a.publicURL(a.agentName(), a.cfg.Listen),
		"Agents": strings.TrimPrefix(a.agentURL(), "https://"),
		"Flags":  a.clientFlags(), "Program": a.program(), "CA": ca, "Secret": secret,
	})
}

// program is how this program is called, as a person would type it.
func (a *app) program() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./server"
	}
	return os.Args[0]
}

// clientFlags are what the tools on this machine must be told when the server does
// not run with the defaults.
func (a *app) clientFlags() string {
	flags := ""
	if filepath.Clean(a.cfg.Data) != "data" {
		flags += " --data " + a.cfg.Data
	}
	if own := localURL(a.cfg.Listen); own != localURL(":8443") {
		flags += " --server " + own
	}
	return flags
}

func (a *app) agentListen() string {
	if a.cfg.AgentListen != "" {
		return a.cfg.AgentListen
	}
	return a.cfg.Listen
}

// agentURL is the address under which agents reach this server.
func (a *app) agentURL() string {
	if a.cfg.AgentURL != "" {
		return strings.ToLower(a.cfg.AgentURL)
	}
	return a.publicURL(a.agentName(), a.agentListen())
}

// signatureURLs are the patterns of the addresses that agents may fetch YARA rules
// from. Agents compare scheme and host as they are and match the path; they leave
// out port and query (osquery-tls 6).
func (a *app) signatureURLs() []string {
	host := strings.TrimPrefix(a.agentURL(), "https://")
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return []string{"https://" + host + "/yara/.*"}
}

// publicURL is the address of a listener by a name that the certificate has.
func (a *app) publicURL(name, listen string) string {
	_, port, _ := net.SplitHostPort(listen)
	return "https://" + net.JoinHostPort(name, port)
}

// agentName is the name that other machines reach this one by: the first that was
// configured, else what the machine calls itself.
func (a *app) agentName() string {
	if len(a.cfg.Hostnames) > 0 {
		return a.cfg.Hostnames[0]
	}
	leaf := a.certs.Leaf()
	for _, name := range leaf.DNSNames {
		if name != "localhost" && !strings.HasPrefix(name, "*.") {
			return name
		}
	}
	for _, address := range leaf.IPAddresses {
		if !address.IsLoopback() {
			return address.String()
		}
	}
	return "localhost"
}

var accountText = template.Must(template.New("account").Parse(`
    account   admin
    password  {{if .Password}}{{.Password}}     (shown once; change it with: {{.Program}} user password admin){{else}}the one you configured{{end}}
`))

var welcomeText = template.Must(template.New("welcome").Parse(`
Muster is ready.

1. Open {{.URL}} (from elsewhere {{.Elsewhere}}).
   Its certificate is signed by {{.CA}}

2. Start simulated agents, and ask them something:
     {{.Program}} agents{{.Flags}} --count 25
     {{.Program}} query{{.Flags}} "select * from users"

3. Enrol a real osqueryd: copy {{.CA}} to /etc/osquery/muster-ca.pem
   and {{.Secret}} to /etc/osquery/enroll_secret, and start it with
     --tls_hostname={{.Agents}}
     --tls_server_certs=/etc/osquery/muster-ca.pem
     --enroll_secret_path=/etc/osquery/enroll_secret
     --enroll_tls_endpoint=/enroll
     --host_identifier=instance
     --config_plugin=tls --config_tls_endpoint=/config --config_refresh=60
     --logger_plugin=tls --logger_tls_endpoint=/log
     --disable_distributed=false --distributed_plugin=tls
     --distributed_tls_read_endpoint=/distributed/read
     --distributed_tls_write_endpoint=/distributed/write
     --disable_carver=false --carver_block_size=1048576
     --carver_start_endpoint=/start_uploads --carver_continue_endpoint=/upload_blocks

`))
