package schedule

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/fault"
)

func TestQueriesAreStored(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		priority := 3
		wanted := StoredQuery{Name: "a / b ", Query: Query{SQL: "select 1", Interval: 60, Platform: "linux", Version: "5.0.0", Description: "d",
			Value: "v", Snapshot: true, Denylist: true, Shard: 10, StartupPriority: &priority, Tags: []string{" web ", "lab", "web"}, Packs: []string{"health", "nothing"}}}
		added, err := s.AddQuery(t.Context(), wanted)
		if err != nil {
			t.Fatal(err)
		}
		found, err := s.FindQuery(t.Context(), strconv.FormatInt(added.ID, 10))
		if err != nil || !reflect.DeepEqual(found, added) {
			t.Errorf("found %+v %v, added %+v", found, err, added)
		}
		wanted.ID, wanted.Created, wanted.Updated, wanted.Status = added.ID, added.Created, added.Updated, true
		wanted.Tags, wanted.Packs = []string{"lab", "web"}, []string{"health"}
		if byName, err := s.FindQuery(t.Context(), "a / b "); err != nil || !reflect.DeepEqual(byName, wanted) {
			t.Errorf("by name %+v %v", byName, err)
		}
		if _, err := s.AddQuery(t.Context(), wanted); !fault.Is(err, fault.Conflict) {
			t.Errorf("added again: %v", err)
		}
		before, after, err := s.UpdateQuery(t.Context(), "a / b ", func(q *StoredQuery) error {
			q.Name, q.SQL, q.Tags, q.Packs = "c", "select 2", []string{"lab"}, []string{"inventory"}
			return nil
		})
		if err != nil || !reflect.DeepEqual(before, wanted) || after.Name != "c" || after.ID != added.ID || strings.Join(after.Tags, " ") != "lab" ||
			strings.Join(after.Packs, " ") != "inventory" || !after.Updated.After(before.Updated) || after.Description != "d" {
			t.Errorf("updated %+v to %+v: %v", before, after, err)
		}
		refused := errors.New("no")
		if _, _, err := s.UpdateQuery(t.Context(), "c", func(*StoredQuery) error { return refused }); !errors.Is(err, refused) {
			t.Errorf("a change that is refused: %v", err)
		}
		if _, _, err := s.UpdateQuery(t.Context(), "c", func(q *StoredQuery) error { q.Name = "info"; return nil }); !fault.Is(err, fault.Conflict) {
			t.Errorf("a name that a query of a pack has: %v", err)
		}
		if deleted, err := s.DeleteQuery(t.Context(), "c"); err != nil || !reflect.DeepEqual(deleted, after) {
			t.Errorf("deleted %+v %v", deleted, err)
		}
		for name, err := range map[string]error{
			"find": second(s.FindQuery(t.Context(), "c")), "delete": second(s.DeleteQuery(t.Context(), "c")), "tags": s.SetQueryTags(t.Context(), "c", nil),
		} {
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestListQueries(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		_, _, shipped, err := s.ListQueries(t.Context(), QueryFilter{})
		if err != nil || shipped < 50 {
			t.Fatal(shipped, err)
		}
		addQuery(t, s, "Zebra", "select 'ÄNY' as a", "lab")
		addQuery(t, s, "aardvark", "select '100%'", "lab")
		ids := known(t, s, host(linux, "", "lab")).TagIDs
		tests := []struct {
			name                string
			filter              QueryFilter
			want                string
			count, total, start int
		}{
			{"by tag, in the order of names", QueryFilter{TagIDs: ids}, "Zebra aardvark", 2, 2, 0},
			{"a page", QueryFilter{TagIDs: ids, Start: 1, Limit: 5}, "aardvark", 2, 2, 0},
			{"a page beyond the end", QueryFilter{TagIDs: ids, Start: 5}, "", 2, 2, 0},
			{"a search in any case, beyond ASCII", QueryFilter{Search: " äny "}, "Zebra", 1, shipped + 2, 0},
			{"a search is no pattern", QueryFilter{Search: "0%"}, "aardvark", 1, shipped + 2, 0},
			{"none of no tags", QueryFilter{TagIDs: []int64{}}, "", 0, 0, 0},
			{"packed ones only", QueryFilter{Packed: true, Search: "aardvark"}, "", 0, shipped, 0},
		}
		for _, test := range tests {
			queries, count, total, err := s.ListQueries(t.Context(), test.filter)
			var names []string
			for _, q := range queries {
				names = append(names, q.Name)
			}
			if err != nil || strings.Join(names, " ") != test.want || count != test.count || total != test.total {
				t.Errorf("%s: %v of %d of %d, %v", test.name, names, count, total, err)
			}
		}
	})
}

func TestPacksShareAndReplaceQueries(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		alone := addQuery(t, s, "mine", "select 0", "lab")
		const one, other = `{"queries":{"q":{"query":"select 1"},"r":{"query":"select 2"}}}`, `{"queries":{"q":{"query":"select 1","interval":"3600"},"r":{"query":"select 3"}}}`
		a, b := add(t, s, parsed(t, "a", one)), add(t, s, parsed(t, "b", other))
		if a.Queries["q"].ID != b.Queries["q"].ID || strings.Join(b.Queries["q"].Packs, " ") != "a b" {
			t.Errorf("the same query is stored twice: %+v %+v", a.Queries["q"], b.Queries["q"])
		}
		if a.Queries["r"].ID == b.Queries["r"].ID {
			t.Error("another query of the name replaces the first")
		}
		for name, err := range map[string]error{"find": second(s.FindQuery(t.Context(), "r")), "delete": second(s.DeleteQuery(t.Context(), "r"))} {
			if !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Public(err), "use the id") {
				t.Errorf("%s by a name that two queries have: %v", name, err)
			}
		}
		// A new version of a pack: what it alone has changes in place, what it shares does not.
		again := add(t, s, parsed(t, "b", `{"description":"new","queries":{"q":{"query":"select 9"},"r":{"query":"select 8"}}}`))
		if again.ID != b.ID || again.Queries["r"].ID != b.Queries["r"].ID || again.Queries["r"].SQL != "select 8" || again.Description != "new" {
			t.Errorf("merged %+v", again)
		}
		if again.Queries["q"].ID == a.Queries["q"].ID || again.Queries["q"].SQL != "select 9" {
			t.Errorf("a shared query is %+v", again.Queries["q"])
		}
		if still, err := s.FindPack(t.Context(), "a"); err != nil || still.Queries["q"].SQL != "select 1" || strings.Join(still.Queries["q"].Packs, " ") != "a" {
			t.Errorf("the other pack has %+v %v", still.Queries["q"], err)
		}
		// Deleting a pack takes what came with it alone and nobody tagged.
		if err := s.AddQueryTag(t.Context(), strconv.FormatInt(again.Queries["r"].ID, 10), "lab"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.UpdateQuery(t.Context(), "mine", func(q *StoredQuery) error { q.Packs = []string{"b"}; return nil }); err != nil {
			t.Fatal(err)
		}
		if deleted, err := s.DeletePack(t.Context(), strconv.FormatInt(b.ID, 10)); err != nil || len(deleted.Queries) != 3 {
			t.Errorf("deleted %+v %v", deleted, err)
		}
		for id, stays := range map[int64]bool{alone.ID: true, again.Queries["r"].ID: true, again.Queries["q"].ID: false, a.Queries["q"].ID: true} {
			if _, err := s.FindQuery(t.Context(), strconv.FormatInt(id, 10)); (err == nil) != stays {
				t.Errorf("query %d: %v", id, err)
			}
		}
		if _, err := s.DeletePack(t.Context(), "b"); !fault.Is(err, fault.NotFound) {
			t.Errorf("deleted again: %v", err)
		}
	})
}

func TestAPackHoldsOneQueryOfAName(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		add(t, s, parsed(t, "a", `{"queries":{"q":{"query":"select 1"}}}`))
		b := add(t, s, parsed(t, "b", `{"queries":{"q":{"query":"select 2"}}}`))
		_, _, err := s.UpdateQuery(t.Context(), strconv.FormatInt(b.Queries["q"].ID, 10), func(q *StoredQuery) error {
			q.Packs = []string{"a", "b"}
			return nil
		})
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("a second query of the name is put into a pack: %v", err)
		}
	})
}

func TestPacksAreStored(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		p := parsed(t, "lab", `{"description":"d","category":"General","author":"me","queries":{"q":{"query":"select 1","interval":60,"value":"v","x":[1]}}}`, " b ", "a", "b")
		added, warnings, err := s.AddPack(t.Context(), p)
		if err != nil || len(warnings) > 0 {
			t.Fatal(warnings, err)
		}
		listed, count, total, err := s.ListPacks(t.Context(), PackFilter{})
		if err != nil || count != 4 || total != 4 || !reflect.DeepEqual(listed[0], added) || strings.Join(added.Tags, " ") != "a b" || added.Builtin {
			t.Errorf("listed %+v %v, added %+v", listed, err, added)
		}
		if added.Other["author"] != "me" || added.Queries["q"].Other["x"] == nil || added.Queries["q"].Value != "v" {
			t.Errorf("stored %+v", added)
		}
		for search, want := range map[string]int{"LAB": 1, "general": 1, "what happens": 1, "nothing": 0} {
			if _, count, _, err := s.ListPacks(t.Context(), PackFilter{Search: search}); err != nil || count != want {
				t.Errorf("search for %s finds %d, %v", search, count, err)
			}
		}
		if byTag, _, _, err := s.ListPacks(t.Context(), PackFilter{TagIDs: known(t, s, host(linux, "", "a")).TagIDs, Limit: 1}); err != nil || len(byTag) != 1 {
			t.Errorf("by tag: %v %v", byTag, err)
		}
		if err := s.SetPackTags(t.Context(), "nothing", nil); !fault.Is(err, fault.NotFound) {
			t.Errorf("tags of no pack: %v", err)
		}
		for _, tag := range []string{"", "a,b", strings.Repeat("x", 256)} {
			if err := s.SetPackTags(t.Context(), "lab", []string{tag}); !fault.Is(err, fault.Invalid) {
				t.Errorf("tag %q: %v", tag, err)
			}
		}
		p.Name, p.Queries = "bad", map[string]Query{"epoch": {SQL: "select 1", Interval: 1}}
		if _, _, err := s.AddPack(t.Context(), p); !fault.Is(err, fault.Unprocessable) {
			t.Errorf("a reserved name: %v", err)
		}
		exec(t, db, "UPDATE packs SET document = '{' WHERE name = 'lab'")
		if listed, _, _, err = s.ListPacks(t.Context(), PackFilter{}); err != nil || len(listed) != 4 || listed[0].Name != "lab" || len(listed[0].Queries) != 1 {
			t.Errorf("a broken pack is listed as %+v, %v", listed[0], err)
		}
	})
}

func TestAnImportIsAllOrNothing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		good := parsed(t, "good", `{"queries":{"q":{"query":"select 1"}}}`)
		full := huge(t, "full", 700<<10)
		add(t, s, full)
		more := huge(t, "full", 700<<10)
		for name, q := range more.Queries {
			delete(more.Queries, name)
			q.SQL += " as again"
			more.Queries["more "+name] = q
		}
		if _, _, err := s.ImportPacks(t.Context(), []Pack{good, more}); !fault.Is(err, fault.Unprocessable) {
			t.Errorf("a pack that grows too large: %v", err)
		}
		if _, err := s.FindPack(t.Context(), "good"); !fault.Is(err, fault.NotFound) {
			t.Errorf("the other pack: %v", err)
		}
	})
}

func TestInsideATransactionNothingIsServed(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		s := loaded(t, db, Options{})
		h := host(linux, "x86_64", "lab")
		was := configOf(t, s, h).ETag
		undone := errors.New("undone")
		err := db.Tx(t.Context(), func(tx *database.DB) error {
			inside := s.With(tx)
			add(t, inside, parsed(t, "p", `{"queries":{"q":{"query":"select 1"}}}`, "lab"))
			addQuery(t, inside, "q2", "select 2", "lab")
			if _, err := inside.FindPack(t.Context(), "p"); err != nil {
				t.Error(err)
			}
			next, err := inside.build(t.Context(), tx, s.current.Load())
			if err != nil {
				t.Fatal(err)
			}
			would := known(t, inside, h)
			if got := next.choose(linux, would.TagIDs); len(got.packs) != 1 || len(got.queries) != 1 {
				t.Errorf("it would be %+v", got)
			}
			return undone
		})
		if !errors.Is(err, undone) && !strings.Contains(err.Error(), "undone") {
			t.Fatal(err)
		}
		if err := s.Refresh(t.Context()); err != nil || configOf(t, s, h).ETag != was {
			t.Error("what was undone is served")
		}
	})
}
