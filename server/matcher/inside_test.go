package matcher

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/server/condition"
)

func parsed(t *testing.T, group map[string]any) Rule {
	t.Helper()
	tree, err := condition.Parse(group, condition.Options{Bounds: condition.Rules})
	if err != nil {
		t.Fatal(err)
	}
	return Rule{Tree: tree}
}

func groupOf(word string, rules ...any) map[string]any {
	return map[string]any{"condition": word, "rules": rules}
}

func not(g map[string]any) map[string]any {
	g["not"] = true
	return g
}

func leafOf(field, operator string, value any) map[string]any {
	return map[string]any{"field": field, "operator": operator, "value": value}
}

func TestARuleSleepsUntilItsCheapestTriggersAreSeen(t *testing.T) {
	short, longer, rare := leafOf("x", "contains", "ab"), leafOf("x", "contains", "abcdef"), leafOf("y", "equal", "abcdefgh")
	negated := leafOf("x", "not_contains", "abcdefghijkl")
	for name, c := range map[string]struct {
		rule map[string]any
		want []string // nothing: it never sleeps
	}{
		"one leaf":                                   {groupOf("AND", short), []string{"x ab"}},
		"of a conjunction the longest":               {groupOf("AND", short, longer), []string{"x abcdef"}},
		"equality tells more than a part":            {groupOf("AND", leafOf("x", "contains", "abcdefgh"), rare), []string{"y abcdefgh"}},
		"an end tells more than any place":           {groupOf("AND", leafOf("x", "contains", "abcdef"), leafOf("y", "ends_with", "ghijkl")), []string{"y ghijkl"}},
		"of a disjunction all":                       {groupOf("OR", short, rare), []string{"x ab", "y abcdefgh"}},
		"a list is a disjunction":                    {groupOf("AND", leafOf("x", "contains", []any{"abc", "def"})), []string{"x abc", "x def"}},
		"one long text before many":                  {groupOf("AND", leafOf("x", "contains", []any{"abcdef", "bcdefg", "cdefgh", "defghi"}), leafOf("y", "contains", "bcdefg")), []string{"y bcdefg"}},
		"a negation is none":                         {groupOf("AND", short, negated), []string{"x ab"}},
		"a negation alone":                           {groupOf("AND", negated), nil},
		"a disjunction with a negation":              {groupOf("OR", longer, negated), nil},
		"a negated conjunction of negations":         {not(groupOf("AND", negated, leafOf("y", "not_equal", "z"))), []string{"x abcdefghijkl", "y z"}},
		"a negated disjunction of negations":         {not(groupOf("OR", negated, leafOf("y", "not_equal", "z"))), []string{"x abcdefghijkl"}},
		"a single letter anywhere is seen too often": {groupOf("AND", leafOf("x", "contains", "a")), nil},
		"a single letter at one end":                 {groupOf("AND", leafOf("x", "begins_with", "a")), []string{"x a"}},
		"nothing at one end":                         {groupOf("AND", leafOf("x", "begins_with", "")), nil},
		"the empty text":                             {groupOf("AND", leafOf("x", "equal", "")), []string{"x "}},
		"presence":                                   {groupOf("AND", leafOf("x", "is_not_null", nil), leafOf("y", "is_empty", nil)), nil},
		"another field":                              {groupOf("AND", leafOf("x", "equal_field", "y")), nil},
		"the longest text of a pattern":              {groupOf("AND", leafOf("x", "matches_wildcard", "ab*cdef?g")), []string{"x cdef"}},
		"a pattern without text":                     {groupOf("AND", leafOf("x", "matches_wildcard", "*?[ab]*")), nil},
		"the text of an expression":                  {groupOf("AND", leafOf("x", "matches_regex", `\w+(net|use)\.exe`)), []string{"x net.exe", "x use.exe"}},
		"an expression without text":                 {groupOf("AND", leafOf("x", "matches_regex", `\w+`)), nil},
		"cased texts are found folded":               {groupOf("AND", leafOf("x", "contains_cased", "ABc")), []string{"x abc"}},
		"a number is better than nothing":            {groupOf("AND", leafOf("x", "greater", "7"), leafOf("y", "not_equal", "z")), []string{"x number"}},
		"and a network":                              {groupOf("AND", leafOf("x", "in_network", "10.0.0.0/8"), leafOf("y", "less", "7")), []string{"x network"}},
		"any column":                                 {groupOf("AND", leafOf("*", "contains", "abc")), []string{"* abc"}},
	} {
		t.Run(name, func(t *testing.T) {
			program := Compile([]Rule{parsed(t, c.rule)})
			if diff := cmp.Diff(c.want, program.triggers()); diff != "" || (program.stats.Always == 1) != (c.want == nil) {
				t.Error(diff)
			}
		})
	}
}

func TestWhatManyRulesAskForIsNoTrigger(t *testing.T) {
	var rules []Rule
	for i := range 100 {
		rules = append(rules, parsed(t, groupOf("AND", leafOf("event_type", "equal", "exec"), leafOf("x", "contains", fmt.Sprintf("w%02d", i)))))
	}
	if slices.Contains(Compile(rules).triggers(), "event_type exec") {
		t.Error("every event wakes every rule")
	}
	if got := Compile(rules[:1]).triggers(); !slices.Equal(got, []string{"event_type exec"}) {
		t.Errorf("one rule alone sleeps until %q", got)
	}
}

// triggers lists what wakes rules.
func (p *Program) triggers() (list []string) {
	for _, s := range p.signals {
		if s.wakes == nil {
			continue
		}
		name := p.fields[p.tests[s.test].field].Name + " "
		needs, _ := p.tests[s.test].Needs()
		for _, n := range needs {
			list = append(list, name+n.Text)
		}
		if _, _, ok := p.tests[s.test].Bound(); ok {
			list = append(list, name+"number")
		}
		if p.tests[s.test].Networks() != nil {
			list = append(list, name+"network")
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func TestAnEventAllocatesNothing(t *testing.T) {
	rules := []Rule{
		parsed(t, groupOf("AND", leafOf("x", "contains", []any{"abc", "é"}), leafOf("n", "less", "8"), leafOf("x", "matches_regex", "(?i)a.c"))),
		parsed(t, groupOf("AND", leafOf("*", "matches_wildcard", "*a?c"), leafOf("address", "in_network", []any{"10.0.0.0/8", "fe80::/10"}))),
		parsed(t, groupOf("AND", map[string]any{"field": "h", "template": "{x}={n}", "operator": "in", "value": []any{"abc=7", "x"}})),
		parsed(t, groupOf("AND", map[string]any{"field": "data", "path": "a.b", "operator": "ends_with", "value": "7"}, leafOf("x", "contains_field", "x"))),
		parsed(t, groupOf("AND", leafOf("x", "not_contains", "nowhere"))),
	}
	if !raced { // the pools of regexp forget things then
		rules = append(rules, parsed(t, groupOf("AND", leafOf("x", "matches_regex", "(?i)a.c"))))
	}
	st := newState(Compile(rules))
	var row condition.Object
	found := 0
	count := func(int) { found++ }
	columns := `{"x":"ABC","n":7,"address":"10.1.2.3","data":"{\"a\":{\"b\":77}}","other":{"a":[1]},"long":"` + strings.Repeat("a", 1000) + `"}`
	if n := testing.AllocsPerRun(200, func() {
		if err := row.Load(columns); err != nil {
			t.Fatal(err)
		}
		st.match(Event{Row: &row}, count)
	}); n > 0 || found != 201*len(rules) {
		t.Errorf("%v allocations, %d matches", n, found)
	}
}

func TestAStateServesMoreEventsThanItsEpochsCount(t *testing.T) {
	program := Compile([]Rule{parsed(t, groupOf("AND", leafOf("x", "contains", "abc"), leafOf("x", "not_ends_with", "z")))})
	st := newState(program)
	var row condition.Object
	for _, epoch := range []uint32{0, maxEpoch - 3} {
		st.epoch = epoch
		for i := range 6 {
			if err := row.Load([]string{`{"x":"abc"}`, `{"x":"abcz"}`, `{}`}[i%3]); err != nil {
				t.Fatal(err)
			}
			found := 0
			if st.match(Event{Row: &row}, func(int) { found++ }); found != []int{1, 0, 0}[i%3] {
				t.Errorf("event %d: %d", i, found)
			}
		}
	}
}

func TestAnAutomatonFindsAllTexts(t *testing.T) {
	letters := []string{"a", "b", "é", "."}
	random := rand.New(rand.NewPCG(1, 2))
	word := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteString(letters[random.IntN(len(letters))])
		}
		return b.String()
	}
	for range 500 {
		var needs []condition.Need
		var numbers []int32
		for i := range 1 + random.IntN(8) {
			needs = append(needs, condition.Need{Text: word(1 + random.IntN(4)), Place: condition.Place(random.IntN(3))})
			numbers = append(numbers, int32(i))
		}
		a := newAutomaton(needs, numbers, maxLength, maxEntries)
		st := newState(&Program{signals: make([]signal, len(needs)), hits: len(a.hits)})
		for range 10 {
			value := word(random.IntN(12))
			st.epoch++
			a.scan(strings.ReplaceAll(value, "b", "B"), st)
			for i, n := range needs {
				if got, want := st.fired[i] == st.epoch, stands(n, value); got != want {
					t.Fatalf("%+v in %q of %+v: %v", n, value, needs, got)
				}
			}
		}
	}
}

func stands(n condition.Need, value string) bool {
	switch n.Place {
	case condition.Start:
		return strings.HasPrefix(value, n.Text)
	case condition.End:
		return strings.HasSuffix(value, n.Text)
	}
	return strings.Contains(value, n.Text)
}

func TestTextsAreCutWhenTheTableGrowsTooLarge(t *testing.T) {
	var rules []Rule
	for i := range 50 {
		word := strings.Repeat(fmt.Sprintf("%c%d", 'a'+i%7, i), 5)
		rules = append(rules, parsed(t, groupOf("AND", leafOf("x", []string{"contains", "begins_with", "ends_with"}[i%3], word))))
	}
	small, large := compile(rules, 2000), Compile(rules)
	if small.stats.Bytes*3 > large.stats.Bytes {
		t.Errorf("%d bytes instead of %d", small.stats.Bytes, large.stats.Bytes)
	}
	var row condition.Object
	for i := range 50 {
		word := strings.Repeat(fmt.Sprintf("%c%d", 'a'+i%7, i), 5)
		for _, value := range []string{word, "_" + word, word + "_", word[1:], word[:len(word)-1]} {
			if err := row.Load(`{"x":"` + value + `"}`); err != nil {
				t.Fatal(err)
			}
			var found [2][]int
			for k, p := range []*Program{small, large} {
				p.Match(Event{Row: &row}, func(rule int) { found[k] = append(found[k], rule) })
				slices.Sort(found[k])
			}
			if !slices.Equal(found[0], found[1]) {
				t.Errorf("%s: %v with texts that are cut, else %v", value, found[0], found[1])
			}
		}
	}
}
