package agentapi

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
)

// readAnswers reads a distributed/write body as the door does.
func readAnswers(t *testing.T, body string, keep int) (*answerReader, error) {
	t.Helper()
	b, err := openBody(httptest.NewRequest("POST", "/distributed/write", strings.NewReader(body)), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	reader := newAnswerReader(b, keep)
	return reader, reader.read()
}

func TestAnswerBodies(t *testing.T) {
	const long = `{"queries":{"a":[{"x":"0123456789"}],"b":[]},"messages":{"a":"","b":"no such table: x"},"statuses":{"a":0,"b":1},"node_key":"k"}`
	tests := []struct {
		name, body string
		keep       int
		want       string // id status message rows, one a line
	}{
		{"rows, an error and the key last", long, 1000, "a 0  [{\"x\":\"0123456789\"}]\nb 1 no such table: x []"},
		{"rows that are too many, whatever the order of the members", strings.Replace(long, "0123456789", strings.Repeat("0", 60), 1), 50, "a 1 the answer of 70 bytes is larger than this server takes (50) and was dropped: use LIMIT or fewer columns []\nb 1 no such table: x []"},
		{"messages and stats count as well", `{"messages":{"a":"` + strings.Repeat("m", 15) + `","b":"` + strings.Repeat("n", 15) + `"}}`, 10, "a 0 mmmmmmmmmmmmmmm []\nb 0  []"},
		{"statuses as texts, rows as an empty text", `{"statuses":{"a":"1"},"queries":{"a":""}}`, 1000, "a 1  []"},
		{"members of the wrong kind", `{"queries":7,"statuses":[1],"messages":null,"stats":"","node_key":{}}`, 1000, ""},
		{"a NUL in a message", `{"messages":{"a":"x\u0000y"}}`, 1000, "a 0 xy []"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			reader, err := readAnswers(t, test.body, test.keep)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, r := range reader.all() {
				lines = append(lines, strings.Join([]string{r.ID, string(rune('0' + r.Status)), r.Message, string(r.Rows)}, " "))
			}
			if got := strings.Join(lines, "\n"); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// FuzzAnswers: whatever a host writes, rows stay JSON arrays and nothing crashes.
func FuzzAnswers(f *testing.F) {
	f.Add(`{"queries":{"a":[{"x":"1"}],"b":""},"statuses":{"a":0},"messages":{"a":"m"},"stats":{"a":{}},"node_key":"k"}`)
	f.Add(`{"queries":{"a":[`)
	f.Add(`{"stats":{"a":{"x":"\u0000"}}}`)
	f.Fuzz(func(t *testing.T, body string) {
		reader, _ := readAnswers(t, body, 100)
		for _, r := range reader.all() {
			if !json.Valid(r.Rows) || len(r.Stats) > 0 && !json.Valid(r.Stats) {
				t.Fatalf("%q became rows %s, stats %s", body, r.Rows, r.Stats)
			}
		}
	})
}
