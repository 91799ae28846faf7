package adminapi

import (
	"net/http"
	"strings"
	"testing"

	"muster/server/database"
	"muster/server/database/dbtest"
)

// A dry run that asks for a second connection stops for good when others have the
// rest, and with it everything else that wants one.
func TestADryRunNeedsOneConnection(t *testing.T) {
	url := dbtest.URL(t, database.Postgres)
	mark := "?"
	if strings.Contains(url, mark) {
		mark = "&"
	}
	db, err := database.Open(t.Context(), url+mark+"pool_max_conns=1&pool_min_conns=0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w := newWorld(t, db)
	w.carryTag("blue")
	query := map[string]any{"query": "select 1", "interval": 60}
	for _, c := range []struct {
		method, path string
		send         map[string]any
	}{
		{"POST", "/tags/rename", map[string]any{"tag": "blue", "new_tag": "green"}},
		{"POST", "/tags/delete", map[string]any{"tag": "blue"}},
		{"POST", "/hosts/2/tags", map[string]any{"tag": "blue"}},
		{"DELETE", "/hosts/1/tags", map[string]any{"tag": "blue"}},
		{"POST", "/options/add", map[string]any{"option": map[string]any{"schedule_splay_percent": 5}}},
		{"POST", "/packs/add", map[string]any{"name": "new", "queries": map[string]any{"q": query}}},
		{"POST", "/packs/blue-pack/tags", map[string]any{"tag": "green"}},
		{"DELETE", "/packs/blue-pack/tags", map[string]any{"tag": "blue"}},
		{"DELETE", "/packs/blue-pack/delete", map[string]any{}},
		{"POST", "/queries/add", map[string]any{"name": "new", "query": "select 1", "interval": 60}},
		{"POST", "/queries/blue%20query/tags", map[string]any{"tag": "green"}},
		{"DELETE", "/queries/blue%20query/tags", map[string]any{"tag": "blue"}},
		{"DELETE", "/queries/blue%20query/delete", map[string]any{}},
	} {
		c.send["dry_run"] = true
		if status, body := w.do(c.method, c.path, c.send); status != http.StatusOK || !strings.Contains(string(body), "Dry run: nothing was changed") {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, body)
		}
	}
}
