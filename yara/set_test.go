package yara

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	libyara "github.com/hillu/go-yara/v4"

	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/hosts"
)

func TestASetCompiles(t *testing.T) {
	db := dbtest.Open(t, database.SQLite)
	s := open(t, db, bus.NewMemory())
	for name, text := range map[string]string{
		"a.yar": "rule a { condition: true } // the end", "b.yar": "rule b { condition: true }\nrule a { condition: true }",
		"c.yar": "import \"math\"\nrule c { condition: math.abs(-1) == 1 }", "d.yar": "global rule d { condition: false }",
		"e.yar": "rule math { condition: true }", "f.yar": "rule e { strings: $rule = \"rule a {\" condition: $rule }",
	} {
		add(t, s, NewFile{Name: name, Content: text})
	}
	set := string(s.Set(&hosts.Host{}))
	rules, err := Compile(set)
	if err != nil {
		t.Fatalf("%v\n%s", err, set)
	}
	defer rules.Close()
	if got := strings.Join(rules.Names(), " "); got != "a c eicar_test_file eicar_test_text e" {
		t.Errorf("the set holds %s", got)
	}
	for _, line := range []string{
		"// Left out: b.yar, because the name a is taken by a.yar.\n",
		"// Left out: d.yar, which has a global rule.\n",
		"// Left out: e.yar, because the name math is taken by c.yar.\n",
	} {
		if !strings.Contains(set, line) {
			t.Errorf("%q is missing in\n%s", line, set)
		}
	}
	if again := s.Set(&hosts.Host{}); &again[0] != &s.Set(&hosts.Host{})[0] {
		t.Error("the set is not kept")
	}
}

func TestASetHoldsWhatAgentsTake(t *testing.T) {
	var files []held
	for i := range 5 {
		text := fmt.Sprintf("rule r%d { condition: true } //%s\n", i, strings.Repeat("x", 2<<20))
		files = append(files, held{File: File{Name: fmt.Sprintf("%d.yar", i)}, text: []byte(text), outline: outlineOf(text)})
	}
	set := join(files)
	if len(set) > MaxContent || !strings.Contains(string(set), "// Left out: 4.yar, for which there is no room.") {
		t.Errorf("%d bytes", len(set))
	}
	if empty := join(nil); len(empty) == 0 {
		t.Error("an empty answer is a failure to agents")
	}
}

func TestOutline(t *testing.T) {
	for sentence, c := range map[string]struct{ text, rules, imports string }{
		"a rule":                       {"rule a { condition: true }", "a", ""},
		"modifiers and tags":           {"private global rule a : rule_tag { condition: true }", "a", ""},
		"comments anywhere":            {"rule /* rule x */ // rule y\n a{condition: true}", "a", ""},
		"rules in strings are none":    {`rule a { strings: $rule = "\" rule b {" condition: #rule > 0 }`, "a", ""},
		"rules in patterns are none":   {`rule a { strings: $a = /\/ rule b "/ $b = /x/ condition: any of them } rule c { condition: true }`, "a c", ""},
		"a division is no pattern":     {`rule a { condition: 4 \ 2 == 2 } rule b { condition: true }`, "a b", ""},
		"hex strings":                  {"rule a { strings: $a = { 01 ?? [2-4] ( 02 | 03 ) } condition: $a } rule b { condition: true }", "a b", ""},
		"imports":                      {"import \"pe\" import\n\"math\" rule a { condition: pe.is_pe }", "a", "pe math"},
		"a name that starts like rule": {"rule rules { condition: true } rule _rule1 { condition: rules }", "rules _rule1", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			o := outlineOf(c.text)
			if strings.Join(o.rules, " ") != c.rules || strings.Join(o.imports, " ") != c.imports {
				t.Errorf("%+v", o)
			}
			if _, err := Compile(c.text); err != nil {
				t.Errorf("the example is wrong: %v", err)
			}
		})
	}
}

// What compiles has the rules that its outline names, and can stand in a set.
func FuzzOutline(f *testing.F) {
	for _, text := range []string{rule, "import \"pe\"\nglobal rule a{strings:$a=/x\\/y/i $b={01 [2] (02|03)} condition:all of them}", "/*", "rule a{meta:a=\"\\\"\" condition:1}//", "rule a { strings: $rule = \"a\" condition: @rule[1] == 0 }"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.IndexByte(text, 0) >= 0 {
			return
		}
		o := outlineOf(text)
		verdict, err := Here(t.Context(), text)
		if err != nil || len(verdict.Errors) > 0 {
			return
		}
		if !slices.Equal(o.rules, verdict.Rules) {
			t.Errorf("%q has the rules %v, the outline %v", text, verdict.Rules, o.rules)
		}
	})
}

// The test file is put together here, so that no scanner takes this file for it.
func TestWhatShipsFindsTheTestFile(t *testing.T) {
	text, err := shipped.ReadFile("rules/eicar.yara")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := Compile(string(text))
	if err != nil {
		t.Fatal(err)
	}
	defer rules.Close()
	test := `X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR` + "-STANDARD-" + "ANTIVIRUS-TEST-FILE!$H+H*"
	for content, want := range map[string]string{
		test: "eicar_test_file eicar_test_text", "x" + test: "eicar_test_text", test + strings.Repeat(" ", 99): "eicar_test_text",
		test[:60]: "", "nothing": "",
	} {
		var found libyara.MatchRules
		if err := rules.compiled.ScanMem([]byte(content), 0, 0, &found); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, match := range found {
			names = append(names, match.Rule)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%d bytes: %q, want %q", len(content), got, want)
		}
	}
	if strings.Contains(string(text), test) {
		t.Error("the rules hold the test file's text in one piece")
	}
}
