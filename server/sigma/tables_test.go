package sigma_test

import (
	"slices"
	"strings"
	"testing"

	"muster/server/condition"
	"muster/server/sigma"
)

// matchesAs asks a variant of a row that was added, removed or seen in a snapshot.
func matchesAs(t testing.TB, v sigma.Variant, row, action string) bool {
	t.Helper()
	tree, err := condition.Parse(v.Conditions, sigma.ConditionOptions())
	if err != nil {
		t.Fatal(err)
	}
	object := condition.Object{Own: map[string]string{"action": action}}
	if err := object.Load(row); err != nil {
		t.Fatal(err)
	}
	return tree.Match(&object)
}

func TestATableOfOsqueryIsALogSource(t *testing.T) {
	for _, c := range []struct {
		sentence, source, row, action string
		want                          bool
	}{
		{"a field is the column of that name", "crontab", `{"command":"curl x | sh","event":"@reboot"}`, "added", true},
		{"a column that differs", "crontab", `{"command":"true","event":"@reboot"}`, "added", false},
		{"a state that went is no news", "crontab", `{"command":"curl x | sh","event":"@reboot"}`, "removed", false},
		{"a state in a snapshot is", "crontab", `{"command":"curl x | sh","event":"@reboot"}`, "snapshot", true},
		{"any case of the table's name", "CronTab", `{"command":"curl x | sh","event":"@reboot"}`, "added", true},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			r := one(t, "title: x\nlogsource: {product: osquery, service: "+c.source+"}\ndetection: {s: {command|contains: curl, event: '@reboot'}, condition: s}", sigma.DefaultMapping())
			v := variant(t, r)
			if !slices.Equal(v.Tables, []string{"crontab"}) || !slices.Equal(v.Platforms, []string{"darwin", "linux"}) {
				t.Errorf("%v on %v", v.Tables, v.Platforms)
			}
			if got := matchesAs(t, v, c.row, c.action); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestColumnsNamedLikePartsOfAnEntryAreColumns(t *testing.T) {
	r := one(t, "title: x\nlogsource: {product: osquery, service: file_events}\ndetection: {s: {action: CREATED}, condition: s}", sigma.DefaultMapping())
	v := variant(t, r)
	if !matchesAs(t, v, `{"action":"CREATED"}`, "added") || matchesAs(t, v, `{"action":"DELETED"}`, "added") {
		t.Error("action is not the column")
	}
}

func TestWhatIsNoTableIsNoLogSource(t *testing.T) {
	for _, source := range []string{"{product: osquery, service: no_such_table}", "{product: osquery}", "{product: osquery, category: crontab}"} {
		r := one(t, "title: x\nlogsource: "+source+"\ndetection: {s: {a: b}, condition: s}", sigma.DefaultMapping())
		if r.Outcome != sigma.NotApplicable || !strings.Contains(r.Reason, "no table reports") {
			t.Errorf("%s: %s, %s", source, r.Outcome, r.Reason)
		}
	}
}
