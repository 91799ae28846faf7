package sigma_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"muster/server/sigma"
)

// letters is a rule whose searches s1, s2, s3, f1 and _h are true of rows that hold the
// letter in the column a.
func letters(condition string) string {
	var detection strings.Builder
	for name, letter := range map[string]string{"s1": "p", "s2": "q", "s3": "r", "f1": "x", "_h": "z"} {
		fmt.Fprintf(&detection, "  %s:\n    A|contains: %s\n", name, letter)
	}
	text, _ := json.Marshal(condition)
	return rule("test", detection.String()+"  condition: "+string(text)+"\n")
}

func TestConditionsHoldAsTheirGrammarSays(t *testing.T) {
	for _, test := range []struct {
		condition   string
		holds, none string // rows, with blanks between them
	}{
		{"s1", "p pq", "q -"},
		{"s1 and s2", "pq", "p q -"},
		{"s1 or s2", "p q pq", "r"},
		{"s1 or s2 and s3", "p qr pq", "q r"},
		{"(s1 or s2) and s3", "pr qr", "p q pq"},
		{"not s1 and s2", "q", "pq -"},
		{"not (s1 and s2)", "p q -", "pq"},
		{"not not s1", "p", "q"},
		{"NOT s1 AND s2 OR s3", "q r pr", "p pq"},
		{"s1 and not 1 of f*", "p", "px x"},
		{"1 of s*", "p q r", "x -"},
		{"any of s*", "p r", "x"},
		{"all of s*", "pqr", "pq x"},
		{"2 of s*", "pq pr qr pqr", "p q px"},
		{"3 of s*", "pqr", "pq"},
		{"1 of them", "p x", "z -"},
		{"all of them", "pqrx", "pqr qrx"},
		{"1 of *", "p x", "z"},
		{"1 of _*", "z", "p"},
		{"_h", "z", "p"},
		{"1 of s1", "p", "q"},
		{"1 of *1", "p x", "q"},
		{"all of s1 and s2", "pq", "p"},
		{"s1 and (s2 or (s3 and not f1))", "pq pr pqx", "prx p"},
		{"(s1)and(s2)", "pq", "p"},
		{"  s1\n  and\ts2 ", "pq", "p"},
	} {
		t.Run(test.condition, func(t *testing.T) {
			v := variant(t, one(t, letters(test.condition), labMapping(t)))
			for row := range strings.FieldsSeq(test.holds) {
				if !matches(t, v.Conditions, `{"a":"`+row+`"}`) {
					t.Errorf("does not hold of %s", row)
				}
			}
			for row := range strings.FieldsSeq(test.none) {
				if matches(t, v.Conditions, `{"a":"`+row+`"}`) {
					t.Errorf("holds of %s", row)
				}
			}
		})
	}
}

func TestAListOfConditionsIsMetByOne(t *testing.T) {
	text := strings.ReplaceAll(letters("s1"), `condition: "s1"`, `condition: ["s1 and s2", s3]`)
	v := variant(t, one(t, text, labMapping(t)))
	for row, want := range map[string]bool{"pq": true, "r": true, "p": false} {
		if matches(t, v.Conditions, `{"a":"`+row+`"}`) != want {
			t.Errorf("%s: %v", row, !want)
		}
	}
}

func TestConditionsThatAreWrong(t *testing.T) {
	for condition, says := range map[string]string{
		"s9":                    "there is no search identifier s9",
		"s1 and":                "there is the end where a search identifier belongs",
		"s1 s2":                 `there is "s2" where and, or or the end belongs`,
		"and s1":                `there is "and" where a search identifier belongs`,
		"s1 and (s2":            "there is the end where ) belongs",
		"s1)":                   `there is ")" where and, or or the end belongs`,
		"()":                    `there is ")" where a search identifier belongs`,
		"not":                   "there is the end where a search identifier belongs",
		"1 of":                  `there is the end behind "1" of`,
		"1 of t*":               "no search identifier is meant by t*",
		"0 of s*":               `"0" of: there must be all, any or a number from 1`,
		"some of s*":            `"some" of: there must be all, any or a number from 1`,
		"5 of s*":               "5 of s*, which means only 3 search identifiers",
		"s1 near s2":            `there is "near" where and, or or the end belongs`,
		strings.Repeat("(", 51): "brackets nest deeper than 50",
	} {
		r := one(t, letters(condition), labMapping(t))
		if r.Outcome != sigma.Failed || r.Reason != "condition: "+says {
			t.Errorf("%s: %s %q", condition, r.Outcome, r.Reason)
		}
	}
	r := one(t, letters(strings.Repeat("s", 16<<10+1)), labMapping(t))
	if r.Outcome != sigma.Failed || r.Reason != "the condition is longer than 16384 bytes" {
		t.Errorf("%s %q", r.Outcome, r.Reason)
	}
}

func TestChoicesAndRepetitionsAreBounded(t *testing.T) {
	var many, wide strings.Builder
	for i := range 30 {
		fmt.Fprintf(&many, "  s%d:\n    A: x%d\n", i, i)
	}
	many.WriteString("  condition: 15 of them\n")
	wide.WriteString("  s:\n")
	for i := range 100 {
		fmt.Fprintf(&wide, "  - A: x%d\n", i)
	}
	wide.WriteString("  condition: s" + strings.Repeat(" or s", 60) + "\n")
	for text, says := range map[string]string{
		many.String(): "condition: 15 of 30 searches can be chosen in too many ways",
		wide.String(): "the rule asks more than 5000 things",
	} {
		if r := one(t, rule("test", text), labMapping(t)); r.Outcome != sigma.Failed || r.Reason != says {
			t.Errorf("%s %q, want %q", r.Outcome, r.Reason, says)
		}
	}
}
