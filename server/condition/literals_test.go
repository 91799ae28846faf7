package condition

import (
	"regexp/syntax"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnExpressionRequiresTexts(t *testing.T) {
	for expression, want := range map[string][]string{
		``:              nil,
		`.*`:            nil,
		`Power.*Shells`: {"shells"},
		`-e(nc|c)[ /]`:  {"-enc ", "-enc/", "-ec ", "-ec/"},
		`(?i)net`:       {"net"},
		`(?i)sk`:        {"sk", "s\u212a", "ſk", "ſ\u212a"},
		`(abc|de)?fg`:   {"fg"},
		`(abc)+d{2}`:    {"abc"},
		`a{0,3}bc`:      {"bc"},
		`(abc|d.)`:      {"abc", "d"},
		`(abc|.*)`:      nil,
		`^\w+\.exe$`:    {".exe"},
		`[Cc]md[!/]c`:   {"cmd!c", "cmd/c"},
		`\x{FFFD}ab`:    {"ab"},
		`\x00ab`:        {"\x00ab"},
		`é+abc`:         {"abc"},
		`(?i)éa`:        {"Éa", "éa"},
		`(?i)(\\Users\\Public\\|mshta|https?://|(wscript|regsvr32)(\.exe)?"?\s|cmd(\.exe)?"?\s+/)`: {
			`\users\public\`, `\userſ\public\`, `\uſers\public\`, `\uſerſ\public\`, "mshta", "mſhta", "http://", "https://", "httpſ://",
			"wscript", "wſcript", "regsvr32", "regſvr32", "cmd",
		},
		`[a-z]bc`:                  {"bc"},
		strings.Repeat("ab", 1000): {strings.Repeat("ab", 32)},
	} {
		parsed, err := syntax.Parse(expression, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		got := required(parsed)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", expression, diff)
		}
	}
}

// FuzzRequired asks expressions themselves whether a value needs what is said.
func FuzzRequired(f *testing.F) {
	for _, seed := range []string{"(?i)kelvin|sharp", "(ab|c)?d[e-g]{2}", "\\bnet\\s+(user|group)", "(a|b|(c|de))*f", "\\pLx", "^(?:x|y{3,5})$"} {
		f.Add(seed, "KELVIN net user abdefy\xff")
	}
	f.Fuzz(func(t *testing.T, expression, value string) {
		if len(expression) > Searches.Pattern {
			return
		}
		p := parser{bounds: Searches}
		q, err := p.regex(expression, "value")
		if err != nil {
			return
		}
		texts := q.(*regex).required
		holds := len(texts) == 0
		for _, text := range texts {
			holds = holds || strings.Contains(fold(value), text)
		}
		if !holds && q.match(nil, value, true) {
			t.Errorf("%q matches %q, which has none of %q", expression, value, texts)
		}
	})
}
