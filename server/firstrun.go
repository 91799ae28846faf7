package main

import (
	"context"
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

// firstRun makes what a new server needs: the account admin and an enrol secret.
// It tells what to do next on standard output; a password that was made up is
// shown there once and nowhere else.
func (a *app) firstRun(ctx context.Context) error {
	created, password, err := a.accounts.EnsureAdmin(ctx, a.cfg.AdminPassword)
	if err != nil {
		return err
	}
	if !created || a.cfg.AdminPassword != "" {
		password = ""
	}
	if err := a.ensureSecret(ctx); err != nil {
		return err
	}
	return a.welcome(os.Stdout, created, password)
}

// ensureSecret keeps the configured enrol secret, or makes one when there is none
// at all, and leaves it in the data folder for the tools of this machine.
func (a *app) ensureSecret(ctx context.Context) error {
	secret := a.cfg.EnrollSecret
	if secret != "" {
		if err := a.hosts.EnsureSecret(ctx, hosts.NewSecret{Name: secretName, Secret: secret, Tags: secretTags}); err != nil {
			return err
		}
		return writeSecret(a.cfg.SecretFile(), secret)
	}
	known, err := a.hosts.ListSecrets(ctx)
	if err != nil || len(known) > 0 {
		return err
	}
	secret, err = a.hosts.AddSecret(ctx, hosts.NewSecret{Name: secretName, Tags: secretTags})
	if fault.Is(err, fault.Conflict) {
		return nil // another replica was first
	}
	if err != nil {
		return err
	}
	return writeSecret(a.cfg.SecretFile(), secret)
}

func writeSecret(path, secret string) error {
	return os.WriteFile(path, []byte(secret+"\n"), 0o600)
}

// welcome prints the next three things to do.
func (a *app) welcome(w io.Writer, created bool, password string) error {
	caFile := filepath.Join(a.cfg.Data, "certs", "ca.pem")
	if a.cfg.TLSCert != "" {
		caFile = a.cfg.TLSCert
	}
	secretFile := a.cfg.SecretFile()
	if _, err := os.Stat(secretFile); err != nil {
		secretFile = ""
	}
	return welcomeText.Execute(w, map[string]any{
		"URL": localURL(a.cfg.Listen), "Elsewhere": a.publicURL(a.agentName(), a.cfg.Listen), "Agents": strings.TrimPrefix(a.publicURL(a.agentName(), a.agentListen()), "https://"),
		"Flags":   a.clientFlags(),
		"Created": created, "Password": password, "CA": caFile, "Secret": secretFile,
	})
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

var welcomeText = template.Must(template.New("welcome").Parse(`
Muster is ready.
{{if .Password}}
    account   admin
    password  {{.Password}}     (shown once; change it with: muster user password admin)
{{else if .Created}}
    account   admin, with the password you configured
{{end}}
1. Open {{.URL}} (from elsewhere {{.Elsewhere}}).
   Its certificate is signed by {{.CA}}

2. Start simulated agents, and ask them something:
     go run ./server agents{{.Flags}} --count 25
     go run ./server query{{.Flags}} "select * from users"

3. Enrol a real osqueryd: copy {{.CA}} to /etc/osquery/muster-ca.pem
   and {{if .Secret}}{{.Secret}}{{else}}an enrol secret (muster secret add){{end}} to /etc/osquery/enroll_secret, and start it with
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
