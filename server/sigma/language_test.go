package sigma_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"muster/server/sigma"
)

// search is a rule with one search of the given lines.
func search(lines ...string) string {
	return rule("test", "  s:\n    "+strings.Join(lines, "\n    ")+"\n  condition: s\n")
}

func TestSearchesBecomeConditions(t *testing.T) {
	for _, test := range []struct {
		name string
		rule string
		want string // the rules of the root, without brackets when it is one
	}{
		{"a value", search(`A: x`), `{"field":"a","operator":"equal","value":"x"}`},
		{"values", search(`A: [x, y, x]`), `{"field":"a","operator":"in","value":["x","y"]}`},
		{"a number", search(`A: 4688`), `{"field":"a","operator":"equal","value":"4688"}`},
		{"a number of another writing", search(`A: 0x10`), `{"field":"a","operator":"equal","value":"16"}`},
		{"a number with a point", search(`A: 1.10`), `{"field":"a","operator":"equal","value":"1.10"}`},
		{"a date", search(`A: 2024-01-02`), `{"field":"a","operator":"equal","value":"2024-01-02"}`},
		{"a truth", search(`A: True`), `{"field":"a","operator":"equal","value":"true"}`},
		{"null", search(`A: null`), `{"field":"a","operator":"is_empty"}`},
		{"no value is null", search(`A:`), `{"field":"a","operator":"is_empty"}`},
		{"an empty text", search(`A: ''`), `{"field":"a","operator":"equal","value":""}`},
		{"any value", search(`A: '*'`), `{"field":"a","operator":"is_not_null"}`},
		{"fields are all met", search(`A: x`, `B|contains: y`), `{"field":"a","operator":"equal","value":"x"},{"field":"b","operator":"contains","value":"y"}`},
		{"maps in a list are alternatives", search(`- A: x`, `- B: y`), `{"condition":"OR","rules":[{"field":"a","operator":"equal","value":"x"},{"field":"b","operator":"equal","value":"y"}]}`},
		{"values of several kinds", search(`A: [x, 'y*', null, '*z*w']`), `{"condition":"OR","rules":[{"field":"a","operator":"equal","value":"x"},{"field":"a","operator":"begins_with","value":"y"},{"field":"a","operator":"is_empty"},{"field":"a","operator":"matches_wildcard","value":"*z*w"}]}`},
		{"all of the values", search(`A|contains|all: [x, y]`), `{"field":"a","operator":"contains","value":"x"},{"field":"a","operator":"contains","value":"y"}`},
		{"none of the values", search(`A|neq: [x, y]`), `{"condition":"AND","not":true,"rules":[{"field":"a","operator":"in","value":["x","y"]}]}`},
		{"starts and ends", search(`A|startswith: x`, `A|endswith: y`), `{"field":"a","operator":"begins_with","value":"x"},{"field":"a","operator":"ends_with","value":"y"}`},
		{"cased", search(`A|cased: [x, y, 'a?']`, `A|contains|cased: z`), `{"condition":"OR","rules":[{"field":"a","operator":"in_cased","value":["x","y"]},{"field":"a","operator":"matches_wildcard_cased","value":"a?"}]},{"field":"a","operator":"contains_cased","value":"z"}`},
		{"expressions", search(`A|re: ['a\*', b]`), `{"field":"a","operator":"matches_regex","value":["a\\*","b"]}`},
		{"expressions with flags", search(`A|re|i: a`, `B|re|m|s: b`), `{"field":"a","operator":"matches_regex","value":"(?i)a"},{"field":"b","operator":"matches_regex","value":"(?ms)b"}`},
		{"windash and all", search(`A|windash|contains|all: [' -a', y]`), `{"field":"a","operator":"contains","value":[" -a"," /a"," –a"," —a"," ―a"]},{"field":"a","operator":"contains","value":"y"}`},
		{"windash behind the place", search(`A|contains|windash: ' -a'`), `{"field":"a","operator":"contains","value":[" -a"," /a"," –a"," —a"," ―a"]}`},
		{"base64", search(`A|base64: foobar`), `{"field":"a","operator":"equal","value":"Zm9vYmFy"}`},
		{"base64 at any offset", search(`A|base64offset|contains: foobar`), `{"field":"a","operator":"contains","value":["Zm9vYmFy","Zvb2Jhc","mb29iYX"]}`},
		{"UTF-16 in base64", search(`A|wide|base64|startswith: cmd`), `{"field":"a","operator":"begins_with","value":"YwBtAGQA"}`},
		{"networks", search(`A|cidr: [10.0.0.0/8, '2001:db8::/32']`), `{"field":"a","operator":"in_network","value":["10.0.0.0/8","2001:db8::/32"]}`},
		{"no network", search(`A|cidr|neq: 10.0.0.0/8`), `{"condition":"AND","not":true,"rules":[{"field":"a","operator":"in_network","value":"10.0.0.0/8"}]}`},
		{"comparisons", search(`A|lt: 5`, `A|gte: -0.5`, `B|lte: 1`, `B|gt: 0`), `{"field":"a","operator":"less","value":5},{"field":"a","operator":"greater_or_equal","value":-0.5},{"field":"b","operator":"less_or_equal","value":1},{"field":"b","operator":"greater","value":0}`},
		{"comparisons with a list", search(`A|gt: [5, 7]`), `{"condition":"OR","rules":[{"field":"a","operator":"greater","value":5},{"field":"a","operator":"greater","value":7}]}`},
		{"existence", search(`A|exists: true`, `B|exists: False`), `{"field":"a","operator":"is_not_null"},{"field":"b","operator":"is_null"}`},
		{"another field", search(`A|fieldref: B`, `A|fieldref|endswith: B`, `A|startswith|fieldref|cased: B`), `{"field":"a","operator":"equal_field","value":"b"},{"field":"a","operator":"ends_with_field","value":"b"},{"field":"a","operator":"begins_with_field_cased","value":"b"}`},
		{"another field of a path", search(`A|fieldref|neq: J`, `A|fieldref|contains: Hashes`), `{"condition":"AND","not":true,"rules":[{"field":"a","operator":"equal_field","value":{"field":"j","path":"X.Y"}}]},{"field":"a","operator":"contains_field","value":{"field":"Hashes","template":"MD5={md5},SHA256={sha256}"}}`},
		{"placeholders", search(`A|expand: 'x\%%Admins%'`), `{"condition":"OR","rules":[{"field":"a","operator":"equal","value":"x%root"},{"field":"a","operator":"begins_with","value":"x%adm"}]}`},
		{"placeholders of networks", search(`A|cidr|expand: '%Inside%'`), `{"field":"a","operator":"in_network","value":["10.0.0.0/8","192.168.0.0/16"]}`},
		{"percent signs without expand", search(`A: '%Admins%'`), `{"field":"a","operator":"equal","value":"%Admins%"}`},
		{"keywords", search(`- one`, `- 'two*'`, `- 3`), `{"field":"*","operator":"contains","value":["one","two","3"]}`},
		{"one keyword", rule("test", "  s: one*two\n  condition: s\n"), `{"field":"*","operator":"matches_wildcard","value":"*one*two*"}`},
		{"all of the keywords", search(`'|all': [one, two]`), `{"field":"*","operator":"contains","value":"one"},{"field":"*","operator":"contains","value":"two"}`},
		{"keywords with modifiers", search(`'|re': o+`, `'|contains|cased': x`), `{"field":"*","operator":"matches_regex","value":"o+"},{"field":"*","operator":"contains_cased","value":"x"}`},
		{"keywords beside maps", search(`- A: x`, `- one`), `{"condition":"OR","rules":[{"field":"a","operator":"equal","value":"x"},{"field":"*","operator":"contains","value":"one"}]}`},
		{"a column whose name an entry has", search(`Act: [x, y, null]`, `Act|contains: z`), `{"condition":"OR","rules":[{"field":"column","operator":"in","value":["action",["x","y"]]},{"field":"column","operator":"is_empty","value":["action"]}]},{"field":"column","operator":"contains","value":["action","z"]}`},
		{"a member of JSON", search(`J|endswith: x`), `{"field":"j","operator":"ends_with","path":"X.Y","value":"x"}`},
		{"a template", search(`Hashes|contains: 'MD5=0'`), `{"field":"Hashes","operator":"contains","template":"MD5={md5},SHA256={sha256}","value":"MD5=0"}`},
		{"a constant that fits", search(`A: x`, `Kind: setvalue`), `{"field":"a","operator":"equal","value":"x"}`},
		{"the column's words", search(`Label: [high, other]`), `{"field":"label","operator":"in","value":["S-1-16-12288","other"]}`},
		{"the column's beginnings", search(`Key|startswith: 'hklm\Software'`, `Key|contains: 'HKLM\x'`), `{"field":"key","operator":"begins_with","value":"HKEY_LOCAL_MACHINE\\Software"},{"field":"key","operator":"contains","value":"HKEY_LOCAL_MACHINE\\x"}`},
		{"Sysmon's numbers", search(`Value: ['DWORD (0x0000001a)', 'QWORD (0x00000001-0x00000000)', text]`), `{"field":"value","operator":"in","value":["26","4294967296","text"]}`},
		{"a column of JSON text", search(`Raw|contains: 'a\b'`), `{"field":"raw","operator":"contains","value":["a\\b","a\\\\b"]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := variant(t, one(t, test.rule, labMapping(t)))
			var want []any
			if err := json.Unmarshal([]byte("["+test.want+"]"), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, rootRules(t, v)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// rootRules are the rules of the root, or the root itself when it is no AND.
func rootRules(t *testing.T, v sigma.Variant) []any {
	t.Helper()
	text, err := json.Marshal(v.Conditions)
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	if root["condition"] == "AND" && root["not"] == nil {
		return root["rules"].([]any)
	}
	return []any{root}
}

// What is looked for is found wherever it stands in what was encoded.
func TestEncodedTextIsFound(t *testing.T) {
	m := labMapping(t)
	utf16le := func(s string) (b []byte) {
		for _, unit := range utf16.Encode([]rune(s)) {
			b = append(b, byte(unit), byte(unit>>8))
		}
		return b
	}
	plain := variant(t, one(t, search(`A|base64offset|contains|cased: 'IEX ('`), m)).Conditions
	wide := variant(t, one(t, search(`A|utf16le|base64offset|contains|cased: 'IEX ('`), m)).Conditions
	for before := range 7 {
		text := strings.Repeat("x", before) + "IEX (New-Object)"
		for name, test := range map[string]struct {
			conditions map[string]any
			encoded    string
		}{
			"bytes":  {plain, base64.StdEncoding.EncodeToString([]byte(text))},
			"UTF-16": {wide, base64.StdEncoding.EncodeToString(utf16le(text))},
		} {
			if !matches(t, test.conditions, `{"a":"powershell `+test.encoded+`"}`) {
				t.Errorf("%s: not found behind %d characters", name, before)
			}
		}
	}
	if matches(t, plain, `{"a":"`+base64.StdEncoding.EncodeToString([]byte("IEX[New-Object]"))+`"}`) {
		t.Error("found where it is not")
	}
}
