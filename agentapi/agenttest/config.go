package agenttest

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/valyala/fastjson"
)

// FetchConfig asks for the config and applies it, with up to three attempts. The
// error is the last attempt's; the agent then goes on with what it has.
func (a *Agent) FetchConfig(ctx context.Context) error {
	ctx, leave, err := a.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	conditional := a.profile.etag && a.flags.bool("config_tls_etag")
	object, err := a.call(ctx, call{
		endpoint: EndpointConfig,
		attempts: a.flags.int("config_tls_max_attempts"),
		body:     func(key string) []byte { return a.configBody(key, conditional) },
	})
	if err != nil {
		return a.useBackup(err)
	}
	if err := a.crash(StepConfigured); err != nil {
		return err
	}
	if conditional && object.Len() == 1 && stringOf(object.Get("etag")) == "ok" {
		a.count.unchanged.Add(1)
		return nil
	}
	return a.applyBody(appendCompactObject(nil, object))
}

func (a *Agent) configBody(key string, conditional bool) []byte {
	var body members
	body.str("node_key", key)
	if conditional {
		a.mu.Lock()
		defer a.mu.Unlock()
		body.str("etag", a.mem.etag)
	}
	return body.json()
}

// useBackup loads the last good config when the first fetch of a process fails
// and config_enable_backup is on.
func (a *Agent) useBackup(cause error) error {
	a.mu.Lock()
	backup, has := a.disk.Backup, a.mem.config != nil
	a.mu.Unlock()
	if !has && len(backup) > 0 && a.flags.bool("config_enable_backup") {
		_ = a.applyBody(backup)
	}
	return cause
}

// applyBody makes a body the config, whatever it is. The same bytes again are no
// change; other bytes drop the schedule first and are then looked at (section 0,
// facts 2 and 8).
func (a *Agent) applyBody(body []byte) error {
	d, err := parseDocument(body)
	if err != nil {
		return err
	}
	a.mu.Lock()
	same := a.mem.config != nil && a.mem.compact == d.compactHash
	had := a.mem.config != nil && a.mem.config.queryCount() > 0
	a.mu.Unlock()
	if same {
		a.count.unchanged.Add(1)
		return nil
	}
	if d.size > a.profile.configLimit || d.depth > maxConfigDepth {
		a.adopt(&document{compactHash: d.compactHash}, false)
		a.count.wiped.Add(1)
		a.status(severityError, "config.cpp", 1049, "Error reading config: "+errConfigRefused.Error())
		return errConfigRefused
	}
	if d.empty || had && d.queryCount() == 0 {
		a.count.wiped.Add(1)
	}
	a.count.applied.Add(1)
	a.adopt(d, true)
	a.warn(d)
	a.loadDecorators(d)
	a.save()
	return nil
}

// adopt replaces the config, and with it schedule and packs. Options are merged:
// they stay until the process ends.
func (a *Agent) adopt(d *document, valid bool) {
	var warnings []string
	for _, o := range d.options {
		if warning := a.flags.set(o.name, o.value); warning != "" {
			warnings = append(warnings, warning)
		}
	}
	a.mu.Lock()
	a.mem.config, a.mem.compact, a.mem.valid = d, d.compactHash, valid
	a.mem.etag = d.etag
	a.mem.decorations, a.mem.discovered, a.mem.plan = decorations{}, map[string]check{}, nil
	if valid && !d.empty {
		a.disk.Backup = d.raw
	}
	rearm := a.mem.rearm
	a.mu.Unlock()
	rearm()
	for _, warning := range warnings {
		a.status(severityWarning, "flags.cpp", 141, warning)
	}
}

// warn writes what osquery says about queries that it does not take.
func (a *Agent) warn(d *document) {
	for _, p := range d.packs {
		for _, q := range p.queries {
			switch {
			case q.warning != "":
				a.status(severityWarning, "packs.cpp", 269, q.warning)
			case a.profile.reservedNames && reservedName(q.name):
				a.status(severityWarning, "packs.cpp", 254, "Query name is reserved: "+q.name)
			}
		}
	}
}

// currentConfig is nil until a config was applied.
func (a *Agent) currentConfig() *document {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mem.config
}

// ConfigHash is osquery_info.config_hash, empty without a config (section 2.7).
func (a *Agent) ConfigHash() string {
	if d := a.currentConfig(); d != nil {
		return d.configHash()
	}
	return ""
}

// SourceHash is the hash of the config's compact form as osquery keeps it for
// its source, empty without a config.
func (a *Agent) SourceHash() string {
	if d := a.currentConfig(); d != nil {
		return hex.EncodeToString(d.compactHash[:])
	}
	return ""
}

// Option is the value of a flag now: config, flagfile or default.
func (a *Agent) Option(name string) string { return a.flags.get(name) }

// Scheduled returns the SQL of every query that this host runs, by result name.
func (a *Agent) Scheduled(ctx context.Context) (map[string]string, error) {
	ctx, leave, err := a.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	queries := map[string]string{}
	for _, q := range a.schedule(ctx) {
		queries[q.resultName] = q.sql
	}
	return queries, nil
}

// ApplyConfig takes a config body as if the server had sent it.
func (a *Agent) ApplyConfig(body []byte) error {
	_, leave, err := a.enter(context.Background())
	if err != nil {
		return err
	}
	defer leave()
	if err := fastjson.ValidateBytes(body); err != nil {
		return fmt.Errorf("%w: %w", errNotJSON, err)
	}
	return a.applyBody(body)
}
