package intel

import (
	"runtime"
	"strings"
	"testing"
)

// Decoded into a list, each number took the memory of an object: 64 MiB took ten gigabytes.
func TestNumbersInPlaceOfObjectsTakeNoMemory(t *testing.T) {
	numbers := "[" + strings.Repeat("1,", 1<<20) + "1]"
	for format, content := range map[Format]string{
		STIX: `{"type":"bundle","objects":` + numbers + `}`,
		MISP: `{"response":[{"Event":{"info":"x","Attribute":` + numbers + `,"Object":[{"Attribute":` + numbers + `}]}}]}`,
		OTX:  `{"results":[{"name":"x","indicators":` + numbers + `}]}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		p, err := Parse([]byte(content), "", importDefaults)
		runtime.ReadMemStats(&after)
		taken := after.TotalAlloc - before.TotalAlloc - uint64(len(content))
		if format == MISP && err == nil || format != MISP && (err != nil || p.Format != format || p.Bad != 1<<20+1) {
			t.Errorf("%s: %v, %d bad, as %s", format, err, p.Bad, p.Format)
		}
		if taken > 8<<20 {
			t.Errorf("%s takes %d bytes for %d", format, taken, len(content))
		}
	}
}

func TestReadingEndsWithTooMuchThatIsBad(t *testing.T) {
	for format, content := range map[Format]string{List: strings.Repeat("a\n", maxParsed+10), CSV: "value\n" + strings.Repeat("a\n", maxParsed+10)} {
		if _, err := Parse([]byte(content), format, importDefaults); err == nil {
			t.Errorf("%s is read to its end", format)
		}
	}
}

func TestScan(t *testing.T) {
	const text = ` { "a" : [ 1 , "x,]\\\"}" , { "b" : [ ] } , null,true ], "c":{},"n":-1.5e3 , "a2":[], "c": "last" } `
	var got []string
	for e := range elements(member([]byte(text), "a")) {
		got = append(got, string(e))
	}
	if want := `1|"x,]\\\"}"|{ "b" : [ ] }|null|true`; strings.Join(got, "|") != want {
		t.Errorf("got %s", strings.Join(got, "|"))
	}
	for name, want := range map[string]string{"n": "-1.5e3", "a2": "[]", "c": `"last"`, "b": "", "x": ""} {
		if got := member([]byte(text), name); string(got) != want {
			t.Errorf("%s is %s", name, got)
		}
	}
	for range elements([]byte(`{"a":[1]}`)) {
		t.Error("an object has elements")
	}
}

// What would be found on every host says nothing about any.
func TestIndicatorsOfEverything(t *testing.T) {
	for _, value := range []string{
		"0.0.0.0/0", "0.0.0.0", "::", "::/0", "::/16", "127.0.0.1", "127.0.0.0/8", "127.1.0.0/16", "::1", "8.0.0.0/7", "com", ".", "com.", ".com", "co.uk", "CO.UK.", "com.br", "/", `\\`, "//",
		"d41d8cd98f00b204e9800998ecf8427e", "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	} {
		p, err := Parse([]byte(value), List, importDefaults)
		if err != nil || len(p.Indicators) > 0 || p.Bad != 1 {
			t.Errorf("%s: %+v %v", value, p.Indicators, err)
		}
	}
	for _, value := range []string{"10.0.0.0/8", "example.co.uk", "evil.github.io", "/x", "128.0.0.1"} {
		if p, err := Parse([]byte(value), List, importDefaults); err != nil || len(p.Indicators) != 1 {
			t.Errorf("%s is refused: %+v %v", value, p.Problems, err)
		}
	}
}
