package condition_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"muster/server/condition"
	"muster/server/fault"
)

// parse reads conditions as a door does: numbers keep their text.
func parse(text string) (*condition.Tree, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var conditions map[string]any
	if err := decoder.Decode(&conditions); err != nil {
		return nil, err
	}
	return condition.Parse(conditions, condition.Options{Own: []string{"query_name", "action"}})
}

func and(rules ...string) string {
	return `{"condition":"AND","rules":[` + strings.Join(rules, ",") + `]}`
}

func rule(operator, value string) string {
	return `{"id":"v","field":"v","type":"string","input":"text","operator":"` + operator + `","value":` + value + `}`
}

func TestConditionsThatAreWrongSayWhatAndWhere(t *testing.T) {
	deep := and(rule("equal", `"x"`))
	for range 32 {
		deep = and(deep)
	}
	invalid, unprocessable := fault.Invalid, fault.Unprocessable
	for _, test := range []struct {
		name, conditions string
		kind             fault.Kind
		says             string
	}{
		{"nothing", `{}`, invalid, "condition is missing"},
		{"no rules", `{"condition":"AND"}`, invalid, "rules is missing"},
		{"empty rules", and(), invalid, "A group contains no rules"},
		{"an empty group inside", and(rule("equal", `"x"`), and()), invalid, "A group contains no rules"},
		{"rules that are no list", `{"condition":"AND","rules":{}}`, invalid, "rules must be a list"},
		{"a rule that is no object", and(`7`), invalid, "rules[0] must be an object"},
		{"another condition", `{"condition":"XOR","rules":[]}`, invalid, "Unknown condition: XOR"},
		{"a condition that is no text", `{"condition":1,"rules":[]}`, invalid, "condition must be text"},
		{"not that is no boolean", `{"condition":"AND","not":"no","rules":[]}`, invalid, "not must be true or false"},
		{"no field", and(rule("equal", `"x"`), `{"operator":"equal","value":"x"}`), invalid, "rules[1].field is missing"},
		{"no operator", and(and(`{"field":"v","value":"x"}`)), invalid, "rules[0].rules[0].operator is missing"},
		{"no value", and(`{"field":"v","operator":"equal"}`), invalid, "rules[0].value is missing"},
		{"a null", and(rule("equal", `null`)), invalid, "rules[0].value must not be null"},
		{"an object", and(rule("equal", `{}`)), invalid, "rules[0].value must be text, a number, true or false"},
		{"two values for one", and(rule("equal", `["a","b"]`)), invalid, "rules[0].value must be one value"},
		{"one value for two", and(rule("between", `1`)), invalid, "rules[0].value must be a list of two values"},
		{"an empty list", and(rule("in", `[]`)), invalid, "rules[0].value must not be an empty list"},
		{"another operator", and(rule("sounds_like", `"x"`)), invalid, "Unsupported operator: sounds_like"},
		{"the column form at a column", and(rule("column_equal", `"x"`)), invalid, "Unsupported operator: column_equal"},
		{"a column form without a value", and(`{"field":"column","operator":"equal"}`), invalid, "rules[0].value is missing"},
		{"a column form with a column alone", and(`{"field":"column","operator":"column_equal","value":"path"}`), invalid, "rules[0].value is missing"},
		{"a column form with a number", and(`{"field":"column","operator":"column_equal","value":7}`), invalid, "rules[0].value must be a column and a value: [column, value]"},
		{"a field without a name", and(`{"field":"","operator":"equal","value":7}`), unprocessable, "rules[0].field is no name of a column"},
		{"no number", and(rule("less", `"many"`)), unprocessable, "rules[0].value must be a number such as 42 or -0.5"},
		{"no number at one end", and(rule("between", `[1,"1e3"]`)), unprocessable, "rules[0].value[1] must be a number such as 42 or -0.5"},
		{"no expression", and(rule("matches_regex", `"a("`)), unprocessable, "rules[0].value is no regular expression: error parsing regexp: missing closing ): `a(`"},
		{"a costly expression", and(rule("matches_regex", `"(?:abcdefghijklmnopqrstuvwxyz){1000}"`)), unprocessable, "rules[0].value is too large a regular expression"},
		{"many costly expressions", and(rule("matches_regex", `"(?:abcdefghijklm){1000}"`), rule("matches_regex", `"(?:abcdefghijklm){1000}"`)), unprocessable, "rules[1].value is too large a regular expression"},
		{"a long expression", and(rule("matches_regex", `"`+strings.Repeat("a", 1025)+`"`)), unprocessable, "rules[0].value is a regular expression longer than 1024 bytes"},
		{"a long pattern", and(rule("matches_wildcard", `"`+strings.Repeat("a", 1025)+`"`)), unprocessable, "rules[0].value is a pattern longer than 1024 bytes"},
		{"a long value", and(rule("equal", `"`+strings.Repeat("a", 8193)+`"`)), unprocessable, "rules[0].value is longer than 8192 bytes"},
		{"NUL", and(rule("equal", `"a\u0000"`)), unprocessable, "rules[0].value has characters that no column can have"},
		{"a path that is no text", and(`{"field":"v","path":7,"operator":"is_null"}`), invalid, "rules[0].path must be text"},
		{"a path with an empty name", and(`{"field":"v","path":"a..b","operator":"is_null"}`), unprocessable, "rules[0].path has an empty name"},
		{"a path of 17 names", and(`{"field":"v","path":"a` + strings.Repeat(".a", 16) + `","operator":"is_null"}`), unprocessable, "rules[0].path must be names with dots between them, at most 16"},
		{"a path inside any column", and(`{"field":"*","path":"a","operator":"is_empty"}`), unprocessable, "rules[0].path needs a field that is a column, and no template"},
		{"a path inside an own field", and(`{"field":"action","path":"a","operator":"is_empty"}`), unprocessable, "rules[0].path needs a field that is a column, and no template"},
		{"a path and a template", and(`{"field":"v","path":"a","template":"{v}","operator":"is_empty"}`), unprocessable, "rules[0].path needs a field that is a column, and no template"},
		{"a template of any column", and(`{"field":"*","template":"{v}","operator":"is_empty"}`), unprocessable, "rules[0].template does not go with the field *"},
		{"a template without a column", and(`{"field":"v","template":"{{v}}","operator":"is_empty"}`), unprocessable, "rules[0].template names no column"},
		{"a template that never closes", and(`{"field":"v","template":"a{v","operator":"is_empty"}`), unprocessable, "rules[0].template has a { that no name of a column and } follow: write {{ for the brace itself"},
		{"a template that never opens", and(`{"field":"v","template":"{v}}","operator":"is_empty"}`), unprocessable, "rules[0].template has a } without a {: write }} for the brace itself"},
		{"a template of 17 columns", and(`{"field":"v","template":"` + strings.Repeat("{v}", 17) + `","operator":"is_empty"}`), unprocessable, "rules[0].template has more than 16 columns"},
		{"a long template", and(`{"field":"v","template":"{v}` + strings.Repeat("a", 8190) + `","operator":"is_empty"}`), unprocessable, "rules[0].template must be text of at most 8192 bytes"},
		{"any column that is missing", and(`{"field":"*","operator":"is_null"}`), unprocessable, "rules[0].operator does not go with the field *"},
		{"any column and another", and(`{"field":"*","operator":"equal_field","value":"v"}`), unprocessable, "rules[0].operator does not go with the field *"},
		{"a column and any other", and(rule("equal_field", `"*"`)), unprocessable, "rules[0].value is no name of a column"},
		{"a column and any other, as an object", and(rule("equal_field", `{"field":"*"}`)), unprocessable, "rules[0].value.field must be one column"},
		{"a column and a number", and(rule("equal_field", `7`)), invalid, "rules[0].value must be the name of a field, or an object {field, path, template}"},
		{"a column and nothing", and(`{"field":"v","operator":"equal_field"}`), invalid, "rules[0].value is missing"},
		{"a column and an object without a name", and(rule("not_ends_with_field", `{"path":"a"}`)), invalid, "rules[0].value.field is missing"},
		{"no network", and(rule("in_network", `["10.0.0.0/8","10.0.0.0/33"]`)), unprocessable, "rules[0].value must be an address or a network such as 10.0.0.0/8 or fd00::/8, not 10.0.0.0/33"},
		{"many long patterns", and(rule("matches_wildcard", `["`+strings.Repeat(strings.Repeat("a", 1024)+`","`, 16)+`a"]`)), unprocessable, "rules[0].value has more than 16384 bytes of patterns"},
		{"a negation that is none", and(rule("not_less", `7`)), invalid, "Unsupported operator: not_less"},
		{"a negation twice", and(rule("not_not_equal", `7`)), invalid, "Unsupported operator: not_not_equal"},
		{"PhishTank", and(rule("matches_phish_tank", `""`)), unprocessable, "matches_phish_tank cannot be used: there is no PhishTank feed on this server. Use indicators of the type url or domain_name"},
		{"33 groups deep", deep, unprocessable, "The conditions nest deeper than 32 groups"},
		{"1,001 rules", and(strings.Repeat(rule("is_empty", `""`)+",", 1000) + rule("is_empty", `""`)), unprocessable, "The conditions have more than 1000 rules"},
		{"10,001 values", and(rule("in", `[`+strings.Repeat("1,", 10_000)+`1]`)), unprocessable, "The conditions have more than 10000 values"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse(test.conditions)
			if !fault.Is(err, test.kind) || fault.Public(err) != test.says {
				t.Errorf("%v, want %q of kind %v", err, test.says, test.kind)
			}
		})
	}
}

func TestFieldsAreColumnsOrTheEntrysOwn(t *testing.T) {
	row := &condition.Object{Own: map[string]string{"action": "added"}}
	if err := row.Load(`{"path":"/bin/sh","action":"OPEN","column":"c","pid":"007","size":1e3,"ok":true}`); err != nil {
		t.Fatal(err)
	}
	for rule, want := range map[string]bool{
		`{"field":"path","operator":"equal","value":"/BIN/sh"}`:                         true,
		`{"field":"Path","operator":"equal","value":"/bin/sh"}`:                         false,
		`{"field":"action","operator":"equal","value":"added"}`:                         true,
		`{"field":"column","operator":"column_equal","value":["action","open"]}`:        true,
		`{"field":"column","operator":"equal","value":["action","added"]}`:              false,
		`{"field":"column","operator":"column_equal","value":["column","C"]}`:           true,
		`{"field":"column","operator":"column_is_empty","value":"nothing"}`:             true,
		`{"field":"column","operator":"is_not_empty","value":["path"]}`:                 true,
		`{"field":"column","operator":"column_in","value":["path","/bin/sh","x"]}`:      true,
		`{"field":"column","operator":"column_in","value":["path",["/bin/sh","x"]]}`:    true,
		`{"field":"column","operator":"column_between","value":["pid",1,9]}`:            true,
		`{"field":"path","operator":"is_not_empty"}`:                                    true,
		`{"field":"pid","operator":"equal","value":7}`:                                  false,
		`{"field":"pid","operator":"equal","value":"007"}`:                              true,
		`{"field":"pid","operator":"less","value":8}`:                                   true,
		`{"field":"pid","operator":"less","value":1e3}`:                                 true,
		`{"field":"size","operator":"equal","value":1e3}`:                               true,
		`{"field":"ok","operator":"equal","value":true}`:                                true,
		`{"field":"missing","operator":"not_equal","value":"x"}`:                        true,
		`{"field":"missing","operator":"less","value":8}`:                               false,
		`{"field":"path","operator":"in","value":"/bin/sh"}`:                            true,
		`{"condition":"or","not":true,"rules":[{"field":"path","operator":"is_null"}]}`: true,
	} {
		tree, err := parse(and(rule))
		if err != nil {
			t.Errorf("%s: %v", rule, err)
		} else if tree.Match(row) != want {
			t.Errorf("%s: %v", rule, !want)
		}
	}
}

func FuzzParse(f *testing.F) {
	everyLeaf(func(leaf map[string]any) {
		text, _ := json.Marshal(map[string]any{"condition": "or", "not": true, "rules": []any{leaf}})
		f.Add(string(text), `{"v":"abc"}`)
	})
	f.Add(and(rule("sounds_like", `{}`), and()), `{}`)
	f.Fuzz(func(t *testing.T, conditions, columns string) {
		tree, err := parse(conditions)
		if err != nil {
			return
		}
		var row condition.Object
		_ = row.Load(columns)
		if explained := len(tree.Explain(&row)) > 0; explained != tree.Match(&row) {
			t.Errorf("it matches: %v, and is explained: %v", !explained, explained)
		}
		for _, engine := range []condition.Engine{condition.SQLite, condition.Postgres} {
			clause := tree.SQL(condition.Source{Engine: engine, Columns: "columns", Own: map[string]string{"query_name": "name"}})
			if n := strings.Count(clause.Where, "?"); n != len(clause.Args) {
				t.Errorf("%d places for %d arguments: %s", n, len(clause.Args), clause.Where)
			}
		}
	})
}

func TestWildcardsAreThoseOfTheShell(t *testing.T) {
	for _, test := range []struct {
		pattern string
		matches []string
		others  []string
	}{
		{"*", []string{"", "a", "line\nbreak"}, nil},
		{"a?c", []string{"abc", "A日C", "a?c"}, []string{"ac", "abbc"}},
		{"*.exe", []string{".exe", "CMD.EXE"}, []string{"cmd.exe.bak"}},
		{"[a-c]x", []string{"ax", "Cx"}, []string{"dx", "x"}},
		{"[!a-c]x", []string{"dx", "日x"}, []string{"ax", "x"}},
		{"[]]", []string{"]"}, []string{"[]]"}},
		{"[a-]", []string{"a", "-"}, []string{"b"}},
		{"[", []string{"["}, []string{""}},
		{"a[*]b", []string{"a*b"}, []string{"axb"}},
		{"a*b*c", []string{"abc", "aXbbXc"}, []string{"acb"}},
		{"a%", []string{"a%"}, []string{"ab"}},
	} {
		tree, err := parse(and(rule("matches_wildcard", fmt.Sprintf("%q", test.pattern))))
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range append(test.matches, test.others...) {
			want := len(test.matches) > 0
			for _, other := range test.others {
				want = want && other != value
			}
			if got := tree.Match(texts{"v": value}.row(t)); got != want {
				t.Errorf("%q matches %q: %v", test.pattern, value, got)
			}
		}
	}
}

// texts is a row of texts.
type texts map[string]string

func (columns texts) row(t *testing.T) *condition.Object {
	t.Helper()
	text, err := json.Marshal(columns)
	if err != nil {
		t.Fatal(err)
	}
	return load(t, string(text))
}

func load(t *testing.T, columns string) *condition.Object {
	t.Helper()
	row := &condition.Object{}
	if err := row.Load(columns); err != nil {
		t.Fatal(err)
	}
	return row
}

func TestLargeValuesAreMatchedAsSmallOnes(t *testing.T) {
	tree, err := parse(`{"condition":"AND","rules":[{"field":"x","operator":"matches_regex","value":"(a[bé]?){300}z$"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	for end, want := range map[string]bool{"z": true, "za": false, "Z": false} {
		asked := 0
		row := condition.Object{Ended: func() bool { asked++; return false }}
		if err := row.Load(`{"x":"` + strings.Repeat("aé", 1<<13) + end + `"}`); err != nil {
			t.Fatal(err)
		}
		if got := tree.Match(&row); got != want || asked == 0 {
			t.Errorf("%q at its end: %v, asked %d times", end, got, asked)
		}
		row.Ended = func() bool { return true }
		tree.Match(&row) // comes back
	}
}
