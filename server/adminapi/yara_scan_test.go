package adminapi

import (
	"fmt"
	"strings"
	"testing"

	"muster/server/carves"
	"muster/server/osquery"
	"muster/yara"
)

func TestAYARAFileBecomesALiveQuery(t *testing.T) {
	each(t, func(w *world) {
		w.uploaded("yara_add", "sample.yara", "rule sample { condition: true }\n", nil)
		f, err := w.deps.YARA.Find(t.Context(), "sample.yara")
		w.ok(err)
		w.scrub = append(w.scrub, f.Token, "YARA-TOKEN")
		w.expect("yara_scan", "POST", "/yara/scan", map[string]any{"file_name": "sample.yara", "paths": []string{"/tmp/%%", "/o'brien"}, "nodes": []string{webHost}})
		w.expect("yara_scan_query", "GET", "/live/1", nil)
		w.expect("yara_scan_unknown", "POST", "/yara/scan", map[string]any{"file_name": "other.yara", "paths": "/tmp", "nodes": webHost})
		w.expect("yara_scan_paths", "POST", "/yara/scan", map[string]any{"file_name": "sample.yara", "paths": []string{"/tmp", "/a\x01"}, "nodes": webHost})
		w.expect("yara_scan_many", "POST", "/yara/scan", map[string]any{"file_name": "sample.yara", "paths": strings.Split(strings.Repeat("/a,", 20)+"/b", ","), "nodes": webHost})
		w.expect("yara_scan_everybody", "POST", "/yara/scan", map[string]any{"file_name": "sample.yara", "paths": "/tmp"})
		trail := w.audit()[0]
		if trail.Action != "live.launch" || strings.Contains(fmt.Sprint(trail.Detail), f.Token) {
			t.Errorf("the trail has %s %v", trail.Action, trail.Detail)
		}
	})
}

func TestTheScanOfHostsIsAQueryThatOsqueryTakes(t *testing.T) {
	sql, err := scanSQL([]string{"/tmp/%%", "/etc/x' OR 1=1 --"}, "https://fleet.example.com/yara/token/a.yar")
	if err != nil {
		t.Fatal(err)
	}
	if err := osquery.Check(t.Context(), sql); err != nil {
		t.Errorf("%s: %v", sql, err)
	}
}

func TestHowACarveWasScanned(t *testing.T) {
	each(t, func(w *world) {
		ctx := t.Context()
		session, err := w.deps.Carves.Start(ctx, 1, carves.Start{GUID: "3ecdb82c-5d6f-4c0f-b532-bdcb2588894d", BlockSize: 1})
		w.ok(err)
		w.expect("carve_scan_none", "POST", "/carves/scan", map[string]any{"session_id": session})
		w.ok(w.deps.YARA.SaveScan(ctx, yara.CarveScan{CarveID: 1, SetSHA256: "x", Status: yara.Scanned, Members: 3, Matches: 2}))
		w.expect("carve_scan", "POST", "/carves/scan", map[string]any{"session_id": session})
		w.expect("carve_scan_unknown", "POST", "/carves/scan", map[string]any{"session_id": "nope"})
	})
}
