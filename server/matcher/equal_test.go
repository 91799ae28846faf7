package matcher_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"muster/server/condition"
	"muster/server/matcher"
)

// chooser makes the choices of a random trial: a number from 0 to n-1.
type chooser func(n int) int

func (c chooser) of(list ...string) string { return list[c(len(list))] }

func (c chooser) one(in int) bool { return c(in) == 0 }

// texts are of few letters, so that they meet: letters that fold, one that Unicode
// folds and ASCII does not, bytes beyond ASCII.
func (c chooser) text() string {
	if c.one(12) {
		return c.of("", "7", "10.1.2.3", "abababababababababababababababababababab", "\u212a", "aB", "é", "\ufffd")
	}
	var b strings.Builder
	for range 1 + c(5) {
		b.WriteString(c.of("a", "a", "b", "b", "A", "B", "k", "é", ".", "{", " "))
	}
	return b.String()
}

func (c chooser) value() string {
	switch c(8) {
	case 0:
		return c.of("-1", "0", "1", "7", "7.0", "007", "42", "8", "x7")
	case 1:
		return c.of("10.1.2.3", "10.1.9.9", "192.168.0.1", "fe80::1", "::ffff:10.1.2.3", "1.2.3")
	case 2:
		return c.text() + c.text() + c.text()
	}
	return c.text()
}

func (c chooser) list(value func() string) any {
	if c(3) > 0 {
		return value()
	}
	var list []any
	for range 1 + c(4) {
		list = append(list, value())
	}
	if c.one(20) {
		for range 40 {
			list = append(list, value())
		}
	}
	return list
}

func (c chooser) pattern() string {
	return c.of("", "*", "?", "[!a]", "") + c.text() + c.of("", "*", "?", "[ab]", "*a*") + c.text() + c.of("", "*", "?")
}

func (c chooser) expression() string {
	return c.of("", "^", "(?i)", ".*") + c.of("a", "ab", "(ab|ba)", "[ab]b", "k", "ab+", "(a|)b", "a.b", "(?i:ak)", "a{2}b", "b{0,2}a", "\\x{fffd}", "é", "\\.") +
		c.of("", "b", "a+", "$", "(é|a)", ".", "k?")
}

// field adds what a leaf looks at.
func (c chooser) field(leaf map[string]any) map[string]any {
	leaf["field"] = c.of("x", "x", "y", "y", "z", "action", "none", "*")
	switch {
	case leaf["field"] == "*" || leaf["field"] == "action":
	case c.one(8):
		leaf["field"], leaf["path"] = "data", c.of("a", "a.b", "c")
	case c.one(8):
		leaf["template"] = c.of("{x}{y}", "a{x}b", "{{{none}}}{z}", "{action}={x}")
	}
	return leaf
}

func (c chooser) leaf() map[string]any {
	leaf := c.field(map[string]any{})
	not, ending := c.of("", "", "not_"), c.of("", "", "_cased")
	switch c(10) {
	case 0:
		leaf["operator"], leaf["value"] = c.of("less", "less_or_equal", "greater", "greater_or_equal"), c.of("-1", "0", "7", "7.5", "42")
	case 1:
		leaf["operator"], leaf["value"] = not+"between", []any{c.of("-1", "0", "7"), c.of("7", "42")}
	case 2:
		leaf["operator"] = c.of("is_empty", "is_not_empty", "is_ascii", "is_null", "is_not_null")
		if leaf["field"] == "*" {
			leaf["field"] = "x"
		}
	case 3:
		leaf["operator"], leaf["value"] = not+"matches_regex", c.list(c.expression)
	case 4:
		leaf["operator"], leaf["value"] = not+"matches_wildcard"+ending, c.list(c.pattern)
	case 5:
		leaf["operator"], leaf["value"] = not+"in_network", c.list(func() string {
			return c.of("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "::/0", "fe80::/10", "0.0.0.0/0", "192.168.0.0/24")
		})
	case 6:
		leaf["operator"], leaf["value"] = not+c.of("equal", "contains", "begins_with", "ends_with")+"_field"+ending, c.of("x", "y", "none")
		if leaf["field"] == "*" {
			leaf["field"] = "x"
		}
	case 7:
		leaf["operator"], leaf["value"] = not+"in"+ending, c.list(c.value)
	default:
		leaf["operator"], leaf["value"] = not+c.of("contains", "begins_with", "ends_with")+ending, c.list(c.text)
	}
	return leaf
}

func (c chooser) group(depth int) map[string]any {
	group := map[string]any{"condition": c.of("AND", "AND", "OR"), "not": c.one(5)}
	var rules []any
	for range 1 + c(4) {
		if depth > 0 && c.one(3) {
			rules = append(rules, c.group(depth-1))
		} else {
			rules = append(rules, c.leaf())
		}
	}
	group["rules"] = rules
	return group
}

func (c chooser) names(from ...string) []string {
	if c.one(2) {
		return nil
	}
	return from[c(len(from)):]
}

func (c chooser) rules(t *testing.T) []matcher.Rule {
	var rules []matcher.Rule
	for range 1 + c(12) {
		conditions := c.group(2)
		tree, err := condition.Parse(conditions, condition.Options{Own: []string{"action"}, Bounds: condition.Rules})
		if err != nil {
			t.Fatalf("%v: %v", conditions, err)
		}
		rules = append(rules, matcher.Rule{Tree: tree, Tables: c.names("t", "u"), Platforms: c.names("linux", "windows")})
	}
	return rules
}

// odd is a value that is no text, or more of it than is looked at in one go.
func (c chooser) odd() any {
	switch c(12) {
	case 0:
		return c.one(2)
	case 1:
		return json.RawMessage(c.of("1e3", "-0", "7.0", "0.70", "12345678901234567890", "1E+2"))
	case 2:
		return []any{c.text(), c(9), nil}
	case 3:
		return map[string]any{"a": map[string]any{"b": c.text()}}
	case 4:
		return strings.Repeat(c.text(), 1+c(3000)) + c.text() // long enough for a look at the clock
	case 5:
		return json.RawMessage(`"\u0061\ud800\u0000b\u212A\/"`)
	}
	return c(50)
}

func (c chooser) columns() string {
	columns := map[string]any{}
	for _, name := range []string{"x", "y", "z", "other"} {
		switch c(8) {
		case 0:
		case 1:
			columns[name] = nil
		case 2:
			columns[name] = c.odd()
		default:
			columns[name] = c.value()
		}
	}
	if c.one(4) {
		columns["data"] = map[string]any{"a": map[string]any{"b": c.odd()}, "c": c.text()}
	} else if c.one(2) {
		columns["data"] = fmt.Sprintf(`{"a":{"b":%q},"c":%d}`, c.text(), c(9))
	}
	text, _ := json.Marshal(columns)
	if c.one(6) { // a byte that is no UTF-8, and a name that stands twice
		text = append(slices.Concat([]byte(`{"x":"`), []byte(c.text()), []byte("\xffa\xc3"), []byte(c.text()), []byte(`",`)), text[1:]...)
	}
	return string(text)
}

// differ matches events against rules as the matcher does and one by one.
func differ(t *testing.T, c chooser, events int) {
	rules := c.rules(t)
	program := matcher.Compile(rules)
	row := &condition.Object{Own: map[string]string{"action": c.of("added", "a", "ab")}}
	for range events {
		columns := c.columns()
		if err := row.Load(columns); err != nil {
			continue // two names, of which the second is the text's only one
		}
		e := matcher.Event{Tables: c.names("t", "u"), Platform: c.of("linux", "windows", "", "darwin"), Row: row}
		var found, want []int
		failures := program.Match(e, func(rule int) { found = append(found, rule) })
		if len(failures) > 0 && errors.Is(failures[0].Err, matcher.ErrSlow) {
			continue // others need the processor
		}
		if failures != nil {
			t.Fatalf("%v", failures)
		}
		slices.Sort(found)
		for i, r := range rules {
			if applies(r.Tables, e.Tables...) && applies(r.Platforms, e.Platform) && r.Tree.Match(row) {
				want = append(want, i)
			}
		}
		if !slices.Equal(found, want) {
			t.Fatalf("%s of %q, %q matches %v, one by one %v", columns, e.Tables, e.Platform, found, want)
		}
	}
}

func applies(names []string, to ...string) bool {
	return len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return slices.Contains(to, name) })
}

func TestTheMatcherFindsWhatTheTreesMatch(t *testing.T) {
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 1))
		differ(t, random.IntN, 10)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzTheMatcherFindsWhatTheTreesMatch(f *testing.F) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 2))
		data := make([]byte, 600)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		differ(t, func(n int) int {
			if len(data) == 0 {
				return 0
			}
			next := int(data[0]) % n
			data = data[1:]
			return next
		}, 4)
	})
}

// FuzzConditions takes conditions and columns as they are.
func FuzzConditions(f *testing.F) {
	f.Add(`{"condition":"AND","rules":[{"field":"x","operator":"matches_regex","value":"(?i)ab|k"}]}`, `{"x":"K"}`)
	f.Add(`{"condition":"OR","rules":[{"field":"*","operator":"contains","value":["ab","b"]},{"field":"x","operator":"between","value":[1,9]}]}`, `{"x":"7","y":"xAB"}`)
	f.Fuzz(func(t *testing.T, conditions, columns string) {
		var given map[string]any
		if json.Unmarshal([]byte(conditions), &given) != nil {
			return
		}
		tree, err := condition.Parse(given, condition.Options{})
		var row condition.Object
		if err != nil || row.Load(columns) != nil {
			return
		}
		found := false
		program := matcher.Compile([]matcher.Rule{{Tree: tree}})
		if failures := program.Match(matcher.Event{Row: &row}, func(int) { found = true }); failures != nil || found != tree.Match(&row) {
			t.Errorf("found: %v %v", found, failures)
		}
	})
}
