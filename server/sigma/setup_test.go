package sigma_test

import (
	"encoding/json"
	"strings"
	"testing"

	"muster/server/condition"
	"muster/server/sigma"
)

// lab is a mapping for tests of the language: the fields of one table, and of another
// that lacks some.
const lab = `
placeholders:
  Admins: [root, 'adm*']
  Inside: [10.0.0.0/8, 192.168.0.0/16]
targets:
  - for: [{category: test}]
    tables: [all]
    platforms: [linux]
    fields:
      A: a
      B: b
      Act: action
      J: {column: j, path: X.Y}
      Hashes: {template: "MD5={md5},SHA256={sha256}"}
      Kind: {constant: SetValue}
      Label: {column: label, values: {High: S-1-16-12288}}
      Key: {column: key, prefixes: {'HKLM\': 'HKEY_LOCAL_MACHINE\'}}
      Value: {column: value, dword: true}
      Raw: {column: raw, escaped: true}
  - for: [{category: two}]
    tables: [narrow]
    fields: {A: a}
  - for: [{category: two}]
    tables: [wide]
    where: [{field: kind, operator: equal, value: w}]
    fields: {A: a, B: b, C: c}
`

func labMapping(t testing.TB) *sigma.Mapping {
	t.Helper()
	m, err := sigma.ParseMapping([]byte(lab))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// rule is a rule with that detection, which is indented by two blanks.
func rule(category, detection string) string {
	return "title: Test\nlogsource:\n  category: " + category + "\ndetection:\n" + detection
}

// one translates a text of one document.
func one(t testing.TB, text string, m *sigma.Mapping) sigma.Result {
	t.Helper()
	results, err := sigma.Translate([]byte(text), m)
	if err != nil || len(results) != 1 {
		t.Fatalf("%d results, %v", len(results), err)
	}
	return results[0]
}

// variant returns the only variant of a rule.
func variant(t testing.TB, r sigma.Result) sigma.Variant {
	t.Helper()
	if r.Outcome != sigma.Translated || len(r.Rule.Variants) != 1 {
		t.Fatalf("%s, line %d: %s; %d variants", r.Outcome, r.Line, r.Reason, len(r.Rule.Variants))
	}
	return r.Rule.Variants[0]
}

// matches asks conditions of a row, after a journey through JSON as a store's.
func matches(t testing.TB, conditions map[string]any, row string) bool {
	t.Helper()
	text, err := json.Marshal(conditions)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	var stored map[string]any
	if err := decoder.Decode(&stored); err != nil {
		t.Fatal(err)
	}
	tree, err := condition.Parse(stored, sigma.ConditionOptions())
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	object := condition.Object{Own: map[string]string{"action": "added"}}
	if err := object.Load(row); err != nil {
		t.Fatal(err)
	}
	return tree.Match(&object)
}
