package adminapi

import (
	"testing"

	"muster/server/carves"
	"muster/server/distributed"
)

func TestTheCarveOfALiveQuery(t *testing.T) {
	each(t, func(w *world) {
		ctx := t.Context()
		const web, desk = "11111111-AAAA-4AAA-8AAA-111111111111", "22222222-BBBB-4BBB-8BBB-222222222222"
		for range 2 {
			_, err := w.deps.Distributed.Launch(ctx, distributed.Launch{SQL: "select 1", Username: "admin"})
			w.ok(err)
		}
		guid := "3ecdb82c-5d6f-4c0f-b532-bdcb2588894d"
		w.ok(w.deps.Carves.Requested(ctx, 1, guid, 1))
		session, err := w.deps.Carves.Start(ctx, 1, carves.Start{GUID: guid, RequestID: "r1", Size: 7, BlockSize: 300000, BlockCount: 1})
		w.ok(err)
		w.scrub = append(w.scrub, session, "SESSION-1")
		for _, test := range []struct{ name, query, host string }{
			{"carve_query", "1", web},
			{"carve_query_not_started", "1", desk},
			{"carve_query_not_started", "2", web},
			{"carve_query_unknown", "99", web},
			{"carve_query_no_number", "one", web},
			{"carve_query_no_host", "1", "nobody"},
		} {
			w.expect(test.name, "POST", "/carves/query", map[string]any{"query_id": test.query, "host_identifier": test.host})
		}
		w.expect("carve_query", "POST", "/carves/query", map[string]any{"query_id": 1, "host_identifier": web})
		w.expect("carve_query_missing", "POST", "/carves/query", nil)
	})
}
