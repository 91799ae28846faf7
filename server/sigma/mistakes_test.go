package sigma_test

import (
	"fmt"
	"strings"
	"testing"

	"muster/server/fault"
	"muster/server/sigma"
)

func TestRulesThatAreWrongSayWhatAndWhere(t *testing.T) {
	failed, not := sigma.Failed, sigma.NotApplicable
	deep := strings.Repeat("[", 30) + strings.Repeat("]", 30)
	var bomb strings.Builder
	bomb.WriteString("title: x\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := range 9 {
		fmt.Fprintf(&bomb, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i+1, i+1, i, i, i, i, i, i, i, i)
	}
	for _, test := range []struct {
		name    string
		text    string
		outcome sigma.Outcome
		line    int
		says    string
	}{
		{"no YAML", "title: x\n\nb: c\n  d: e\n", failed, 4, "no YAML: mapping values are not allowed in this context"},
		{"no mapping", "- a", failed, 1, "the document is no mapping of keys to values"},
		{"a key twice", "title: x\ntitle: y\n", failed, 2, "the key title stands twice"},
		{"deep nesting", "title: x\na: " + deep, failed, 2, "the YAML nests deeper than 20 levels"},
		{"a bomb of aliases", bomb.String(), failed, 2, "the YAML has more than 100000 values"},
		{"an alias inside what it stands for", "title: x\na: &a [*a]\n", failed, 2, "the YAML nests deeper than 20 levels"},
		{"merged keys", "title: x\na: &a {b: c}\nd:\n  <<: *a\n", failed, 4, "<< is not supported: write the keys out"},
		{"no title", "logsource: {product: linux}", failed, 1, "title is missing"},
		{"a long title", "title: " + strings.Repeat("x", 1025), failed, 1, "title is longer than 1024 bytes"},
		{"a title that is no text", "title: [x]", failed, 1, "title must be text"},
		{"another level", "title: x\nlevel: severe", failed, 2, "level severe is none of informational, low, medium, high, critical"},
		{"another status", "title: x\nstatus: new", failed, 2, "status new is none of stable, test, experimental, deprecated, unsupported"},
		{"tags that are no texts", "title: x\ntags:\n- a: b", failed, 3, "tags must be a list of texts"},
		{"no log source", "title: x", failed, 1, "logsource is missing"},
		{"a log source that is text", "title: x\nlogsource: linux", failed, 2, "logsource must be a mapping with category, product or service"},
		{"an empty log source", "title: x\nlogsource: {definition: y}", failed, 2, "logsource names no category, product or service"},
		{"no detection", "title: x\nlogsource: {category: test}", failed, 1, "detection is missing"},
		{"a detection that is a list", "title: x\nlogsource: {category: test}\ndetection: []", failed, 3, "detection must be a mapping"},
		{"no condition", rule("test", "  s: x\n"), failed, 5, "detection has no condition"},
		{"an empty list of conditions", rule("test", "  s: x\n  condition: []\n"), failed, 6, "condition is an empty list"},
		{"a condition that is a map", rule("test", "  s: x\n  condition: {a: b}\n"), failed, 6, "condition must be text or a list of texts"},
		{"another modifier", search(`A|sounds: x`), failed, 6, `there is no modifier "sounds"`},
		{"an empty modifier", search(`A|: x`), failed, 6, `there is no modifier ""`},
		{"a modifier twice", search(`A|contains|contains: x`), failed, 6, "the modifier contains stands twice"},
		{"two places", search(`A|contains|endswith: x`), failed, 6, "the modifiers contains and endswith exclude each other"},
		{"two kinds", search(`A|re|cidr: x`), failed, 6, "the modifiers re and cidr exclude each other"},
		{"an encoding behind the place", search(`A|contains|base64: x`), failed, 6, "the modifier base64 must stand before contains"},
		{"a flag without an expression", search(`A|i: x`), failed, 6, "the modifier i must stand behind re"},
		{"a place of an expression", search(`A|re|contains: x`), failed, 6, "the modifiers contains and re do not go together"},
		{"all and neq", search(`A|all|neq: [x, y]`), failed, 6, "the modifiers all and neq do not go together"},
		{"a network in base64", search(`A|base64|cidr: x`), failed, 6, "the modifiers base64 and cidr do not go together"},
		{"a part of a time", search(`A|hour: 3`), not, 6, "the modifier hour is not supported yet"},
		{"a keyword that starts with", search(`'|startswith': x`), failed, 6, "the modifier startswith needs a field before it"},
		{"a map for a value", search(`A: {b: c}`), failed, 6, "s: A must be a value or a list of values, not a map"},
		{"a list in a list of values", search(`A: [x, [y]]`), failed, 6, "s: A must be a value or a list of values"},
		{"no values", search(`A: []`), failed, 6, "s: A is an empty list"},
		{"an empty map", rule("test", "  s: {}\n  condition: s\n"), failed, 5, "s is an empty map"},
		{"an empty list", rule("test", "  s: []\n  condition: s\n"), failed, 5, "s is an empty list"},
		{"a list in a list", rule("test", "  s: [[x]]\n  condition: s\n"), failed, 5, "s: a list in a list"},
		{"a search without a value", rule("test", "  s:\n  condition: s\n"), failed, 5, "s must not be null"},
		{"null with a place", search(`A|contains: null`), failed, 6, "s: A|contains must not be null"},
		{"a comparison with text", search(`A|gt: '5'`), failed, 6, "s: A|gt must be a number such as 42 or -0.5"},
		{"a comparison with infinity", search(`A|gt: .inf`), failed, 6, "s: A|gt must be a number such as 42 or -0.5"},
		{"existence that is text", search(`A|exists: x`), failed, 6, "s: A|exists must be true or false"},
		{"no network", search(`A|cidr: 10.0.0.0/33`), failed, 6, "s: A|cidr must be a network such as 10.0.0.0/8 or 2001:db8::/32, not 10.0.0.0/33"},
		{"no expression", search(`A|re: 'a('`), failed, 6, "s: A|re is no regular expression of RE2: missing closing ): `a(`"},
		{"an expression that looks ahead", search(`B: x`, `A|re: '(?=a)'`), failed, 7, "s: A|re is no regular expression of RE2: invalid or unsupported Perl syntax: `(?=`"},
		{"wildcards in base64", search(`A|base64: 'a*'`), failed, 6, "s: A|base64 has wildcards, which base64 cannot encode"},
		{"a number in base64", search(`A|base64: 5`), failed, 6, "s: A|base64 must be text"},
		{"UTF-16 alone", search(`A|wide: x`), failed, 6, "s: A|wide has bytes that no column can have: base64 or base64offset must follow"},
		{"too many options", search(`A|windash: '-a -b -c -d -e -f'`), failed, 6, "windash in a value with more than 5 options"},
		{"binary", search(`A: !!binary aGk=`), failed, 6, "s: A: a value of the type !!binary"},
		{"a placeholder without values", search(`A|expand: '%Nobody%'`), not, 6, "the placeholder %Nobody% has no values in the mapping"},
		{"a time frame", rule("test", "  s: x\n  timeframe: 5m\n  condition: s\n"), not, 6, "timeframe is not supported yet"},
		{"an aggregation", rule("test", "  s: x\n  condition: s | count() > 5\n"), not, 6, "aggregations in a condition (|) are not supported yet"},
		{"a correlation", "title: x\ncorrelation: {type: event_count}", not, 2, "correlations of events are not supported yet"},
		{"a filter", "title: x\nfilter: {rules: any}", not, 2, "Sigma filters are not supported yet"},
		{"a collection", "title: x\naction: global", not, 2, "collections with action are not supported: Sigma 2 has none"},
		{"a log source that nobody reports", rule("webserver", "  s: {A: x}\n  condition: s\n"), not, 1, "no table reports logsource category=webserver"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := one(t, test.text, labMapping(t))
			if r.Outcome != test.outcome || r.Reason != test.says || r.Line != test.line || len(r.Rule.Variants) > 0 {
				t.Errorf("%s, line %d: %q, want %s, line %d: %q", r.Outcome, r.Line, r.Reason, test.outcome, test.line, test.says)
			}
		})
	}
}

func TestEveryDocumentHasItsResult(t *testing.T) {
	good := strings.TrimSpace(search(`A: x`))
	text := "\uFEFF# Rules of a team\r\n---\n" + good + "\n---\ntitle: Broken\na: [\n--- # the next\n" + strings.ReplaceAll(good, "Test", "Third") + "\n...\n# the end\n---\n"
	results, err := sigma.Translate([]byte(text), labMapping(t))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range results {
		got = append(got, fmt.Sprintf("%s %s %d", r.Rule.Title, r.Outcome, r.Line))
	}
	want := "Test translated 2,  failed 12, Third translated 13"
	if strings.Join(got, ", ") != want {
		t.Errorf("%s, want %s", strings.Join(got, ", "), want)
	}
}

func TestTextsBeyondTheBounds(t *testing.T) {
	for name, text := range map[string]string{
		"too large":          strings.Repeat("#", sigma.MaxText+1),
		"too many documents": strings.Repeat("---\na: b\n", 20_001),
		"no UTF-8":           "title: \xff",
	} {
		if _, err := sigma.Translate([]byte(text), labMapping(t)); !fault.Is(err, fault.Unprocessable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r := one(t, search(`A: '`+strings.Repeat("x", 600_000)+`'`), labMapping(t)); r.Outcome != sigma.Failed || r.Reason != "the document is larger than 512 KiB" {
		t.Errorf("a large document: %s %s", r.Outcome, r.Reason)
	}
}
