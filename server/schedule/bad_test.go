package schedule

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
	"muster/server/hosts"
)

// huge is a pack of about size bytes, in queries as long as osquery.MaxLength allows.
func huge(t testing.TB, name string, size int, tags ...string) Pack {
	t.Helper()
	const length = 50 << 10
	p := Pack{Name: name, Queries: map[string]Query{}, Tags: tags}
	for i := 0; size > 0; i++ {
		p.Queries[fmt.Sprintf("q%02d", i)] = Query{SQL: "select '" + strings.Repeat("x", min(length, size)) + "'", Interval: 60, Removed: true, Denylist: true}
		size -= length
	}
	return p
}

func TestBadDocumentsNeverEmptyAConfig(t *testing.T) {
	bad := []struct{ name, document string }{
		{"nothing", ""},
		{"no JSON", "{"},
		{"no object", "[]"},
		{"a reserved name", `{"queries":{"boot_epoch":{"query":"select 1"}}}`},
		{"an interval of a year", `{"queries":{"q":{"query":"select 1","interval":31536000}}}`},
		{"a control key", `{"queries":{},"filters":{"node_invalid":true}}`},
		{"a filter of the wrong form", `{"queries":{},"filters":{"file_paths":["/etc"]}}`},
		{"an option of the wrong form", `{"options":{"a":[]}}`},
		{"too much", `{"queries":{"q":{"query":"` + strings.Repeat("x", MaxSize) + `"}}}`},
	}
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		log := &journal{}
		s := New(db, bus.NewMemory(), log.logger(), Options{})
		if err := s.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		h := host(linux, "x86_64", "inventory")
		before := configOf(t, s, h).ETag
		for i, test := range bad {
			exec(t, db, "UPDATE configs SET document = ?, updated_at = ? WHERE platform = 'linux'", test.document, i)
			exec(t, db, "UPDATE packs SET document = ?, updated_at = ? WHERE name = 'inventory'", test.document, i)
			exec(t, db, "UPDATE queries SET document = ?, updated_at = ? WHERE id IN (SELECT query_id FROM pack_queries JOIN packs ON packs.id = pack_id WHERE packs.name = 'inventory')",
				test.document, i)
			s.changed(t.Context())
			if configOf(t, s, h).ETag != before {
				t.Errorf("%s: the last good config is not kept", test.name)
			}
			fresh := New(db, bus.NewMemory(), quiet(), Options{})
			if err := fresh.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			if d := decodedConfig(t, configOf(t, fresh, h).Plain); d.Schedule["users"] == nil || len(d.Packs) != 0 {
				t.Errorf("%s: a replica that starts now does not serve what ships", test.name)
			}
		}
		if !log.has("a stored config cannot be used", "a stored pack cannot be used", "a stored query cannot be used", "inventory") {
			t.Error("the log does not say so")
		}
	})
}

func TestABadQueryCostsItsPackOnlyItself(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		add(t, s, parsed(t, "lab", `{"queries":{"good":{"query":"select 1"},"bad":{"query":"select 2"}}}`, "lab"))
		h := host(linux, "x86_64", "lab")
		before := configOf(t, s, h)
		exec(t, db, "UPDATE queries SET document = '{', updated_at = 1 WHERE name = 'bad'")
		s.changed(t.Context())
		if configOf(t, s, h).ETag != before.ETag {
			t.Error("the last good form is not kept")
		}
		fresh := New(db, bus.NewMemory(), quiet(), Options{})
		if err := fresh.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		queries := decodedConfig(t, configOf(t, fresh, h).Plain).Packs["lab"].Queries
		if len(queries) != 1 || queries["good"] == nil {
			t.Errorf("a replica that starts now sends %v", queries)
		}
	})
}

func TestBadOptionsKeepTheLastGoodOnes(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		if err := s.SetOptions(t.Context(), map[string]any{"verbose": true}); err != nil {
			t.Fatal(err)
		}
		h := host(windows, "x86_64")
		before := configOf(t, s, h).ETag
		for _, text := range []string{`[]`, `{`, `{"a":[1]}`, `{"a":1.5}`, ``} {
			exec(t, db, "UPDATE settings SET value = ? WHERE name = 'options'", text)
			s.changed(t.Context())
			if text == "" {
				break // nothing stored is no mistake
			}
			if configOf(t, s, h).ETag != before {
				t.Errorf("%s: the last good options are not kept", text)
			}
			if _, err := s.Options(t.Context()); err == nil {
				t.Errorf("%s is read", text)
			}
		}
		if decodedConfig(t, configOf(t, s, h).Plain).Options["verbose"] != nil {
			t.Error("options that are gone are sent")
		}
	})
}

func TestOversizeFallsBack(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		log := &journal{}
		s := New(db, bus.NewMemory(), log.logger(), Options{})
		if err := s.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		h := host(linux, "x86_64", "health", "lab")
		add(t, s, huge(t, "one", 600<<10, "lab"))
		before := configOf(t, s, h).ETag
		add(t, s, huge(t, "two", 700<<10, "lab"))
		if configOf(t, s, h).ETag != before {
			t.Error("the group does not keep its last good config")
		}
		// The last good one survives changes that nobody asked a config in between of.
		for range 3 {
			s.refreshAfter(t, db)
		}
		if configOf(t, s, h).ETag != before {
			t.Error("the last good config is forgotten")
		}
		// A replica that never had a good one leaves out what is largest.
		fresh := New(db, bus.NewMemory(), log.logger(), Options{})
		if err := fresh.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		packs := decodedConfig(t, configOf(t, fresh, h).Plain).Packs
		if _, left := packs["two"]; left || len(packs) != 2 {
			t.Errorf("%d packs, the largest among them: %v", len(packs), left)
		}
		if !log.has("keep the last good one", "a pack is left out", "pack=two") {
			t.Error("the log does not say so")
		}
		_, _, err := s.AddPack(t.Context(), huge(t, "three", MaxSize-100, "lab"))
		if !fault.Is(err, fault.Unprocessable) {
			t.Errorf("a pack larger than a config: %v", err)
		}
	})
}

// refreshAfter makes a new snapshot out of a change that concerns no host.
func (s *Store) refreshAfter(t *testing.T, db *database.DB) {
	t.Helper()
	exec(t, db, "UPDATE configs SET updated_at = updated_at + 1 WHERE platform = 'windows'")
	s.changed(t.Context())
}

func TestTheCacheIsBounded(t *testing.T) {
	const limit, groups = 128 << 10, 32
	s := loaded(t, dbtest.Open(t, database.SQLite), Options{CacheBytes: limit})
	var p Pack
	for i := range groups {
		p = parsed(t, "p", `{"queries":{"q":{"query":"select 1"}}}`)
		p.Name, p.Tags = fmt.Sprintf("p%02d", i), []string{fmt.Sprintf("t%02d", i)}
		add(t, s, p)
	}
	for range 2 {
		for i := range groups {
			h := host(linux, "x86_64", fmt.Sprintf("t%02d", i))
			if got := packNames(t, s, h); got != fmt.Sprintf("p%02d", i) {
				t.Fatalf("host %d runs %q", i, got)
			}
		}
		s.refreshAfter(t, s.db)
	}
	cache := &s.current.Load().cache
	held := 0
	for _, plain := range cache.lastGood {
		held += len(plain)
	}
	if held > limit || held == 0 {
		t.Errorf("%d bytes of last good configs", held)
	}
	for i := range groups {
		configOf(t, s, host(linux, "x86_64", fmt.Sprintf("t%02d", i)))
	}
	held = 0
	for _, g := range cache.groups {
		held += g.rendered.Load().size()
	}
	if held > limit || held != cache.bytes {
		t.Errorf("%d bytes cached, %d counted", held, cache.bytes)
	}
}

func BenchmarkConfigFor(b *testing.B) {
	s := loaded(b, dbtest.Open(b, database.SQLite), Options{})
	h := known(b, s, host(linux, "x86_64", "health", "inventory", "office", "security"))
	configOf(b, s, h)
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.ConfigFor(ctx, h); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRender(b *testing.B) {
	s := loaded(b, dbtest.Open(b, database.SQLite), Options{})
	h := known(b, s, host(linux, "x86_64", "health", "inventory", "security"))
	now := s.current.Load()
	b.ReportAllocs()
	for b.Loop() {
		now.render("", now.configFor(linux, "x86_64"), h)
	}
	b.SetBytes(int64(len(configOf(b, s, h).Plain)))
}

func TestConfigForAllocatesNothing(t *testing.T) {
	s := loaded(t, dbtest.Open(t, database.SQLite), Options{})
	h := known(t, s, host(linux, "x86_64", "health", "inventory", "office", "security"))
	configOf(t, s, h)
	ctx := context.Background()
	if n := testing.AllocsPerRun(100, func() { _, _ = s.ConfigFor(ctx, h) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestManyHostsAskAtOnce(t *testing.T) {
	s := loaded(t, dbtest.Open(t, database.SQLite), Options{})
	tagged := known(t, s, host(linux, "x86_64", "security"))
	got := make(chan string)
	for i := range 64 {
		go func() {
			h := &hosts.Host{ID: int64(i), Platform: linux, Arch: "x86_64", Tags: tagged.Tags, TagIDs: tagged.TagIDs}
			c, _ := s.ConfigFor(context.Background(), h)
			got <- c.ETag
		}()
	}
	first := <-got
	for range 63 {
		if other := <-got; other != first || other == "" {
			t.Errorf("etags %q and %q", first, other)
		}
	}
}
