package condition_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"muster/server/condition"
)

func TestPathsTemplatesAndOtherFields(t *testing.T) {
	row := load(t, `{"data":"{\"EventData\":{\"Image\":\"C:\\\\x.exe\",\"Pid\":7,\"On\":true,\"Null\":null,\"Deep\":{\"a\":1}}}","object":{"a":{"b":"c"}},
		"text":"{no json","list":"[1]","path":"/bin/sh","cmdline":"/BIN/SH -c x","md5":"abc","sha256":"","null":null,"n":42,"address":"10.1.2.3"}`)
	row.Own = map[string]string{"action": "added"}
	for rule, want := range map[string]bool{
		`{"field":"data","path":"EventData.Image","operator":"ends_with","value":"X.EXE"}`:                                   true,
		`{"field":"data","path":"EventData.Pid","operator":"less","value":8}`:                                                true,
		`{"field":"data","path":"EventData.On","operator":"equal","value":true}`:                                             true,
		`{"field":"data","path":"EventData.Null","operator":"is_null"}`:                                                      true,
		`{"field":"data","path":"EventData.None","operator":"is_null"}`:                                                      true,
		`{"field":"data","path":"EventData.Image.x","operator":"is_null"}`:                                                   true,
		`{"field":"data","path":"eventdata.Image","operator":"not_equal","value":"x"}`:                                       true,
		`{"field":"data","path":"EventData.Deep","operator":"equal","value":"{\"a\":1}"}`:                                    true,
		`{"field":"object","path":"a.b","operator":"equal","value":"C"}`:                                                     true,
		`{"field":"text","path":"a","operator":"is_null"}`:                                                                   true,
		`{"field":"list","path":"0","operator":"is_null"}`:                                                                   true,
		`{"field":"null","path":"a","operator":"is_null"}`:                                                                   true,
		`{"field":"none","path":"a","operator":"is_null"}`:                                                                   true,
		`{"field":"Hashes","template":"MD5={md5},SHA256={sha256}","operator":"equal","value":"md5=ABC,sha256="}`:             true,
		`{"field":"Hashes","template":"{sha256}{null}{none}x","operator":"is_null"}`:                                         true,
		`{"field":"v","template":"{{{n}}}|{action}|{object}","operator":"equal","value":"{42}|added|{\"a\":{\"b\":\"c\"}}"}`: true,
		`{"field":"*","operator":"contains","value":"bin/sh -c"}`:                                                            true,
		`{"field":"*","operator":"equal","value":42}`:                                                                        true,
		`{"field":"*","operator":"equal","value":"added"}`:                                                                   false,
		`{"field":"*","operator":"not_contains","value":"bin/sh -c"}`:                                                        false,
		`{"field":"*","operator":"not_contains","value":"nowhere"}`:                                                          true,
		`{"field":"*","operator":"is_empty"}`:                                                                                true,
		`{"field":"column","operator":"column_is_null","value":"*"}`:                                                         true,
		`{"field":"cmdline","operator":"begins_with_field","value":"path"}`:                                                  true,
		`{"field":"cmdline","operator":"begins_with_field_cased","value":"path"}`:                                            false,
		`{"field":"cmdline","operator":"contains_field","value":"path"}`:                                                     true,
		`{"field":"cmdline","operator":"not_contains_field_cased","value":"path"}`:                                           true,
		`{"field":"cmdline","operator":"ends_with_field","value":"path"}`:                                                    false,
		`{"field":"path","operator":"equal_field","value":{"field":"x","template":"{path}"}}`:                                true,
		`{"field":"path","operator":"not_equal_field","value":"none"}`:                                                       true,
		`{"field":"none","operator":"equal_field","value":"none"}`:                                                           false,
		`{"field":"n","operator":"ends_with_field_cased","value":{"field":"data","path":"EventData.Pid"}}`:                   false,
		`{"field":"address","operator":"in_network","value":"10.0.0.0/8"}`:                                                   true,
		`{"field":"address","operator":"not_in_network","value":["10.1.2.4","fe80::/10"]}`:                                   true,
		`{"field":"path","operator":"in_network","value":"0.0.0.0/0"}`:                                                       false,
		`{"field":"path","operator":"equal_cased","value":["/bin/SH","/bin/sh"]}`:                                            true,
		`{"field":"path","operator":"not_in_cased","value":["/bin/SH","x"]}`:                                                 true,
		`{"field":"path","operator":"ends_with","value":["x","/SH"]}`:                                                        true,
		`{"field":"path","operator":"not_ends_with_cased","value":["x","/SH"]}`:                                              true,
		`{"field":"path","operator":"matches_regex","value":["^x","(?i)SH$"]}`:                                               true,
		`{"field":"path","operator":"matches_wildcard_cased","value":["/B*","/b*H"]}`:                                        false,
	} {
		if got := parsed(t, and(rule)).Match(row); got != want {
			t.Errorf("%s: %v", rule, got)
		}
	}
}

func parsed(t *testing.T, conditions string) *condition.Tree {
	t.Helper()
	tree, err := parse(conditions)
	if err != nil {
		t.Fatalf("%s: %v", conditions, err)
	}
	return tree
}

func TestAddressesAreReadInEveryForm(t *testing.T) {
	for _, c := range []struct {
		network, address string
		want             bool
	}{
		{"10.0.0.0/8", "10.255.255.255", true},
		{"10.1.2.3/8", "10.9.9.9", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"10.0.0.0/8", "::ffff:10.1.1.1", true},
		{"::ffff:10.0.0.0/104", "10.1.1.1", true},
		{"192.0.2.7", "192.0.2.7", true},
		{"fe80::/10", "fe80::1%eth0", true},
		{"fe80::1", "FE80:0::1", true},
		{"0.0.0.0/0", "::1", false},
		{"::/0", "::1", true},
		{"::/0", "1.2.3.4", false},
		{"::/0", "", false},
		{"0.0.0.0/0", "1.2.3", false},
		{"0.0.0.0/0", "a.example", false},
		{"0.0.0.0/0", "1.2.3.4:80", false},
	} {
		tree := parsed(t, and(rule("in_network", fmt.Sprintf("%q", c.network))))
		if got := tree.Match(texts{"v": c.address}.row(t)); got != c.want {
			t.Errorf("%s in %s: %v", c.address, c.network, got)
		}
	}
}

func TestRulesMayBeLargerThanSearches(t *testing.T) {
	large := map[string]any{"condition": "OR", "rules": []any{
		map[string]any{"field": "v", "operator": "matches_wildcard", "value": strings.Repeat("a*", 1000)},
	}}
	if _, err := condition.Parse(large, condition.Options{}); err == nil {
		t.Error("a search may be that large")
	}
	if _, err := condition.Parse(large, condition.Options{Bounds: condition.Rules}); err != nil {
		t.Error(err)
	}
}

func TestMatchingARowAllocatesNothing(t *testing.T) {
	tree := parsed(t, and(`{"field":"n","operator":"less","value":43}`, `{"field":"data","path":"a.b","operator":"equal","value":7}`,
		`{"field":"h","template":"{n}|{path}","operator":"begins_with","value":"42|/"}`, `{"field":"*","operator":"contains","value":"/BIN"}`,
		`{"field":"path","operator":"in_network","value":"10.0.0.0/8"}`, `{"field":"path","operator":"not_matches_wildcard","value":["*x","?y*"]}`))
	var row condition.Object
	columns := `{"n":42,"data":"{\"a\":{\"b\":7}}","path":"/bin/sh","other":{"a":[1,2]}}`
	if n := testing.AllocsPerRun(100, func() {
		if err := row.Load(columns); err != nil || tree.Match(&row) {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTheTextOfAMemberDoesNotDependOnWhatWasAskedBefore(t *testing.T) {
	for _, columns := range []string{`{"data":{"a":{"b":"\u0061\/","\u0062":[1]}}}`, `{"data":"{\"a\":{\"b\":\"\\u0061\\/\",\"\\u0062\":[1]}}"}`} {
		whole, member, text := condition.Field{Name: "data"}, condition.Field{Name: "data", Path: "a"}, condition.Field{Name: "data", Path: "a.b"}
		var row condition.Object
		var want []string
		for _, order := range [][]condition.Field{{whole, member, text}, {text, member, whole}, {member, text, whole}} {
			if err := row.Load(columns); err != nil {
				t.Fatal(err)
			}
			for _, f := range order {
				row.Value(f)
			}
			var got []string
			for _, f := range []condition.Field{whole, member, text} {
				value, _ := row.Value(f)
				got = append(got, strings.Clone(value))
			}
			if want == nil {
				want = got
			}
			if !slices.Equal(want, got) {
				t.Errorf("%s is %q and was %q", columns, got, want)
			}
		}
		if want[1] != `{"b":"\u0061\/","\u0062":[1]}` || want[2] != "a/" {
			t.Errorf("it is %q", want)
		}
	}
}
