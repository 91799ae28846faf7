package schedule

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestWhatOsqueryReadsInAPackIsSent(t *testing.T) {
	p, warnings, err := ParsePack("p", []byte(`{
		"queries": {"q": {"query": "select 1", "interval": 60}},
		"decorators": {"load": ["select version from osquery_info"]},
		"views": {"v": "select 1"},
		"maintainer": "somebody"
	}`))
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(warnings, "\n"); strings.Contains(text, "decorators") || !strings.Contains(text, "maintainer is kept, but agents do not get it") {
		t.Errorf("warnings: %s", text)
	}
	var sent, stored map[string]any
	if json.Unmarshal(appendJSON(nil, p.object(false)), &sent) != nil || json.Unmarshal([]byte(p.document()), &stored) != nil {
		t.Fatal("no JSON")
	}
	for key, there := range map[string]bool{"decorators": true, "views": true, "maintainer": false} {
		if _, found := sent[key]; found != there {
			t.Errorf("%s is sent: %v", key, found)
		}
		if _, found := stored[key]; !found {
			t.Errorf("%s is not stored", key)
		}
	}
	_, _, err = ParsePack("p", []byte(`{"queries": {"q": {"query": "select 1"}}, "decorators": ["select 1"]}`))
	if err == nil || !strings.Contains(err.Error(), "decorators") {
		t.Errorf("a list of decorators is taken: %v", err)
	}
}
