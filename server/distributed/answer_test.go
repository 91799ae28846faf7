package distributed

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestQueryID(t *testing.T) {
	for id, want := range map[string]int64{"m1": 1, "m12": 12, "m0": 0, "m": 0, "12": 0, "m-1": 0, "m1x": 0, "m99999999999999999999": 0, "kolide_x": 0} {
		if got, ok := QueryID(id); got != want || ok != (want != 0) {
			t.Errorf("%q is %d %v", id, got, ok)
		}
	}
	if got, _ := QueryID(wireID(7)); got != 7 {
		t.Error("a wire id does not lead back")
	}
}

// FuzzRead looks for a report that panics, cannot be stored, or is miscounted.
func FuzzRead(f *testing.F) {
	for _, rows := range []string{`[]`, `[{"a":"1"},{}]`, `[[1,[2]],"a,]\"\\",null]`, ` [ 1 ] `, `[,]`, `{"a":1}`, "[\"\xff\x00\"]", `["\\\\",","]`, `""`, `null`} {
		f.Add(rows, 0, "message", "{}")
	}
	f.Fuzz(func(t *testing.T, rows string, status int, message, stats string) {
		a := read(Report{Rows: json.RawMessage(rows), Status: status, Message: message, Stats: json.RawMessage(stats)})
		for _, text := range []string{a.rows, a.error, a.stats} {
			if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
				t.Errorf("%q cannot be stored", text)
			}
		}
		var list []json.RawMessage
		var object map[string]json.RawMessage
		if json.Unmarshal([]byte(a.rows), &list) != nil || json.Unmarshal([]byte(a.stats), &object) != nil || len(list) != a.rowCount {
			t.Errorf("%d rows are counted in %q", a.rowCount, a.rows)
		}
		if good := a.state == Answered || a.state == Empty; good != (a.error == "") || (a.state == Answered) != (a.rowCount > 0) {
			t.Errorf("%+v", a)
		}
	})
}
