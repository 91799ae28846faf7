package adminapi

import (
	"fmt"
	"testing"

	"muster/server/hosts"
	"muster/server/schedule"
	"muster/yara"
)

// carryTag puts the tag on a host, a pack, a query and a YARA file.
func (w *world) carryTag(tag string) {
	w.t.Helper()
	ctx := w.t.Context()
	w.ok(w.deps.Hosts.AddTag(ctx, 1, tag))
	query := schedule.Query{SQL: "select 1", Interval: 60, Removed: true, Denylist: true, Status: true}
	pack, _, err := w.deps.Schedule.AddPack(ctx, schedule.Pack{Name: tag + "-pack", Tags: []string{tag}, Queries: map[string]schedule.Query{"packed": query}})
	w.ok(err)
	query.SQL, query.Tags = "select 2", []string{tag, "lab"}
	stored, err := w.deps.Schedule.AddQuery(ctx, schedule.StoredQuery{Name: tag + " query", Query: query})
	w.ok(err)
	_, err = w.deps.YARA.Add(ctx, yara.NewFile{Name: tag + ".yara", Content: "rule r { condition: true }", Tags: []string{tag}})
	w.ok(err)
	// Ids depend on what ships with the server.
	for i, id := range []int64{pack.ID, pack.Queries["packed"].ID, stored.ID} {
		w.scrub = append(w.scrub, fmt.Sprintf(`"id":%d,`, id), fmt.Sprintf(`"id":%d,`, 1001+i))
	}
}

// onlyLab deletes the tags of what ships with the server.
func (w *world) onlyLab() {
	w.t.Helper()
	tags, _, _, err := w.deps.Hosts.ListTags(w.t.Context(), hosts.TagFilter{})
	w.ok(err)
	for _, tag := range tags {
		if tag.Value != "lab" {
			w.ok(w.deps.Hosts.DeleteTag(w.t.Context(), tag.Value))
		}
	}
}

func TestTags(t *testing.T) {
	each(t, func(w *world) {
		w.onlyLab()
		w.expect("tags_add", "POST", "/tags/add", map[string]any{"tag": " blue "})
		w.expect("tags_add_again", "POST", "/tags/add?tag=blue", nil)
		w.expect("tags_add_blank", "POST", "/tags/add", map[string]any{"tag": " "})
		w.expect("tags_add_comma", "POST", "/tags/add", map[string]any{"tag": "a,b"})
		w.expect("tags_add_dry", "POST", "/tags/add", map[string]any{"tag": "bluest", "dry_run": true})
		w.expect("tags_add_missing", "POST", "/tags/add", nil)
		w.carryTag("blue")
		w.do("POST", "/tags/add", map[string]any{"tag": "Bluer"})
		w.expect("tags_list", "GET", "/tags", map[string]any{"searchterm": "blu", "start": 0, "limit": "10"})
		w.expect("tags_list_page", "GET", "/tags?searchterm=BLU&start=1&limit=1", nil)
		w.expect("tags_list_none", "GET", "/tags?searchterm=%25", nil)
		w.expect("tags_list_wrong", "GET", "/tags?start=-1&limit=x", nil)
		w.ok(w.deps.Hosts.Remove(t.Context(), 1))
		w.expect("tags_list_removed", "GET", "/tags?searchterm=blue&limit=1&start=1", nil)
	})
}

func TestTagged(t *testing.T) {
	each(t, func(w *world) {
		w.carryTag("blue")
		w.expect("tagged", "POST", "/tags/tagged", map[string]any{"tags": "nothing, blue"})
		w.expect("tagged_unknown", "POST", "/tags/tagged", map[string]any{"tags": []string{"nothing", "a b"}})
		w.expect("tagged_unknown", "POST", "/tags/tagged", map[string]any{"tags": " "})
		w.expect("tagged_missing", "POST", "/tags/tagged", nil)
		w.expect("tagged_hosts", "POST", "/hosts/tagged", map[string]any{"tags": "blue,lab"})
		w.expect("tagged_packs", "POST", "/packs/tagged", map[string]any{"tags": "blue"})
		w.expect("tagged_queries", "POST", "/queries/tagged", map[string]any{"tags": "blue"})
		w.expect("tagged_unknown", "POST", "/queries/tagged", map[string]any{"tags": "nothing"})
	})
}

func TestTagsAreRenamedAndDeleted(t *testing.T) {
	each(t, func(w *world) {
		w.onlyLab()
		w.carryTag("blue")
		config := func() string {
			t.Helper()
			h, err := w.deps.Hosts.FindByID(t.Context(), 1)
			w.ok(err)
			c, err := w.deps.Schedule.ConfigFor(t.Context(), h)
			w.ok(err)
			return string(c.Plain)
		}
		before := config()
		w.expect("tags_rename_taken", "POST", "/tags/rename", map[string]any{"tag": "blue", "new_tag": "lab"})
		w.expect("tags_rename_unknown", "POST", "/tags/rename", map[string]any{"tag": "nothing", "new_tag": "x"})
		w.expect("tags_rename_blank", "POST", "/tags/rename", map[string]any{"tag": "blue", "new_tag": " "})
		w.expect("tags_rename_missing", "POST", "/tags/rename", map[string]any{"tag": "blue"})
		w.expect("tags_rename", "POST", "/tags/rename", map[string]any{"tag": "blue", "new_tag": "navy"})
		if config() != before {
			t.Error("a rename changed a config")
		}
		w.expect("tags_rename_dry", "POST", "/tags/rename", map[string]any{"tag": "navy", "new_tag": "red", "dry_run": true})
		w.expect("tags_delete_dry", "POST", "/tags/delete", map[string]any{"tag": "navy", "dry_run": true})
		w.expect("tags_delete_unknown", "POST", "/tags/delete", map[string]any{"tag": "blue", "dry_run": true})
		w.expect("host_tag_add_dry", "POST", "/hosts/2/tags?dry_run=true&tag=navy", nil)
		w.expect("host_tag_remove_dry", "DELETE", "/hosts/1/tags?dry_run=true&tag=navy", nil)
		if config() != before || len(w.audit()) != 3 {
			t.Errorf("a dry run changed something: %v", w.audit())
		}
		w.expect("tags_renamed", "GET", "/tags?searchterm=navy", nil)
		w.expect("tags_delete_unknown", "POST", "/tags/delete", map[string]any{"tag": "blue"})
		w.expect("tags_delete", "POST", "/tags/delete", map[string]any{"tag": "navy"})
		if config() == before {
			t.Error("the deletion of a tag changed no config")
		}
		w.expect("tags_delete_again", "POST", "/tags/delete", map[string]any{"tag": "navy"})
		w.expect("tags_deleted", "GET", "/tags", nil)
	})
}
