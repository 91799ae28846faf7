package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// format writes answers, each a host and its rows as JSON, and returns the text.
func format(t *testing.T, name, sql string, answers ...string) (text string, left []string) {
	t.Helper()
	return formatFor(t, false, name, sql, answers...)
}

// formatFor is format for a terminal, or not.
func formatFor(t *testing.T, shows bool, name, sql string, answers ...string) (text string, left []string) {
	t.Helper()
	var out bytes.Buffer
	f := newFormatter(name, sql, terminal{out: &out, shows: shows})
	for i := 0; i < len(answers); i += 2 {
		rows, err := parseRows(json.RawMessage(answers[i+1]))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.write(answer{host: answers[i], rows: rows}); err != nil {
			t.Fatal(err)
		}
	}
	return out.String(), f.left()
}

func lines(text ...string) string { return strings.Join(text, "\n") + "\n" }

func TestTable(t *testing.T) {
	for sentence, c := range map[string]struct {
		answers []string
		want    string
	}{
		"columns keep osquery's order": {[]string{"h1", `[{"uid":"0","name":"root"},{"uid":"1000","name":"ada"}]`},
			lines("host  uid   name", "----  ----  ----", "h1    0     root", "h1    1000  ada")},
		"the header stays while it fits": {[]string{"h1", `[{"a":"xyz"}]`, "h2", `[{"a":"x"}]`},
			lines("host  a", "----  ---", "h1    xyz", "h2    x")},
		"a wider value gets a new header": {[]string{"h1", `[{"a":"x","b":"1"}]`, "h2", `[{"a":"xyz","b":"2"}]`},
			lines("host  a  b", "----  -  -", "h1    x  1", "host  a    b", "----  ---  -", "h2    xyz  2")},
		"other columns get a new header": {[]string{"h1", `[{"a":"x"}]`, "h2", `[{"b":"y"}]`},
			lines("host  a", "----  -", "h1    x", "host  b", "----  -", "h2    y")},
		"a row without a column leaves it empty": {[]string{"h1", `[{"a":"1","b":"2"},{"b":"3"}]`},
			lines("host  a  b", "----  -  -", "h1    1  2", "h1       3")},
		"no rows, no lines":                      {[]string{"h1", `[]`}, ""},
		"a long value is not cut":                {[]string{"h1", `[{"a":"` + strings.Repeat("x", 50) + `","b":"1"}]`}, lines("host  a                                         b", "----  "+strings.Repeat("-", 40)+"  -", "h1    "+strings.Repeat("x", 50)+"  1")},
		"what a terminal would act on is hidden": {[]string{"h\u001b[31m1", `[{"a":"x\u001b]0;title\u0007\u009b2J\u202ey\nz"}]`}, lines("host     a", "-------  ------------------", "h\uFFFD[31m1  x\uFFFD]0;title\uFFFD\uFFFD2J\uFFFDy\uFFFDz")},
		"letters beyond ASCII are one wide":      {[]string{"h1", `[{"a":"é","b":"1"}]`}, lines("host  a  b", "----  -  -", "h1    é  1")},
		"numbers and nulls are shown as written": {[]string{"h1", `[{"a":5,"b":null,"c":[1]}]`}, lines("host  a  b  c", "----  -  -  ---", "h1    5     [1]")},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got, _ := format(t, "table", "", c.answers...); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestCSV(t *testing.T) {
	got, left := format(t, "csv", "select uid, username as u, directory from users",
		"h1", `[{"uid":"0","u":"a \"b\"","directory":"x,y"}]`, "h2", `[]`, "h3", `[{"directory":"/","uid":"1","u":""}]`)
	if want := "host,uid,u,directory\nh1,0,\"a \"\"b\"\"\",\"x,y\"\nh3,1,,/\n"; got != want || left != nil {
		t.Errorf("got %q, left %v", got, left)
	}
	// The columns are known before the first host answers, whatever that host lacks.
	got, left = format(t, "csv", "select uid, shell from users", "h1", `[{"uid":"1"}]`, "h2", `[{"uid":"2","shell":"/bin/sh"}]`)
	if want := "host,uid,shell\nh1,1,\nh2,2,/bin/sh\n"; got != want || left != nil {
		t.Errorf("got %q, left %v", got, left)
	}
	got, left = format(t, "csv", "select * from table_of_an_extension", "h1", `[{"a":"1"}]`, "h2", `[{"a":"2","b":"3"}]`)
	if want := "host,a\nh1,1\nh2,2\n"; got != want || !slices.Equal(left, []string{"b"}) {
		t.Errorf("got %q, left %v", got, left)
	}
}

func TestJSONLines(t *testing.T) {
	got, _ := format(t, "jsonl", "", "h1", `[{"b":"<1>","a":"x"},{"host":"other"}]`, "h2", `[]`)
	if want := `{"host":"h1","row":{"b":"<1>","a":"x"}}` + "\n" + `{"host":"h1","row":{"host":"other"}}` + "\n"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestCSVOfHostileHosts(t *testing.T) {
	hostile := []string{"=h1", `[{"=cmd()":"+1+1","b":"-5","c":"@x","d":"-1+1","e":"x\u001b[2J\ny\u009bz","f":"\t=1"}]`}
	for shows, want := range map[bool]string{
		false: "host,'=cmd(),b,c,d,e,f\n'=h1,'+1+1,-5,'@x,'-1+1,\"x\x1b[2J\ny\u009bz\",'\t=1\n",
		true:  "host,'=cmd(),b,c,d,e,f\n'=h1,'+1+1,-5,'@x,'-1+1,x\uFFFD[2J\uFFFDy\uFFFDz,\uFFFD=1\n",
	} {
		if got, _ := formatFor(t, shows, "csv", "select * from table_of_an_extension", hostile...); got != want {
			t.Errorf("on a terminal: %v\ngot  %q\nwant %q", shows, got, want)
		}
	}
}

func TestJSONLinesOnATerminal(t *testing.T) {
	hostile := []string{"h\u009b1", `[{"a":"x\u001b[2J` + "\u009b\U000E0041é" + `"},{"b":"1"}]`}
	got, _ := formatFor(t, true, "jsonl", "", hostile...)
	want := `{"host":"h\u009b1","row":{"a":"x\u001b[2J\u009b\udb40\udc41é"}}` + "\n" + `{"host":"h\u009b1","row":{"b":"1"}}` + "\n"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func FuzzRows(f *testing.F) {
	f.Add([]byte(`[{"a":"1","b":null},{"c":{"d":[1]}}]`))
	f.Add([]byte(`[[1],2]`))
	f.Add([]byte(`[{"a":"1","a":"2"}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, err := parseRows(data)
		if err != nil {
			return
		}
		for _, r := range rows {
			if len(r.names) != len(r.values) {
				t.Errorf("%d names, %d values", len(r.names), len(r.values))
			}
		}
		var out bytes.Buffer
		if err := (&tableFormat{out: &out}).write(answer{host: "h", rows: rows}); err != nil {
			t.Error(err)
		}
	})
}
