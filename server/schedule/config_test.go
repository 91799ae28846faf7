package schedule

import (
	"bytes"
	"context"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

func TestConfigFor(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		if _, err := New(db, bus.NewMemory(), quiet(), Options{}).ConfigFor(t.Context(), host(linux, "x86_64")); !fault.Is(err, fault.Busy) {
			t.Errorf("before Load: %v", err)
		}
		s := loaded(t, db, Options{})
		c := configOf(t, s, host(linux, "x86_64"))
		got := decodedConfig(t, c.Plain)
		if got.Schedule["deb_packages"] == nil || len(got.FilePaths) == 0 || got.Options["pack_delimiter"] != "/" || len(got.Packs) != 0 || got.ETag != nil {
			t.Errorf("a host of Linux without tags gets %s", c.Plain)
		}
		query := got.Schedule["osquery_info"]
		if query["interval"] != 3600.0 || query["snapshot"] != true || query["description"] != nil || query["status"] != nil {
			t.Errorf("a query is sent as %v", query)
		}
		for _, other := range []*Config{ptr(configOf(t, s, host(linux, "aarch64"))), ptr(configOf(t, s, host("", ""))), ptr(configOf(t, s, host("haiku", "x86_64")))} {
			if other.ETag != c.ETag {
				t.Error("another architecture or an unknown platform does not fall back to Linux")
			}
		}
		if d := decodedConfig(t, configOf(t, s, host(windows, "x86")).Plain); d.Schedule["services"] == nil || d.Options["enable_file_events"] != nil {
			t.Errorf("Windows gets %v", d.Schedule)
		}
		if d := decodedConfig(t, configOf(t, s, host(darwin, "arm64e")).Plain); d.Schedule["apps"] == nil {
			t.Errorf("macOS gets %v", d.Schedule)
		}
		if d := decodedConfig(t, configOf(t, s, host(freebsd, "amd64")).Plain); d.Schedule["users"] == nil || d.Schedule["kernel_modules"] != nil {
			t.Errorf("FreeBSD gets %v", d.Schedule)
		}
	})
}

func ptr[T any](v T) *T { return &v }

func TestPacksByTagAndPlatform(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		add(t, s, parsed(t, "win", `{"platform":"windows","queries":{"q":{"query":"select 1","interval":60}}}`, "lab"))
		add(t, s, parsed(t, "mac queries", `{"queries":{"q":{"query":"select 1","platform":"darwin"}}}`, "lab"))
		add(t, s, parsed(t, "untagged", `{"queries":{"q":{"query":"select 1"}}}`))
		tests := []struct {
			name     string
			platform string
			tags     []string
			want     string
		}{
			{"a host without tags has no packs", linux, nil, ""},
			{"the built-in packs have their names as tags", linux, []string{"health", "inventory"}, "health inventory"},
			{"packs whose platform never matches are left out", linux, []string{"lab"}, ""},
			{"a pack is kept where it runs", windows, []string{"lab"}, "win"},
			{"a pack whose queries all run elsewhere is left out too", darwin, []string{"lab", "other"}, "mac queries"},
		}
		for _, test := range tests {
			if got := packNames(t, s, host(test.platform, "x86_64", test.tags...)); got != test.want {
				t.Errorf("%s: got %q, want %q", test.name, got, test.want)
			}
		}
	})
}

func TestETag(t *testing.T) {
	s := loaded(t, dbtest.Open(t, database.SQLite), Options{})
	plain, tagged := configOf(t, s, host(linux, "x86_64")), configOf(t, s, host(linux, "x86_64", "inventory"))
	if plain.ETag == tagged.ETag || plain.ETag == "" || plain.ETag == "ok" {
		t.Errorf("etags %q and %q", plain.ETag, tagged.ETag)
	}
	got := decodedConfig(t, tagged.WithETag)
	if got.ETag == nil || *got.ETag != tagged.ETag {
		t.Errorf("the config carries %v", got.ETag)
	}
	if err := Validate(tagged.WithETag); err != nil {
		t.Error(err)
	}
	// An agent takes the last member out and hashes what is left.
	rest, found := bytes.CutSuffix(tagged.WithETag, []byte(`,"etag":"`+tagged.ETag+`"}`))
	if !found || !bytes.Equal(append(bytes.Clone(rest), '}'), tagged.Plain) {
		t.Error("without its etag it is not the plain config")
	}
	if again := newConfig(bytes.Clone(tagged.Plain)); again.ETag != tagged.ETag {
		t.Error("the same bytes have another etag")
	}
}

func TestBytesAreStable(t *testing.T) {
	var first Config
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		h := host(linux, "x86_64", "health", "inventory", "security", "zoo")
		s := loaded(t, db, Options{})
		add(t, s, parsed(t, "zoo", `{"queries":{"b":{"query":"select '<\u2028>'"},"a":{"query":"select 1","snapshot":true}}}`, "zoo", "inventory"))
		c := configOf(t, s, h)
		if other := configOf(t, loaded(t, db, Options{}), h); !bytes.Equal(other.WithETag, c.WithETag) {
			t.Error("another replica sends other bytes")
		}
		if err := s.SetPackTags(t.Context(), "zoo", []string{"inventory", "zoo", "more"}); err != nil {
			t.Fatal(err)
		}
		if again := configOf(t, s, h); again.ETag != c.ETag {
			t.Error("rendered again, it is other bytes")
		}
		if first.ETag == "" {
			first = c
		} else if first.ETag != c.ETag {
			t.Error("the engines' configs differ")
		}
	})
}

func TestAChangeReachesOnlyItsHosts(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		tagged, other := host(linux, "x86_64", "inventory"), host(linux, "x86_64", "health")
		before, same := configOf(t, s, tagged), configOf(t, s, other)
		add(t, s, parsed(t, "more", `{"queries":{"q":{"query":"select 1"}}}`, "inventory"))
		if configOf(t, s, tagged).ETag == before.ETag {
			t.Error("the pack does not reach the hosts of its tag")
		}
		if configOf(t, s, other).ETag != same.ETag {
			t.Error("the pack changes the config of other hosts")
		}
		if err := s.SetPackTags(t.Context(), "more", nil); err != nil {
			t.Fatal(err)
		}
		if configOf(t, s, tagged).ETag != before.ETag {
			t.Error("without its tag the pack stays")
		}
		// A host whose tags change is a host of another group.
		if configOf(t, s, host(linux, "x86_64", "health", "unused")).ETag != same.ETag {
			t.Error("a tag that selects nothing makes another config")
		}
	})
}

func TestReplicasConverge(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		hints := bus.NewMemory()
		here := New(db, hints, quiet(), Options{Poll: time.Hour})
		byHint := New(db, hints, quiet(), Options{Poll: time.Hour})
		byPoll := New(db, bus.NewMemory(), quiet(), Options{Poll: 10 * time.Millisecond})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer stop()
		for _, s := range []*Store{here, byHint, byPoll} {
			if err := s.Load(ctx); err != nil {
				t.Fatal(err)
			}
			running.Go(func() { s.Run(ctx) })
		}
		converge := func(what string) {
			h := host(linux, "x86_64", "inventory")
			want := configOf(t, here, h).ETag
			eventually(t, what+" by hint", func() bool { return configOf(t, byHint, h).ETag == want })
			eventually(t, what+" by poll", func() bool { return configOf(t, byPoll, h).ETag == want })
		}
		if err := here.SetOptions(ctx, map[string]any{"verbose": true}); err != nil {
			t.Fatal(err)
		}
		converge("options")
		add(t, here, parsed(t, "p", `{"queries":{"q":{"query":"select 1"}}}`, "inventory"))
		converge("a pack")
		if err := here.SetPackTags(ctx, "p", []string{"nobody"}); err != nil {
			t.Fatal(err)
		}
		converge("a tag")
		exec(t, db, "DELETE FROM packs WHERE name = 'inventory'")
		here.changed(ctx)
		converge("a pack that is gone")
		if got := packNames(t, byHint, host(linux, "x86_64", "inventory")); got != "" {
			t.Errorf("the deleted pack is still there: %s", got)
		}
	})
}

func TestStorageFailsAfterTheStart(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		log := &journal{}
		s := New(db, bus.NewMemory(), log.logger(), Options{Poll: time.Millisecond})
		if err := s.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		before, later := configOf(t, s, host(linux, "x86_64")), known(t, s, host(darwin, "arm64", "health"))
		_ = db.Close()
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer stop()
		running.Go(func() { s.Run(ctx) })
		eventually(t, "a warning", func() bool { return log.has("cannot be read again") })
		if configOf(t, s, host(linux, "x86_64")).ETag != before.ETag {
			t.Error("the config changed")
		}
		if got := packNames(t, s, later); got != "health" {
			t.Errorf("a group that nobody asked for before gets %q", got)
		}
	})
}

func TestFullConfig(t *testing.T) {
	s := loaded(t, dbtest.Open(t, database.SQLite), Options{})
	full, err := s.FullConfig(t.Context(), known(t, s, host(darwin, "arm64", "health")))
	if err != nil {
		t.Fatal(err)
	}
	q := full.Queries["users"]
	if q.ID == 0 || q.Interval != 3600 || !q.Status || q.Description == "" || !q.Removed {
		t.Errorf("users is %+v", q)
	}
	if len(full.FilePaths["accounts"]) == 0 || full.Filters["file_paths"] != nil {
		t.Errorf("file paths %v, filters %v", full.FilePaths, full.Filters)
	}
	if full.Options["distributed_interval"] != int64(10) || full.Options["enable_file_events"] != true {
		t.Errorf("options %v", full.Options)
	}
	if len(full.Packs) != 1 || !full.Packs[0].Builtin || !reflect.DeepEqual(full.Packs[0].Tags, []string{"health"}) || full.Packs[0].Queries["info"].ID == 0 {
		t.Errorf("packs %+v", full.Packs)
	}
	sent := decodedConfig(t, configOf(t, s, host(darwin, "arm64", "health")).Plain)
	for name := range full.Queries {
		if sent.Schedule[name] == nil {
			t.Errorf("%s is shown but not sent", name)
		}
	}
}

func TestConfigsAndFilters(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		put := func(platform, arch, kind string, active int, document string) {
			exec(t, db, `INSERT INTO configs (platform, arch, type, active, document, created_at, updated_at) VALUES (?, ?, ?, ?, ?, 1, 1)`,
				platform, arch, kind, active, document)
		}
		put(linux, "arm64", "default", 1, `{"queries":{"on":{"query":"select 1","interval":9},"off":{"query":"select 1","status":false}},
			"filters":{"events":{"disable_subscribers":["user_events"]},"plgx_event_filters":{"any":[1,{"a":null}]}}}`)
		put(windows, "x86_64", "lab", 0, `{"queries":{"deep":{"query":"select 1"}}}`)
		s.changed(t.Context())
		c := configOf(t, s, host(linux, "aarch64"))
		got := decodedConfig(t, c.Plain)
		if len(got.Schedule) != 1 || got.Schedule["on"] == nil {
			t.Errorf("schedule %v", got.Schedule)
		}
		if !strings.Contains(string(c.Plain), `"plgx_event_filters":{"any":[1,{"a":null}]}`) || !strings.Contains(string(c.Plain), `"events":{"disable`) {
			t.Errorf("the filters are not top-level keys: %s", c.Plain)
		}
		if decodedConfig(t, configOf(t, s, host(windows, "arm64")).Plain).Schedule["deep"] != nil {
			t.Error("a config that is not active is sent")
		}
		full, _ := s.FullConfig(t.Context(), host(linux, "arm64"))
		if _, shown := full.Queries["off"]; shown || len(full.Queries) != 1 {
			t.Errorf("a query that is switched off is shown: %+v", full.Queries)
		}
	})
}
