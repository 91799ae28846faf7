package agentapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

func TestWellFormed(t *testing.T) {
	tests := []struct {
		name, raw, want string
		ok              bool
	}{
		{"clean JSON comes back as it is", `{"a":"ü\n/","b":1}`, `{"a":"ü\n/","b":1}`, true},
		{"an escaped NUL is dropped", `{"a":"x\u0000y"}`, `{"a":"xy"}`, true},
		{"an escaped backslash before u0000 is text", `{"a":"x\\u0000y"}`, `{"a":"x\\u0000y"}`, true},
		{"a raw NUL is dropped", "{\"a\":\"x\x00y\"}", `{"a":"xy"}`, true},
		{"a raw control byte is escaped", "{\"a\":\"x\ny\"}", `{"a":"x\u000ay"}`, true},
		{"invalid UTF-8 is replaced", "{\"a\":\"x\xff\xfey\"}", "{\"a\":\"x\uFFFDy\"}", true},
		{"a lone surrogate is replaced", `{"a":"\ud83d!"}`, `{"a":"\ufffd!"}`, true},
		{"a pair of surrogates stays", `{"a":"\ud83d\ude00"}`, `{"a":"\ud83d\ude00"}`, true},
		{"a backslash that starts no escape becomes one", `{"a":"C:\x41\u12"}`, `{"a":"C:\\x41\\u12"}`, true},
		{"an unfinished string is no JSON", `{"a":"x`, "", false},
		{"a bare word is no JSON", `{a:1}`, "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := wellFormed([]byte(test.raw))
			if ok != test.ok || ok && string(got) != test.want {
				t.Errorf("got %q %v, want %q %v", got, ok, test.want, test.ok)
			}
		})
	}
}

func TestNumberAndText(t *testing.T) {
	tests := []struct {
		raw    string
		number int64
		text   string
	}{
		{`12`, 12, "12"}, {`"12"`, 12, "12"}, {`12.9`, 12, "12.9"}, {`""`, 0, ""}, {`null`, 0, ""}, {`{}`, 0, ""},
		{`"a\"b"`, 0, `a"b`}, {`9223372036854775807`, 9223372036854775807, "9223372036854775807"}, {`1e400`, 0, "1e400"}, {`true`, 0, "true"},
	}
	for _, test := range tests {
		if got := number([]byte(test.raw)); got != test.number {
			t.Errorf("number(%s) = %d, want %d", test.raw, got, test.number)
		}
		if got := text([]byte(test.raw)); got != test.text {
			t.Errorf("text(%s) = %q, want %q", test.raw, got, test.text)
		}
	}
}

// collect reads the elements of the array under "data" through readers that
// deliver in the most awkward pieces.
func collect(t *testing.T, input string, r func(io.Reader) io.Reader) (elements []string, err error) {
	t.Helper()
	s := stream{bufio.NewReaderSize(r(strings.NewReader(input)), 16)}
	err = s.object(func(key string) error {
		if key != "data" {
			return s.skip()
		}
		return s.array(func() error {
			var b bytes.Buffer
			_, err := s.copyValue(&b, 1<<20)
			if err == nil {
				elements = append(elements, b.String())
			}
			return err
		})
	})
	return elements, err
}

func TestStream(t *testing.T) {
	tests := []struct {
		name, input string
		want        []string
		fails       bool
	}{
		{"elements of any kind", `{"x":[1,{"y":2}],"data":[{"a":"]}\"\\"}, 12 ,"s",null,[[]],{}],"node_key":"k"}`,
			[]string{`{"a":"]}\"\\"}`, "12", `"s"`, "null", "[[]]", "{}"}, false},
		{"an empty array", `{"data":[]}`, nil, false},
		{"escapes at every boundary", `{"data":["\\\\\\\\\\\\\\\\\\\\\"","\""]}`, []string{`"\\\\\\\\\\\\\\\\\\\\\""`, `"\""`}, false},
		{"an array that never ends", `{"data":[{"a":1},`, []string{`{"a":1}`}, true},
		{"no comma between", `{"data":[{"a":1}{"b":2}]}`, []string{`{"a":1}`}, true},
		{"not an object", `[1,2]`, nil, true},
		{"nothing", ``, nil, true},
		{"deeper than we go", `{"data":[` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `]}`, nil, true},
	}
	for _, test := range tests {
		for way, r := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "halves": iotest.HalfReader,
		} {
			t.Run(test.name+", "+way, func(t *testing.T) {
				got, err := collect(t, test.input, r)
				if (err != nil) != test.fails {
					t.Fatalf("error %v", err)
				}
				if strings.Join(got, "|") != strings.Join(test.want, "|") {
					t.Errorf("got %q, want %q", got, test.want)
				}
			})
		}
	}
}

func TestStreamKeepsOnlyTheStartOfLargeValues(t *testing.T) {
	s := stream{bufio.NewReader(strings.NewReader(`"` + strings.Repeat("x", 1000) + `",`))}
	var b bytes.Buffer
	size, err := s.copyValue(&b, 10)
	if err != nil || size != 1002 || b.Len() != 10 {
		t.Errorf("size %d, kept %d, %v", size, b.Len(), err)
	}
	if c, err := s.next(); c != ',' || err != nil {
		t.Errorf("the rest is not at the comma: %q %v", c, err)
	}
}

// FuzzStream holds the walker against encoding/json: whatever that accepts, the
// walker splits into the same elements, in pieces or whole, and nothing crashes.
func FuzzStream(f *testing.F) {
	for _, seed := range []string{`{"data":[{"a":1},2,"x"],"node_key":"k"}`, `{"data":["\\"]}`, `{"data":[1e5,-2,true]}`, "{\"data\":[\"\xff\"]}", `{"a":{"data":[1]}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, input string) {
		got, err := collect(t, input, iotest.OneByteReader)
		var want struct{ Data []json.RawMessage }
		if json.Unmarshal([]byte(input), &want) != nil || strings.Count(strings.ToLower(input), "data") != 1 || strings.Contains(input, `\u`) || !strings.Contains(input, `"data":[`) {
			return
		}
		if err != nil {
			if strings.Count(input, "[")+strings.Count(input, "{") > maxDepth || len(input) > maxKey {
				return
			}
			t.Fatalf("%q: %v", input, err)
		}
		for i := range want.Data {
			if i >= len(got) || got[i] != string(want.Data[i]) {
				t.Fatalf("%q: element %d of %q", input, i, got)
			}
		}
	})
}

// FuzzWellFormed: what passes is JSON that both engines take.
func FuzzWellFormed(f *testing.F) {
	for _, seed := range []string{`{"a":"\u0000\ud83d"}`, "\"\x00\xff\"", `{"a":"\`, `[1,2,{"b":null}]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, _, ok := oneValue(trimLeft(raw)); !ok {
			return
		}
		clean, ok := wellFormed(raw)
		if !ok {
			return
		}
		if !json.Valid(clean) || !utf8.Valid(clean) || bytes.IndexByte(clean, 0) >= 0 {
			t.Fatalf("%q became %q", raw, clean)
		}
		var value any
		if err := json.Unmarshal(clean, &value); err == nil {
			again, _ := json.Marshal(value)
			if bytes.Contains(bytes.ReplaceAll(again, []byte(`\\`), nil), []byte(`\u0000`)) {
				t.Fatalf("%q holds a NUL", clean)
			}
		}
		members(clean, func(_, value []byte) { text(value); number(value) })
	})
}
