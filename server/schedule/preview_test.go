package schedule

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
	"muster/server/hosts"
)

// register enrols hosts named after what they are, with the ids 1, 2, ...
func register(t testing.TB, db *database.DB, machines ...*hosts.Host) *hosts.Store {
	t.Helper()
	r := hosts.New(db, bus.NewMemory(), quiet(), hosts.Options{EnrollLimit: 1000})
	if err := r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, m := range machines {
		name := fmt.Sprintf("secret %d", len(m.Tags))
		_, _ = r.AddSecret(t.Context(), hosts.NewSecret{Name: name, Secret: "a long enough secret " + strings.Join(m.Tags, "+"), Tags: m.Tags})
		_, host, err := r.Enroll(t.Context(), hosts.Enrollment{
			Secret: "a long enough secret " + strings.Join(m.Tags, "+"), Identifier: m.Identifier,
			Details: map[string]map[string]string{
				"os_version":   {"platform": m.Platform},
				"osquery_info": {"version": "5.10.2"},
				"system_info":  {"cpu_type": m.Arch, "hostname": m.Identifier},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if host.Platform != m.Platform || len(host.TagIDs) != len(m.Tags) {
			t.Fatalf("%+v", host)
		}
	}
	return r
}

func machine(name, platform, arch string, tags ...string) *hosts.Host {
	h := host(platform, arch, tags...)
	h.Identifier = name
	return h
}

func TestPreview(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		r := register(t, db, machine("web", linux, "x86_64"), machine("db", linux, "aarch64", "inventory"), machine("desk", windows, "x86_64"))
		before := map[string]string{}
		active, _, _, _ := r.List(t.Context(), hosts.Filter{})
		for _, h := range active {
			before[h.Identifier] = configOf(t, s, h).ETag
		}
		tests := []struct {
			name   string
			change func(*Store, *hosts.Store) error
			want   map[string]Changes
		}{
			{"nothing", func(*Store, *hosts.Store) error { return nil }, map[string]Changes{}},
			{"an interval, and filters that go", func(s *Store, _ *hosts.Store) error {
				_, err := s.UpdateConfig(t.Context(), linuxConfig, change(t, `{"users":{"status":true,"interval":61},"uptime":{"status":false,"interval":60}}`, `{}`))
				return err
			}, map[string]Changes{
				"web": {Schedule: Difference{Changed: []string{"users"}, Removed: []string{"uptime"}}, Keys: Difference{Removed: []string{"file_paths"}}},
				"db":  {Schedule: Difference{Changed: []string{"users"}, Removed: []string{"uptime"}}, Keys: Difference{Removed: []string{"file_paths"}}},
			}},
			{"a tag on a host", func(_ *Store, r *hosts.Store) error {
				return r.AddTag(t.Context(), active[len(active)-1].ID, "inventory")
			}, map[string]Changes{
				"web": {Packs: Difference{Added: []string{"inventory"}}},
			}},
			{"a pack's tags", func(s *Store, _ *hosts.Store) error {
				return s.SetPackTags(t.Context(), "inventory", []string{"nobody"})
			}, map[string]Changes{
				"db": {Packs: Difference{Removed: []string{"inventory"}}},
			}},
			{"options", func(s *Store, _ *hosts.Store) error {
				return s.SetOptions(t.Context(), map[string]any{"verbose": true})
			}, map[string]Changes{
				"web": {Options: Difference{Added: []string{"verbose"}}}, "db": {Options: Difference{Added: []string{"verbose"}}}, "desk": {Options: Difference{Added: []string{"verbose"}}},
			}},
			{"what agents would not take", func(s *Store, _ *hosts.Store) error {
				for _, name := range []string{"one", "two"} {
					if _, _, err := s.AddPack(t.Context(), huge(t, name, 600<<10, "inventory")); err != nil {
						return err
					}
				}
				return nil
			}, map[string]Changes{"db": {Unusable: true}}},
		}
		for _, test := range tests {
			p, err := s.Preview(t.Context(), r, test.change)
			if err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
			got := map[string]Changes{}
			for _, touched := range p.Hosts {
				got[touched.Host.Identifier] = *touched.Changes
			}
			if p.Count != len(test.want) || !reflect.DeepEqual(got, test.want) {
				t.Errorf("%s: %d hosts, %+v", test.name, p.Count, got)
			}
		}
		if err := s.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, h := range active {
			h, err := r.FindByID(t.Context(), h.ID)
			if err != nil || configOf(t, s, h).ETag != before[h.Identifier] {
				t.Errorf("%s is changed", h.Identifier)
			}
		}
	})
}

func TestAPreviewThatFails(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		r := register(t, db)
		_, err := s.Preview(t.Context(), r, func(s *Store, _ *hosts.Store) error {
			if err := s.ToggleConfig(t.Context(), deep); err != nil {
				return err
			}
			return s.ToggleConfig(t.Context(), ConfigKey{linux, "x86", DeepConfig})
		})
		if !fault.Is(err, fault.NotFound) || !errors.Is(err, ErrNoConfig) {
			t.Error(err)
		}
		if found(t, s, deep).Active {
			t.Error("it is done in part")
		}
	})
}
