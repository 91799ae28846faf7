package schedule

import (
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

func readImport(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/imports/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// importedConfig imports a file of testdata, with a tag for its packs.
func importedConfig(t *testing.T, s *Store, key ConfigKey, file string) (ConfigImported, []string) {
	t.Helper()
	parsed, warnings, err := ParseConfigFile(key.Platform, readImport(t, file))
	if err != nil {
		t.Fatal(err)
	}
	for i := range parsed.Packs {
		parsed.Packs[i].Tags = []string{"imported"}
	}
	done, err := s.ImportConfig(t.Context(), key, parsed, Author{"ada", "imported " + file})
	if err != nil {
		t.Fatal(err)
	}
	return done, append(warnings, done.Warnings...)
}

// gets compares what a host gets with a file that says it in full, but for the options
// that every agent of this server gets.
func gets(t *testing.T, s *Store, platform, file string) {
	t.Helper()
	want, err := decode(readImport(t, file), maxDepth)
	if err != nil {
		t.Fatal(err)
	}
	h := host(platform, "x86_64", "imported")
	value, err := decode(configOf(t, s, h).Plain, maxDepth)
	if err != nil {
		t.Fatal(err)
	}
	got, source := value.(map[string]any), want.(map[string]any)
	options := got["options"].(map[string]any)
	for name := range builtinOptions {
		if _, said := source["options"].(map[string]any)[name]; !said {
			delete(options, name)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(source)) {
		if !reflect.DeepEqual(got[key], source[key]) {
			t.Errorf("%s of the host is\n%s\nnot\n%s", key, appendJSON(nil, got[key]), appendJSON(nil, source[key]))
		}
		delete(got, key)
	}
	if len(got) > 0 {
		t.Errorf("nobody expects %s", appendJSON(nil, got))
	}
}

func TestConfigsImportWithoutLoss(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		done, warnings := importedConfig(t, s, linuxConfig, "everything.conf")
		gets(t, s, linux, "everything.agent.json")
		warned(t, warnings,
			"config_plugin is kept, but agents do not", "tls_hostname is kept, but agents do not", "host_identifier is kept, but agents do not",
			"watchdog_level is kept, but agents do not", "enroll_secret_path is kept, but agents do not", "read_max is kept, but agents do not",
			"aws_secret_access_key looks like a secret", "events_max has no value", "distributed_interval is 30 now",
			`platform "gentoo"`, `"with owner": oncall is kept`, `"with owner": status is left out`, `"p1": oncall is kept`,
			`"it-compliance" is the file "/usr`, `"nothing" has no value`, "plgx_event_filters is no key", "node_invalid is for servers", "__comment has no value",
			"no such table: opera_extensions")
		if done.Before != 1 || done.Version != 2 || len(done.Packs) != 2 || done.Packs[0].Name != "p1" || done.Packs[0].Tags[0] != "imported" {
			t.Errorf("imported %+v", done)
		}
		// What agents do not get is kept all the same.
		c := found(t, s, linuxConfig)
		long, owner := c.Queries["long"], c.Queries["with owner"]
		if long.Description != "(an example http://example.com/#anchor)" || long.Value != "Artifact // used" || !long.Status {
			t.Errorf("long is %+v", long)
		}
		if string(appendJSON(nil, owner.Other)) != `{"oncall":["a",{"b":1.50}]}` || !owner.Status || c.Options["tls_hostname"] != "old.example.com" {
			t.Errorf("with owner is %+v, options %v", owner, c.Options)
		}
		if again, _ := importedConfig(t, s, linuxConfig, "everything.conf"); again.Version != 2 || again.Before != 2 {
			t.Errorf("importing it again makes version %d", again.Version)
		}
		versions, err := s.Versions(t.Context(), linuxConfig)
		if err != nil || len(versions) != 2 || versions[0].Author != (Author{"ada", "imported everything.conf"}) {
			t.Errorf("versions %+v %v", versions, err)
		}
	})
}

func TestAgentOptionsImport(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		_, warnings := importedConfig(t, s, ConfigKey{darwin, "x86_64", DefaultConfig}, "agent_options.yml")
		gets(t, s, darwin, "agent_options.agent.json")
		warned(t, warnings, "spec.org_info is no part", "spec.agent_options.command_line_flags is no part", "overrides.labels is no part",
			"overrides.platforms.ubuntu is for other hosts than those of darwin",
			"without auto_table_construction, decorators.load, options.disable_distributed, options.logger_plugin, options.logger_tls_endpoint, options.pack_delimiter, options.schedule_splay_percent, yara",
			"disable_distributed is true now", "schedule_splay_percent is 20 now", "distributed_interval is 60 now",
			"logger_plugin is kept", "disable_tables is kept")

		// Hosts of other platforms get what is not overridden; a config that is new is active.
		arm := ConfigKey{linux, "arm64", DefaultConfig}
		done, warnings := importedConfig(t, s, arm, "agent_options.yml")
		if done.Before != 0 || done.Version != 1 || !done.Active || len(done.Queries) != 0 || done.Options["distributed_interval"] != int64(10) {
			t.Errorf("imported %+v", done)
		}
		if !slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, "platforms.darwin is for other hosts") }) {
			t.Errorf("warnings %q", warnings)
		}
		if sent := decodedConfig(t, configOf(t, s, host(linux, "aarch64")).Plain); len(sent.Schedule) != 0 || sent.Options["disable_distributed"] != true {
			t.Errorf("its hosts get %+v", sent)
		}
		// Of two types of a platform, the shallow one is meant by default; the other stays active or not.
		done, _ = importedConfig(t, s, ConfigKey{windows, "x86_64", DefaultConfig}, "agent_options.yml")
		if done.Type != ShallowConfig || done.Before != 1 || !done.Active {
			t.Errorf("imported %+v", done)
		}
	})
}

func TestShapesOfConfigFiles(t *testing.T) {
	const config = `{"options":{"verbose":true}}`
	tests := []struct{ name, data string }{
		{"an osquery config", config},
		{"one in YAML", "options:\n  verbose: true\n"},
		{"with trailing commas and comments behind values", `{"options":{"verbose":true,}, /* x */ } // y`},
		{"agent options", `{"config":` + config + `,"overrides":{}}`},
		{"agent options of old", `{"kind":"options","spec":{"config":` + config + `,"overrides":null}}`},
		{"the options of a team", `{"kind":"team","spec":{"team":{"name":"t","agent_options":{"config":` + config + `}}}}`},
		{"a file of a repository", "name: x\nagent_options:\n  config:\n    options:\n      verbose: true\npolicies: []\n"},
		{"overrides beside the options", `{"options":{},"overrides":{"platforms":{"linux":` + config + `}}}`},
		{"overrides without a config", `{"config":null,"overrides":{"platforms":{"linux":` + config + `}}}`},
		{"specs of other kinds around it", "kind: label\nspec: {name: l}\n---\nspec: {config: {options: {verbose: true}}}\nkind: options\n---\nkind: query\nspec: {name: q}\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file, warnings, err := ParseConfigFile(linux, []byte(test.data))
			if err != nil || !reflect.DeepEqual(file.Options, map[string]any{"verbose": true}) || len(file.Filters)+len(file.Queries)+len(file.Packs) > 0 {
				t.Errorf("got %+v %q %v", file, warnings, err)
			}
			for _, word := range []string{"trailing", "repository", "kinds"} {
				if strings.Contains(test.name, word) && len(warnings) == 0 {
					t.Error("nobody hears of what was left out")
				}
			}
		})
	}
}

func TestParseConfigFileRefuses(t *testing.T) {
	tests := []struct {
		name, data, says string
	}{
		{"nothing", "", "cannot be read"},
		{"a list", "[1]", "holds no config"},
		{"an empty object", "{}", "holds no config"},
		{"another object", `{"hello":1}`, "holds no config"},
		{"what is no JSON", "{\n\"options\": nothing}", "line 2"},
		{"a pack", `{"queries":{"q":{"query":"select 1"}},"file_paths":{}}`, "upload it as a pack"},
		{"the spec of a pack", "kind: pack\nspec: {name: p, queries: [{query: q, interval: 1}]}", "upload it as a pack"},
		{"an empty config", "kind: options\nspec: {config: {}}", "holds no config"},
		{"two configs", "options: {}\n---\nviews: {}\n", "more than one config"},
		{"a key given twice", `{"options":{},"options":{}}`, "given twice"},
		{"a schedule that is a list", `{"schedule":[]}`, "schedule must be a JSON object"},
		{"a query without SQL", `{"schedule":{"q":{"interval":60}}}`, `query "q": query is missing`},
		{"an interval that osquery refuses", `{"schedule":{"q":{"query":"select 1","interval":0}}}`, "interval must be"},
		{"a name that osquery drops", `{"schedule":{"boot_epoch":{"query":"select 1"}}}`, "reserved"},
		{"an option that is a list", `{"options":{"x":[1]}}`, "the option x must be"},
		{"decorators that osquery would misread", `{"decorators":{"load":"select 1"}}`, "decorators: load: it must be a list"},
		{"a pack that osquery would refuse", `{"packs":{"main":{"queries":{"q":{"query":"select 1"}}}}}`, "reserved"},
		{"two packs of one name", `{"packs":{"*":{"p":{"queries":{"q":{"query":"select 1"}}}},"p":{"queries":{"q":{"query":"select 1"}}}}}`, "two packs"},
		{"overrides that are none", `{"options":{},"overrides":{"platforms":{"linux":5}}}`, "overrides.platforms: linux must be"},
		{"a file that is too large", strings.Repeat(" ", maxPackFile+1), "larger than"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := ParseConfigFile(linux, []byte(test.data))
			if !fault.Is(err, fault.Unprocessable) || !strings.Contains(strings.ToLower(fault.Public(err)), strings.ToLower(test.says)) {
				t.Errorf("got %v, want a word of %q", err, test.says)
			}
		})
	}
}

func TestAnImportThatFailsLeavesNothing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		before := configOf(t, s, host(linux, "x86_64", "imported")).ETag
		pack := parsed(t, "fresh", `{"queries":{"q":{"query":"select 1"}}}`, "imported")
		query := func(sql string) map[string]Query {
			return map[string]Query{"q": {SQL: sql, Interval: 60, Status: true}}
		}
		large := map[string]any{"views": map[string]any{"v": "select '" + strings.Repeat("x", MaxSize) + "'"}}
		badTag := pack
		badTag.Tags = []string{strings.Repeat("x", 1000)}
		tests := []struct {
			name string
			key  ConfigKey
			file ConfigFile
			kind fault.Kind
		}{
			{"SQL that is none", linuxConfig, ConfigFile{Queries: query("select from"), Packs: []Pack{pack}}, fault.Unprocessable},
			{"a config that is too large", linuxConfig, ConfigFile{Filters: large, Packs: []Pack{pack}}, fault.Unprocessable},
			{"a new one that is too large", ConfigKey{linux, "x86", DefaultConfig}, ConfigFile{Filters: large, Packs: []Pack{pack}}, fault.Unprocessable},
			{"a bad tag", linuxConfig, ConfigFile{Queries: query("select 1"), Packs: []Pack{pack, badTag}}, fault.Invalid},
			{"no such platform", ConfigKey{"beos", "x86_64", DefaultConfig}, ConfigFile{Packs: []Pack{pack}}, fault.Unprocessable},
		}
		for _, test := range tests {
			if _, err := s.ImportConfig(t.Context(), test.key, test.file, Author{}); !fault.Is(err, test.kind) {
				t.Errorf("%s: %v", test.name, err)
			}
			if _, err := s.FindPack(t.Context(), "fresh"); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: the pack is there: %v", test.name, err)
			}
		}
		if c := found(t, s, linuxConfig); c.Version != 1 || configOf(t, s, host(linux, "x86_64", "imported")).ETag != before {
			t.Errorf("the config is at version %d", c.Version)
		}
		pack.Tags = nil
		done, err := s.ImportConfig(t.Context(), linuxConfig, ConfigFile{Packs: []Pack{pack}}, Author{})
		if err != nil || done.Version != 2 || len(done.Queries) > 0 {
			t.Fatal(done, err)
		}
		warned(t, done.Warnings, `"fresh" has no tags`)
	})
}

// A config that cannot be read is replaced like any other.
func TestAnImportMendsAConfig(t *testing.T) {
	s := loaded(t, dbtest.Open(t, database.SQLite), Options{})
	exec(t, s.db, "UPDATE configs SET document = '{' WHERE platform = 'linux'")
	if done, err := s.ImportConfig(t.Context(), linuxConfig, ConfigFile{}, Author{}); err != nil || done.Version != 2 {
		t.Error(done, err)
	}
}

// What is accepted can be stored and sent, and no key gets lost without a word.
func FuzzParseConfigFile(f *testing.F) {
	for _, file := range []string{"everything.conf", "agent_options.yml", "config.conf"} {
		f.Add(readImport(f, file))
	}
	f.Add([]byte(`{"kind":"options","spec":{"config":{"options":{"a":1}},"overrides":{"platforms":{"linux":{"options":{"a":null},"views":{"v":""}}}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, warnings, err := ParseConfigFile(linux, data)
		if err != nil {
			if !fault.Is(err, fault.Unprocessable) {
				t.Fatalf("not a fault of the sender: %v", err)
			}
			return
		}
		d := document{options: file.Options, queries: file.Queries, filters: file.Filters}
		again, err := readDocument("config", []byte(d.text()))
		if err != nil || again.text() != d.text() {
			t.Fatalf("%v: %s", err, d.text())
		}
		if config := newPlatformConfig(configRow{Platform: linux}, again, additions{}).assemble(selection{}); len(config) <= MaxSize {
			if _, err := decode(config, maxDepth+1); err != nil {
				t.Fatalf("%v: %s", err, config)
			}
		}
		value, _, err := decodeFile(data)
		top, isObject := value.(map[string]any)
		if err != nil || !isObject {
			return
		}
		said := strings.Join(warnings, "\n")
		for key := range top {
			_, kept := file.Filters[key]
			if !kept && !slices.Contains(append(labels, "options", "schedule", "packs", "spec", "agent_options", "config", "overrides"), key) && !strings.Contains(said, key) {
				t.Fatalf("%q is gone: %s", key, said)
			}
		}
	})
}
