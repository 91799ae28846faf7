package agentapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/server/results"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// shown is a line without its identity, for comparing.
func shown(line results.Line) []string {
	var out []string
	for _, e := range line.Entries {
		out = append(out, fmt.Sprintf("%s %s %s %d e%d c%d %s", e.Name, e.Action, e.Columns, e.UnixTime, e.Epoch, e.Counter, e.Decorations))
	}
	if s := line.Status; s != nil {
		out = append(out, fmt.Sprintf("status %d %s:%d %s [%s] %d %s", s.Severity, s.Filename, s.Line, s.Message, s.Version, s.UnixTime, s.Decorations))
	}
	return out
}

func TestLines(t *testing.T) {
	const head = `"name":"pack/p/q","hostIdentifier":"liar","calendarTime":"Tue Jan  5 09:40:04 2027 UTC","unixTime":1799142004,"epoch":0,"counter":3,"numerics":false`
	tests := []struct {
		name, raw string
		want      []string
	}{
		{"an event line", `{` + head + `,"decorations":{"u":"1"},"columns":{"pid":"1"},"action":"added"}`,
			[]string{`pack/p/q added {"pid":"1"} 1799142004 e0 c3 {"u":"1"}`}},
		{"numbers as strings and strings as numbers", `{"name":"q","unixTime":"1799142004","epoch":"1","counter":"2","columns":{"pid":1,"big":9007199254740993,"none":""},"action":"removed"}`,
			[]string{`q removed {"pid":1,"big":9007199254740993,"none":""} 1799142004 e1 c2 `}},
		{"a batch line, removed rows first", `{"diffResults":{"added":[{"a":"2"},{"a":"3"}],"removed":[{"a":"1"}]},` + head + `}`,
			[]string{`pack/p/q removed {"a":"1"} 1799142004 e0 c3 `, `pack/p/q added {"a":"2"} 1799142004 e0 c3 `, `pack/p/q added {"a":"3"} 1799142004 e0 c3 `}},
		{"a batch line of old agents, empty lists as text", `{"diffResults":{"added":"","removed":""},` + head + `}`, nil},
		{"a snapshot", `{"snapshot":[{"a":"1"},{"a":"2"}],"action":"snapshot",` + head + `}`,
			[]string{`pack/p/q snapshot {"a":"1"} 1799142004 e0 c3 `, `pack/p/q snapshot {"a":"2"} 1799142004 e0 c3 `}},
		{"a snapshot without rows", `{"snapshot":[],"action":"snapshot",` + head + `}`, nil},
		{"a snapshot in event form", `{` + head + `,"columns":{"a":"1"},"action":"snapshot"}`,
			[]string{`pack/p/q snapshot {"a":"1"} 1799142004 e0 c3 `}},
		{"decorations at the top level", `{` + head + `,"team":"blue","columns":{"a":"1"},"action":"added"}`,
			[]string{`pack/p/q added {"a":"1"} 1799142004 e0 c3 {"team":"blue"}`}},
		{"calendarTime when unixTime is missing", `{"name":"q","calendarTime":"Tue Jan  5 09:40:04 2027 UTC","columns":{},"action":"added"}`,
			[]string{`q added {} 1799142004 e0 c0 `}},
		{"our own time when the line has none", `{"name":"q","calendarTime":"yesterday","columns":{"a":"1"}}`,
			[]string{fmt.Sprintf(`q added {"a":"1"} %d e0 c0 `, noon.Unix())}},
		{"a status line", `{"hostIdentifier":"h","unixTime":1524507948,"severity":1,"filename":"config.cpp","line":989,"message":"m","version":"5.23.1","decorations":{}}`,
			[]string{`status 1 config.cpp:989 m [5.23.1] 1524507948 `}},
		{"a status line of old agents", `{"unixTime":"1524507948","severity":"2","filename":"config.cpp","line":"989","message":"m","version":"5.9.1"}`,
			[]string{`status 2 config.cpp:989 m [5.9.1] 1524507948 `}},
		{"NULs and invalid UTF-8 inside", "{\"name\":\"q\",\"unixTime\":5,\"columns\":{\"a\":\"x\\u0000\xff\"},\"action\":\"added\"}",
			[]string{"q added {\"a\":\"x\uFFFD\"} 5 e0 c0 "}},
		{"no JSON", `{"name":`, []string{fmt.Sprintf(`status 2 muster:0 a log line of 8 bytes is no valid JSON: {"name": [] %d `, noon.Unix())}},
		{"no object", `[1]`, []string{fmt.Sprintf(`status 2 muster:0 a log line of 3 bytes is no JSON object: [1] [] %d `, noon.Unix())}},
		{"neither result nor status", `{"x":1}`, []string{fmt.Sprintf(`status 2 muster:0 a log line is neither a result nor a status: {"x":1} [] %d `, noon.Unix())}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			line := newLineReader(7, noon).read([]byte(test.raw), len(test.raw))
			if diff := cmp.Diff(test.want, shown(line)); diff != "" {
				t.Error(diff)
			}
			for _, e := range line.Entries {
				if e.HostID != 7 || !json.Valid(e.Columns) {
					t.Errorf("stored under host %d, columns %q", e.HostID, e.Columns)
				}
			}
		})
	}
}

func TestLineTooLong(t *testing.T) {
	line := newLineReader(7, noon).read([]byte(`{"name":"q","col`), 99999)
	if line.Status == nil || !strings.Contains(line.Status.Message, "99999 bytes") {
		t.Errorf("got %v", shown(line))
	}
}

func TestLineIdentity(t *testing.T) {
	raw := []byte(`{"name":"q","unixTime":5,"columns":{"a":"1"},"action":"added"}`)
	first := newLineReader(7, noon)
	a, b := first.read(raw, len(raw)), first.read(raw, len(raw))
	if a.Key == b.Key {
		t.Error("equal lines of one request are one")
	}
	again := newLineReader(7, noon.Add(time.Hour))
	if got := again.read([]byte(" "+string(raw)+"\n"), len(raw)+2); got.Key != a.Key {
		t.Error("a line that is sent again is another")
	}
	if other := newLineReader(8, noon).read(raw, len(raw)); other.Key == a.Key {
		t.Error("two hosts' lines are one")
	}
}

// FuzzLine: whatever an agent sends as a line becomes something storable.
func FuzzLine(f *testing.F) {
	f.Add([]byte(`{"snapshot":[{"a":"1"}],"name":"q"}`))
	f.Add([]byte(`{"diffResults":{"added":[{}]},"x":{}}`))
	f.Add([]byte(`{"message":"m","severity":"x","y":"\u0000"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, _, ok := oneValue(trimLeft(raw)); !ok {
			return // the walker hands on whole values only
		}
		line := newLineReader(7, noon).read(raw, len(raw))
		for _, e := range line.Entries {
			if !json.Valid(e.Columns) || len(e.Decorations) > 0 && !json.Valid(e.Decorations) {
				t.Fatalf("%q became %s", raw, shown(line))
			}
		}
		if s := line.Status; s != nil && strings.ContainsRune(s.Message+s.Filename+s.Version, 0) {
			t.Fatalf("%q keeps a NUL", raw)
		}
	})
}
