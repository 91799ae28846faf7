package agenttest

import (
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"
)

// flagDef is one osquery flag that the agent honours or at least shows.
type flagDef struct {
	kind  string // bool, int or string
	value string // osquery's default
	cli   bool   // settable in the flagfile only
}

// flagDefs are osquery's own defaults (sections 2.6 and 3.2).
var flagDefs = map[string]flagDef{
	"carver_block_size":              {"int", "8192", true},
	"carver_compression":             {"bool", "false", true},
	"carver_continue_endpoint":       {"string", "", true},
	"carver_start_endpoint":          {"string", "", true},
	"config_accelerated_refresh":     {"int", "300", true},
	"config_enable_backup":           {"bool", "false", true},
	"config_plugin":                  {"string", "filesystem", true},
	"config_refresh":                 {"int", "0", true},
	"config_tls_endpoint":            {"string", "", true},
	"config_tls_etag":                {"bool", "true", true},
	"config_tls_max_attempts":        {"int", "3", true},
	"disable_carver":                 {"bool", "true", true},
	"disable_reenrollment":           {"bool", "false", true},
	"enroll_always":                  {"bool", "false", true},
	"enroll_tls_endpoint":            {"string", "", true},
	"logger_plugin":                  {"string", "filesystem", true},
	"tls_accept_gzip":                {"bool", "false", true},
	"tls_enroll_max_attempts":        {"int", "12", true},
	"tls_enroll_max_interval":        {"int", "600", true},
	"tls_hostname":                   {"string", "", true},
	"buffered_log_max":               {"int", "1000000", false},
	"decorations_top_level":          {"bool", "false", false},
	"disable_decorators":             {"bool", "false", false},
	"disable_distributed":            {"bool", "true", false},
	"disable_events":                 {"bool", "false", false},
	"distributed_denylist_duration":  {"int", "86400", false},
	"distributed_interval":           {"int", "60", false},
	"distributed_plugin":             {"string", "tls", false},
	"distributed_tls_max_attempts":   {"int", "3", false},
	"distributed_tls_read_endpoint":  {"string", "", false},
	"distributed_tls_write_endpoint": {"string", "", false},
	"enable_file_events":             {"bool", "false", false},
	"events_expiry":                  {"int", "3600", false},
	"events_max":                     {"int", "50000", false},
	"host_identifier":                {"string", "hostname", false},
	"logger_event_type":              {"bool", "true", false},
	"logger_min_status":              {"int", "0", false},
	"logger_numerics":                {"bool", "false", false},
	"logger_snapshot_event_type":     {"bool", "false", false},
	"logger_tls_backoff_max":         {"int", "3600", false},
	"logger_tls_compress":            {"bool", "false", false},
	"logger_tls_endpoint":            {"string", "", false},
	"logger_tls_max_lines":           {"int", "1024", false},
	"logger_tls_max_linesize":        {"int", "1048576", false},
	"logger_tls_period":              {"int", "4", false},
	"pack_delimiter":                 {"string", "_", false},
	"pack_refresh_interval":          {"int", "3600", false},
	"read_max":                       {"int", "52428800", false},
	"schedule_default_interval":      {"int", "3600", false},
	"schedule_epoch":                 {"int", "0", false},
	"schedule_splay_percent":         {"int", "10", false},
	"specified_identifier":           {"string", "", false},
	"tls_disable_status_log":         {"bool", "false", false},
	"verbose":                        {"bool", "false", false},
	"yara_sigurl_authenticate":       {"bool", "false", false},
}

// flagAliases are the old names that osquery still takes.
var flagAliases = map[string]string{
	"config_tls_refresh":      "config_refresh",
	"log_numerics_as_numbers": "logger_numerics",
	"log_result_events":       "logger_event_type",
}

// Paths are the endpoints an agent posts to (flagfile).
type Paths struct {
	Enroll, Config, Log, DistributedRead, DistributedWrite, CarveStart, CarveBlock string
}

// OriginalPaths are those of the original server's agents.
func OriginalPaths() Paths {
	return Paths{"/enroll", "/config", "/log", "/distributed/read", "/distributed/write", "/start_uploads", "/upload_blocks"}
}

// FleetPaths are those that agents of a Fleet server use.
func FleetPaths() Paths {
	const base = "/api/osquery"
	return Paths{base + "/enroll", base + "/config", base + "/log", base + "/distributed/read",
		base + "/distributed/write", base + "/carve/begin", base + "/carve/block"}
}

// flagfile is what an administrator would install: everything over TLS, live
// queries and carves on. extra wins.
func flagfile(paths Paths, extra map[string]string) map[string]string {
	file := map[string]string{
		"config_plugin": "tls", "logger_plugin": "tls", "distributed_plugin": "tls",
		"enroll_tls_endpoint":            paths.Enroll,
		"config_tls_endpoint":            paths.Config,
		"logger_tls_endpoint":            paths.Log,
		"distributed_tls_read_endpoint":  paths.DistributedRead,
		"distributed_tls_write_endpoint": paths.DistributedWrite,
		"carver_start_endpoint":          paths.CarveStart,
		"carver_continue_endpoint":       paths.CarveBlock,
		"disable_distributed":            "false",
		"disable_carver":                 "false",
		"host_identifier":                "instance",
		"config_refresh":                 "300",
		"logger_min_status":              "1",
	}
	for name, value := range extra {
		if alias, ok := flagAliases[name]; ok {
			name = alias
		}
		file[name] = value
	}
	return file
}

// flags resolves a flag: option of the config, else flagfile, else default.
// Options are sticky: they stay until the process ends (section 2.5).
type flags struct {
	file map[string]string

	mu      sync.RWMutex
	options map[string]string
}

func (f *flags) get(name string) string {
	f.mu.RLock()
	value, ok := f.options[name]
	f.mu.RUnlock()
	if ok {
		return value
	}
	if value, ok := f.file[name]; ok {
		return value
	}
	return flagDefs[name].value
}

func (f *flags) int(name string) int {
	n, err := strconv.Atoi(f.get(name))
	if err != nil {
		n, _ = strconv.Atoi(flagDefs[name].value)
	}
	return n
}

func (f *flags) bool(name string) bool { return truthy(f.get(name)) }

func (f *flags) seconds(name string) time.Duration {
	return time.Duration(f.int(name)) * time.Second
}

// set takes one option of a config and returns a warning when it is refused.
func (f *flags) set(name, value string) string {
	if alias, ok := flagAliases[name]; ok {
		name = alias
	}
	if flagDefs[name].cli {
		return "CLI only flag --" + name + " set via config option will be ignored"
	}
	if value == "" {
		return ""
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	options := maps.Clone(f.options)
	if options == nil {
		options = map[string]string{}
	}
	options[name] = value
	f.options = options
	return ""
}

// forget drops the options, as the end of the process does.
func (f *flags) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.options = nil
}

func flagNames() []string { return slices.Sorted(maps.Keys(flagDefs)) }

// truthy is osquery's reading of a boolean written as text.
func truthy(value string) bool {
	switch value {
	case "1", "t", "T", "true", "True", "TRUE", "y", "yes":
		return true
	}
	return false
}
