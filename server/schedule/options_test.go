package schedule

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

func TestOptions(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		if got, err := s.Options(t.Context()); err != nil || len(got) != 0 {
			t.Fatalf("before any: %v %v", got, err)
		}
		set := map[string]any{"distributed_interval": 60.0, "custom_plgx_LogLevel": "3", "verbose": false, "read_max": json.Number("52428800"),
			"host_identifier": "uuid", "disable_watchdog": true, "watchdog_level": 1, "carver_block_size": 1, "pack_delimiter": ""}
		if err := s.SetOptions(t.Context(), set); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"distributed_interval": int64(60), "custom_plgx_LogLevel": "3", "verbose": false, "read_max": int64(52428800),
			"host_identifier": "uuid", "disable_watchdog": true, "watchdog_level": int64(1), "carver_block_size": int64(1), "pack_delimiter": ""}
		if got, err := s.Options(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("stored %v %v", got, err)
		}
		if got := strings.Join(Withheld(want), " "); got != "carver_block_size disable_watchdog host_identifier watchdog_level" {
			t.Errorf("withheld %s", got)
		}
		sent := decodedConfig(t, configOf(t, s, host(linux, "x86_64")).Plain).Options
		for name, value := range map[string]any{"distributed_interval": 60.0, "custom_plgx_LogLevel": "3", "verbose": false, "read_max": 52428800.0,
			"pack_delimiter": "/", "logger_tls_period": 10.0, "enable_file_events": true, "host_identifier": nil, "disable_watchdog": nil, "watchdog_level": nil} {
			if sent[name] != value {
				t.Errorf("agents get %s = %v, want %v", name, sent[name], value)
			}
		}
		if err := s.SetOptions(t.Context(), map[string]any{"enable_file_events": false}); err != nil {
			t.Fatal(err)
		}
		sent = decodedConfig(t, configOf(t, s, host(linux, "x86_64")).Plain).Options
		if sent["enable_file_events"] != false || sent["distributed_interval"] != 10.0 || sent["verbose"] != nil {
			t.Errorf("the options are not replaced: %v", sent)
		}
	})
}

func TestSetOptionsRefuses(t *testing.T) {
	many := map[string]any{}
	for i := range maxOptions + 1 {
		many["custom_"+strings.Repeat("x", i%64)+strings.Repeat("y", i/64)] = i
	}
	tests := []struct {
		name    string
		options map[string]any
		says    string
	}{
		{"a secret, which every agent and account would see", map[string]any{"enroll_secret": "hello"}, "looks like a secret"},
		{"a list", map[string]any{"events_max": []any{1}}, "events_max"},
		{"an object", map[string]any{"events_max": map[string]any{}}, "events_max"},
		{"null", map[string]any{"events_max": nil}, "events_max"},
		{"a fraction", map[string]any{"events_max": 1.5}, "whole number"},
		{"a fraction in a json.Number", map[string]any{"events_max": json.Number("1.5")}, "whole number"},
		{"a number that no double holds exactly", map[string]any{"events_max": int64(1)<<53 + 1}, "whole number"},
		{"a name with a space", map[string]any{"events max": 1}, "events max"},
		{"an empty name", map[string]any{"": 1}, "no name"},
		{"text with a NUL", map[string]any{"custom_a": "a\x00"}, "custom_a"},
		{"text that is too long", map[string]any{"custom_a": strings.Repeat("x", maxOptionValue+1)}, "custom_a"},
		{"too many", many, "500"},
	}
	s := loaded(t, dbtest.Open(t, database.SQLite), Options{})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := s.SetOptions(t.Context(), test.options)
			if !fault.Is(err, fault.Unprocessable) || !strings.Contains(fault.Public(err), test.says) {
				t.Errorf("got %v, want a word of %q", err, test.says)
			}
		})
	}
	if got, _ := s.Options(t.Context()); len(got) != 0 {
		t.Errorf("refused options are stored: %v", got)
	}
}
