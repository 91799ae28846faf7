package condition_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"muster/server/condition"
)

func TestAMatchIsExplainedByTheLeavesThatDecided(t *testing.T) {
	row := load(t, `{"path":"C:\\Windows\\cmd.exe","cmdline":"cmd /c Whoami","n":7,"data":"{\"a\":{\"b\":\"x\"}}","parent":"cmd.exe"}`)
	type list = []condition.Evidence
	for _, test := range []struct {
		name, conditions string
		want             list
	}{
		{"all of a conjunction", and(rule("is_null", "0"), `{"field":"n","operator":"less","value":8}`, `{"field":"path","operator":"ends_with","value":"\\CMD.exe"}`), list{
			{"v", "is_null", "", "", false},
			{"n", "less", "8", "7", false},
			{"path", "ends_with", `\CMD.exe`, `C:\Windows\cmd.exe`, false},
		}},
		{"those of a disjunction that are true", `{"condition":"OR","rules":[{"field":"n","operator":"equal","value":8},{"field":"n","operator":"equal","value":7}]}`, list{
			{"n", "equal", "7", "7", false},
		}},
		{"the value of a list that was met", and(`{"field":"cmdline","operator":"contains","value":["net ","whoami"]}`), list{
			{"cmdline", "contains", "whoami", "cmd /c Whoami", false},
		}},
		{"exceptions come last", and(`{"condition":"OR","not":true,"rules":[{"field":"path","operator":"in","value":["a","b"]},{"field":"x","operator":"equal","value":"c"}]}`, `{"field":"n","operator":"not_equal","value":8}`, `{"field":"n","operator":"equal","value":7}`), list{
			{"n", "equal", "7", "7", false},
			{"path", "in", "a, b", `C:\Windows\cmd.exe`, true},
			{"x", "equal", "c", "", true},
			{"n", "equal", "8", "7", true},
		}},
		{"of a conjunction that is negated, what is false", `{"condition":"AND","not":true,"rules":[{"field":"n","operator":"equal","value":7},{"field":"n","operator":"not_equal","value":7}]}`, list{
			{"n", "equal", "7", "7", false},
		}},
		{"the column of a keyword", and(`{"field":"*","operator":"contains","value":"/c who"}`, `{"field":"*","operator":"not_contains","value":"/d"}`), list{
			{"cmdline", "contains", "/c who", "cmd /c Whoami", false},
			{"*", "contains", "/d", "", true},
		}},
		{"a path and another field", and(`{"field":"data","path":"a.b","operator":"equal","value":"X"}`, `{"field":"path","operator":"ends_with_field","value":"parent"}`), list{
			{"data.a.b", "equal", "X", "x", false},
			{"path", "ends_with_field", "parent: cmd.exe", `C:\Windows\cmd.exe`, false},
		}},
		{"nothing of what does not match", and(`{"field":"n","operator":"equal","value":7}`, `{"field":"n","operator":"equal","value":8}`), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, parsed(t, test.conditions).Explain(row)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExplanationsAreBounded(t *testing.T) {
	long := strings.Repeat("é", 1000) + "needle" + strings.Repeat("é", 1000)
	many := strings.Repeat(rule("contains", `"NEEDLE"`)+","+rule("not_contains", `"x`+strings.Repeat("日", 1000)+`"`)+",", 100) + rule("is_not_null", `0`)
	evidence := parsed(t, and(many)).Explain(texts{"v": long}.row(t))
	if len(evidence) != 32 {
		t.Fatalf("%d leaves", len(evidence))
	}
	for _, e := range evidence {
		if e.Negated || !strings.Contains(e.Actual, "needle") || len(e.Actual) > 256 || !utf8.ValidString(e.Actual) {
			t.Errorf("%+v", e)
		}
	}
	evidence = parsed(t, and(rule("not_contains", `"x`+strings.Repeat("日", 1000)+`"`))).Explain(texts{"v": long}.row(t))
	if e := evidence[0]; len(evidence) != 1 || len(e.Wanted) > 256 || len(e.Wanted) < 250 || len(e.Actual) != 256 || !utf8.ValidString(e.Wanted+e.Actual) {
		t.Errorf("%+v", evidence)
	}
}
