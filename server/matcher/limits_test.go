package matcher_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"muster/server/condition"
	"muster/server/matcher"
	"muster/server/matcher/corpus"
)

func rule(t *testing.T, leaves ...any) matcher.Rule {
	t.Helper()
	tree, err := condition.Parse(map[string]any{"condition": "AND", "rules": leaves}, condition.Options{Bounds: condition.Rules})
	if err != nil {
		t.Fatal(err)
	}
	return matcher.Rule{Tree: tree}
}

func leaf(field, operator string, value any) map[string]any {
	return map[string]any{"field": field, "operator": operator, "value": value}
}

// costly takes seconds for a value of a megabyte.
const costly = "(a[bé]?){300}z$"

func row(t *testing.T, columns string) *condition.Object {
	t.Helper()
	row := &condition.Object{}
	if err := row.Load(columns); err != nil {
		t.Fatal(err)
	}
	return row
}

func long(t *testing.T) *condition.Object {
	return row(t, `{"x":"`+strings.Repeat("a", 1<<20)+`","y":"b"}`)
}

func match(p *matcher.Program, e matcher.Event) (found []int, failures []matcher.Failure) {
	failures = p.Match(e, func(rule int) { found = append(found, rule) })
	slices.Sort(found)
	return found, failures
}

func TestARuleThatPanicsFailsAlone(t *testing.T) {
	program := matcher.Compile([]matcher.Rule{
		rule(t, leaf("x", "matches_regex", "aaa$")),
		rule(t, leaf("y", "equal", "b")),
		rule(t, leaf("y", "equal", "B"), leaf("x", "matches_regex", "^aa")),
	})
	event := matcher.Event{Row: long(t)}
	asked := 0
	event.Row.Ended = func() bool {
		if asked++; asked == 1 {
			panic("a fault of ours")
		}
		return false
	}
	found, failures := match(program, event)
	if len(failures) != 1 || !strings.Contains(failures[0].Err.Error(), "a fault of ours") {
		t.Fatalf("%v", failures)
	}
	if want := slices.DeleteFunc([]int{0, 1, 2}, func(rule int) bool { return rule == failures[0].Rule }); !slices.Equal(found, want) {
		t.Errorf("%v are found, and %v fails", found, failures[0].Rule)
	}
	if event.Row.Ended() || asked < 2 {
		t.Error("the row's own Ended is lost")
	}
}

func TestARuleThatTakesTooLongFailsAlone(t *testing.T) {
	program := matcher.Compile([]matcher.Rule{
		rule(t, leaf("x", "matches_regex", costly)),
		rule(t, leaf("y", "equal", "b"), leaf("x", "contains", "aaa")),
		rule(t, leaf("y", "equal", "b"), leaf("x", "not_matches_regex", costly)),
		rule(t, leaf("x", "matches_wildcard", strings.Repeat("*"+strings.Repeat("a", 60)+"?b", 20))),
	})
	found, failures := match(program, matcher.Event{Row: long(t)})
	if !slices.Equal(found, []int{1}) {
		t.Errorf("%v are found", found)
	}
	for _, f := range failures {
		if !errors.Is(f.Err, matcher.ErrSlow) && !errors.Is(f.Err, matcher.ErrEnded) || f.Rule == 1 {
			t.Errorf("%+v", f)
		}
	}
	if len(failures) < 2 {
		t.Errorf("%v fail", failures)
	}
}

func TestRulesThatAreFastOutliveTheEventsTime(t *testing.T) {
	rules := []matcher.Rule{rule(t, leaf("x", "matches_regex", "aaa"))}
	for range 10 {
		rules = append(rules, rule(t, leaf("y", "equal", "b"), leaf("x", "not_equal", "b")))
	}
	event := matcher.Event{Row: long(t)}
	event.Row.Ended = func() bool { return true }
	// Not equal to "b" is a look at a megabyte as far as the matcher knows.
	found, failures := match(matcher.Compile(rules), event)
	if len(found) != 0 || len(failures) != 11 || !errors.Is(failures[5].Err, matcher.ErrEnded) {
		t.Errorf("%v are found, %v fail", found, failures)
	}
	rules[3] = rule(t, leaf("y", "equal", "b"), leaf("y", "not_equal", "c"))
	if found, failures = match(matcher.Compile(rules), event); !slices.Equal(found, []int{3}) || len(failures) != 10 {
		t.Errorf("%v are found, %v fail", found, failures)
	}
}

func TestRulesHoldForTheirTablesAndPlatforms(t *testing.T) {
	of := func(tables, platforms []string) matcher.Rule {
		r := rule(t, leaf("y", "equal", "b"))
		r.Tables, r.Platforms = tables, platforms
		return r
	}
	program := matcher.Compile([]matcher.Rule{
		of(nil, nil), of([]string{"t"}, nil), of([]string{"u", "t", "t"}, nil), of([]string{"t"}, []string{"linux"}), of(nil, []string{"linux", "darwin"}),
	})
	for _, c := range []struct {
		tables   []string
		platform string
		want     []int
	}{
		{nil, "", []int{0}},
		{nil, "linux", []int{0, 4}},
		{[]string{"t"}, "", []int{0, 1, 2}},
		{[]string{"t", "u", "t"}, "linux", []int{0, 1, 2, 3, 4}},
		{[]string{"u"}, "darwin", []int{0, 2, 4}},
		{[]string{"v"}, "windows", []int{0}},
	} {
		found, _ := match(program, matcher.Event{Tables: c.tables, Platform: c.platform, Row: row(t, `{"y":"b"}`)})
		if !slices.Equal(found, c.want) {
			t.Errorf("%q on %q: %v, not %v", c.tables, c.platform, found, c.want)
		}
	}
	if stats := program.Stats(); stats.Rules != 5 || stats.Groups != 5 || stats.Tests != 1 || stats.Always != 0 {
		t.Errorf("%+v", stats)
	}
}

func TestNoRulesFindNothing(t *testing.T) {
	if found, failures := match(matcher.Compile(nil), matcher.Event{Tables: []string{"t"}, Row: row(t, `{"y":"b"}`)}); found != nil || failures != nil {
		t.Errorf("%v, %v", found, failures)
	}
}

func TestCountersTellWhatBecameOfRules(t *testing.T) {
	program := matcher.Compile([]matcher.Rule{
		rule(t, leaf("y", "equal", "b"), leaf("x", "is_null", nil)), rule(t, leaf("y", "equal", "b"), leaf("y", "is_empty", nil)), rule(t, leaf("y", "equal", "c")),
		rule(t, leaf("x", "matches_regex", costly)),
	})
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			row := &condition.Object{}
			for range 100 {
				if row.Load(`{"y":"b"}`) == nil {
					program.Match(matcher.Event{Row: row}, func(int) {})
				}
			}
		})
	}
	work.Wait()
	match(program, matcher.Event{Row: long(t)})
	counts := map[int]matcher.Counts{}
	program.Drain(func(rule int, c matcher.Counts) { counts[rule] = c })
	if c := counts[0]; c.Evaluated != 401 || c.Matched != 400 || c.Failed != 0 || c.Time == 0 {
		t.Errorf("%+v", c)
	}
	if c := counts[1]; c.Evaluated != 401 || c.Matched != 0 {
		t.Errorf("%+v", c)
	}
	if c := counts[3]; c.Evaluated != 401 || c.Failed != 1 { // it has no trigger
		t.Errorf("%+v", c)
	}
	if _, counted := counts[2]; counted || len(counts) != 3 {
		t.Errorf("a rule that sleeps is counted: %v", counts)
	}
	program.Drain(func(rule int, c matcher.Counts) { t.Errorf("rule %d is counted twice: %+v", rule, c) })
}

func TestRulesLikeThoseOfRuleSetsAreFound(t *testing.T) {
	program, rules, err := corpus.Compiled(400)
	if err != nil {
		t.Fatal(err)
	}
	for _, columns := range slices.Concat(corpus.Benign(), corpus.Hostile()) {
		row := row(t, columns)
		found, failures := match(program, matcher.Event{Tables: []string{corpus.Table}, Row: row})
		var want []int
		for i, r := range rules {
			if r.Tree.Match(row) {
				want = append(want, i)
			}
		}
		if failures != nil || !slices.Equal(found, want) {
			t.Errorf("%s: %v, one by one %v", columns, found, want)
		}
	}
}
