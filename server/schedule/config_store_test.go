package schedule

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

// change is an update as a door hands it on.
func change(t testing.TB, queries, filters string) ConfigChange {
	t.Helper()
	read := func(text string) map[string]any {
		value, err := decode([]byte(text), maxDepth)
		if err != nil {
			t.Fatal(err)
		}
		object, _ := value.(map[string]any)
		return object
	}
	return ConfigChange{Queries: read(queries), Filters: read(filters), By: Author{"ada", "why not"}}
}

var (
	linuxConfig = ConfigKey{linux, "x86_64", DefaultConfig}
	shallow     = ConfigKey{windows, "x86_64", ShallowConfig}
	deep        = ConfigKey{windows, "x86_64", DeepConfig}
)

func found(t testing.TB, s *Store, key ConfigKey) StoredConfig {
	t.Helper()
	c, err := s.FindConfig(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestShippedConfigsAreStored(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		configs, err := loaded(t, db, Options{}).Configs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range configs {
			got = append(got, fmt.Sprintf("%s %v", c, c.Active))
			if c.ID == 0 || c.Version != 1 || len(c.Queries) == 0 || c.Updated.IsZero() {
				t.Errorf("%s: %+v", c, c)
			}
		}
		want := "darwin/x86_64/default true, freebsd/x86_64/default true, linux/x86_64/default true, " +
			"windows/x86/default true, windows/x86_64/deep false, windows/x86_64/shallow true"
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("got %s", text)
		}
	})
}

func TestAnOlderDatabaseGetsTheNewConfigs(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		loaded(t, db, Options{})
		// So it is after the migration of a database where Windows was changed by hand.
		const mine = `{"queries":{"mine":{"query":"select 1"}}}`
		exec(t, db, "DELETE FROM configs WHERE type = 'deep' OR arch = 'x86'")
		exec(t, db, "UPDATE configs SET document = ? WHERE platform = 'windows'", mine)
		var installed map[string]string
		if _, err := db.Setting(t.Context(), shippedSetting, &installed); err != nil {
			t.Fatal(err)
		}
		delete(installed, "configs/windows/x86_64/deep")
		delete(installed, "configs/windows/x86/default")
		if err := db.SetSetting(t.Context(), shippedSetting, installed); err != nil {
			t.Fatal(err)
		}
		s := loaded(t, db, Options{})
		if c := found(t, s, shallow); !c.Active || c.Queries["mine"].SQL == "" {
			t.Errorf("the changed config: %+v", c)
		}
		if c := found(t, s, deep); c.Active || c.Queries["process_etw_events"].SQL == "" {
			t.Errorf("the new one: %+v", c)
		}
		if c := found(t, s, ConfigKey{windows, "x86", ""}); !c.Active {
			t.Errorf("the one for 32 bits: %+v", c)
		}
	})
}

func TestToggle(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		hosts := []string{"x86_64", "arm64"} // those on ARM have none of their own
		runsDeep := func() bool {
			there := 0
			for _, arch := range hosts {
				if decodedConfig(t, configOf(t, s, host(windows, arch)).Plain).Schedule["process_etw_events"] != nil {
					there++
				}
			}
			return there == len(hosts)
		}
		x86 := configOf(t, s, host(windows, "x86")).ETag
		if runsDeep() {
			t.Error("it starts deep")
		}
		for range 2 { // toggling to the active one is no mistake
			if err := s.ToggleConfig(t.Context(), deep); err != nil {
				t.Fatal(err)
			}
			if !runsDeep() || found(t, s, ConfigKey{Platform: windows, Arch: "x86_64"}).Type != DeepConfig {
				t.Error("it is not deep")
			}
		}
		if options := decodedConfig(t, configOf(t, s, host(windows, "x86_64")).Plain).Options; options["enable_process_etw_events"] != true {
			t.Errorf("options %v", options)
		}
		for _, key := range []ConfigKey{{linux, "x86_64", DeepConfig}, {windows, "arm64", DefaultConfig}, {"plan9", "", ""}} {
			if err := s.ToggleConfig(t.Context(), key); !fault.Is(err, fault.NotFound) || fault.Public(err) != fault.Public(ErrNoConfig) {
				t.Errorf("%s: %v", key, err)
			}
		}
		if !found(t, s, linuxConfig).Active || !runsDeep() {
			t.Error("a toggle that failed left none active")
		}
		// The default of 64-bit Windows is the shallow one.
		if err := s.ToggleConfig(t.Context(), ConfigKey{windows, "x86_64", DefaultConfig}); err != nil || runsDeep() {
			t.Error("it stays deep", err)
		}
		if configOf(t, s, host(windows, "x86")).ETag != x86 {
			t.Error("hosts of 32 bits are touched")
		}
	})
}

func TestUpdate(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		other, before := configOf(t, s, host(darwin, "arm64")).ETag, found(t, s, linuxConfig)
		got, err := s.UpdateConfig(t.Context(), linuxConfig, change(t, `{
			"users": {"status": false, "interval": "60"},
			"uptime": {"status": true, "interval": 900, "description": null, "id": 5},
			"mine": {"status": true, "interval": 30, "query": "select * from my_extension", "shard": 10, "snapshot": true},
			"nothing": {"status": true, "interval": 30},
			"gone": {"remove": true},
			"crontab": {"remove": true}
		}`, `{"events": {"disable_subscribers": ["user_events"]}}`))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Join(got.Ignored, " ") != "gone nothing" || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "my_extension") {
			t.Errorf("ignored %v, warnings %v", got.Ignored, got.Warnings)
		}
		now := found(t, s, linuxConfig)
		if now.Version != 2 || got.Before != 1 || got.Version != 2 || !now.Active || len(now.Queries) != len(before.Queries) {
			t.Errorf("%+v", now.Version)
		}
		if q := now.Queries["users"]; q.Status || q.Interval != 60 || q.SQL != before.Queries["users"].SQL || q.ID != before.Queries["users"].ID {
			t.Errorf("users: %+v", q)
		}
		if q := now.Queries["uptime"]; q.Interval != 900 || q.Description != "" || !q.Snapshot || q.Other != nil {
			t.Errorf("uptime: %+v", q)
		}
		if now.Options["enable_file_events"] != true || now.Filters["file_paths"] != nil || now.Filters["events"] == nil {
			t.Errorf("options %v, filters %v", now.Options, now.Filters)
		}
		sent := decodedConfig(t, configOf(t, s, host(linux, "x86_64")).Plain)
		if sent.Schedule["users"] != nil || sent.Schedule["crontab"] != nil || sent.Schedule["mine"]["shard"] != 10.0 || sent.FilePaths != nil {
			t.Errorf("hosts get %v", sent.Schedule)
		}
		if configOf(t, s, host(darwin, "arm64")).ETag != other {
			t.Error("hosts of another platform are touched")
		}
		// The same again changes nothing.
		if again, err := s.UpdateConfig(t.Context(), linuxConfig, change(t, `{"users": {"status": false, "interval": 60}}`,
			`{"events": {"disable_subscribers": ["user_events"]}}`)); err != nil || again.Version != 2 {
			t.Errorf("%v %v", again.Version, err)
		}
	})
}

func TestUpdatesThatAreRefused(t *testing.T) {
	tests := []struct {
		name, queries, filters string
		kind                   fault.Kind
		says                   string
	}{
		{"no interval", `{"users":{"status":true}}`, `{}`, fault.Invalid, "Please provide both interval and status for all queries!"},
		{"no status", `{"new":{"interval":5,"query":"select 1"}}`, `{}`, fault.Invalid, "Please provide both"},
		{"no object", `{"users":5}`, `{}`, fault.Invalid, "Please provide both"},
		{"an interval of nothing", `{"users":{"status":true,"interval":0}}`, `{}`, fault.Unprocessable, `query "users": interval`},
		{"a status that is none", `{"users":{"status":"perhaps","interval":9}}`, `{}`, fault.Unprocessable, `query "users": status`},
		{"SQL that is none", `{"users":{"status":true,"interval":9,"query":"selec 1"}}`, `{}`, fault.Unprocessable, "line 1"},
		{"SQL that writes", `{"users":{"status":true,"interval":9,"query":"delete from users"}}`, `{}`, fault.Unprocessable, "users"},
		{"a name that osquery drops", `{"my_counter":{"status":true,"interval":9,"query":"select 1"}}`, `{}`, fault.Unprocessable, "reserved"},
		{"a filter of the wrong form", `{}`, `{"file_paths":["/etc"]}`, fault.Unprocessable, "file_paths"},
		{"a filter that steers", `{}`, `{"node_invalid":true}`, fault.Unprocessable, "node_invalid"},
		{"a filter that is assembled", `{}`, `{"packs":{}}`, fault.Unprocessable, "packs"},
		{"filters that are too large", `{}`, `{"x":"` + strings.Repeat("y", MaxSize) + `"}`, fault.Unprocessable, "bytes"},
	}
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		before := configOf(t, s, host(linux, "x86_64")).ETag
		for _, test := range tests {
			_, err := s.UpdateConfig(t.Context(), linuxConfig, change(t, test.queries, test.filters))
			if !fault.Is(err, test.kind) || !strings.Contains(fault.Public(err), test.says) {
				t.Errorf("%s: %v", test.name, err)
			}
		}
		bad := change(t, `{}`, `{}`)
		bad.Options = map[string]any{"a": []any{}}
		if _, err := s.UpdateConfig(t.Context(), linuxConfig, bad); !fault.Is(err, fault.Unprocessable) {
			t.Errorf("an option of the wrong form: %v", err)
		}
		if _, err := s.UpdateConfig(t.Context(), ConfigKey{linux, "x86", DefaultConfig}, change(t, `{}`, `{}`)); !fault.Is(err, fault.NotFound) {
			t.Errorf("an unknown config: %v", err)
		}
		if configOf(t, s, host(linux, "x86_64")).ETag != before || found(t, s, linuxConfig).Version != 1 {
			t.Error("something changed")
		}
	})
}

func TestAddAConfigForAnArchitecture(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		arm := ConfigKey{linux, "arm64", DefaultConfig}
		before := configOf(t, s, host(linux, "aarch64")).ETag
		added, err := s.AddConfig(t.Context(), arm, ConfigChange{By: Author{"ada", ""}})
		if err != nil || !added.Active || added.Version != 1 || added.ID == 0 {
			t.Fatal(added, err)
		}
		if configOf(t, s, host(linux, "aarch64")).ETag != before {
			t.Error("a copy of what hosts run changes what they run")
		}
		if _, err := s.AddConfig(t.Context(), arm, ConfigChange{}); !fault.Is(err, fault.Conflict) {
			t.Errorf("twice: %v", err)
		}
		if _, err := s.AddConfig(t.Context(), ConfigKey{windows, "x86_64", DefaultConfig}, ConfigChange{}); !fault.Is(err, fault.Conflict) {
			t.Errorf("the default of Windows: %v", err)
		}
		if _, err := s.AddConfig(t.Context(), ConfigKey{"plan9", "x86", DefaultConfig}, ConfigChange{}); !fault.Is(err, fault.Unprocessable) {
			t.Errorf("an unknown platform: %v", err)
		}
		same := configOf(t, s, host(linux, "x86_64")).ETag
		if _, err := s.UpdateConfig(t.Context(), arm, change(t, `{"users":{"status":true,"interval":77}}`, `{}`)); err != nil {
			t.Fatal(err)
		}
		if configOf(t, s, host(linux, "x86_64")).ETag != same || configOf(t, s, host(linux, "aarch64")).ETag == before {
			t.Error("the change does not reach the hosts of its architecture alone")
		}
		second := ConfigKey{linux, "arm64", DeepConfig}
		more := change(t, `{"more":{"status":true,"interval":60,"query":"select 1"}}`, `{}`)
		if added, err := s.AddConfig(t.Context(), second, more); err != nil || added.Active || added.Queries["users"].Interval != 77 || added.Queries["more"].SQL == "" {
			t.Errorf("a second type: %+v %v", added, err)
		}
	})
}

func TestConfigsChangeWhileAgentsAsk(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		ctx, stop := context.WithCancel(t.Context())
		var agents, changes sync.WaitGroup
		for i := range 2 {
			h := known(t, s, host(windows, []string{"x86_64", "arm64"}[i], "health"))
			agents.Go(func() {
				for ctx.Err() == nil {
					c, err := s.ConfigFor(ctx, h)
					if err != nil || len(c.Plain) < 1000 || !json.Valid(c.WithETag) {
						t.Errorf("an agent gets %.100s, %v", c.Plain, err)
						return
					}
				}
			})
		}
		try := func(err error) {
			if err != nil {
				t.Error(err)
			}
		}
		for range 2 { // two administrators at once
			changes.Go(func() {
				for i := range 4 {
					key := []ConfigKey{deep, shallow}[i%2]
					try(s.ToggleConfig(ctx, key))
					_, err := s.UpdateConfig(ctx, key, change(t, fmt.Sprintf(`{"users":{"status":true,"interval":%d}}`, 60+i), `{}`))
					try(err)
					_, err = s.RestoreConfig(ctx, key, 1, Author{})
					try(err)
				}
			})
		}
		changes.Wait()
		stop()
		agents.Wait()
		if c := found(t, s, ConfigKey{Platform: windows, Arch: "x86_64"}); !c.Active {
			t.Errorf("%+v", c)
		}
	})
}
