package attack

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseIDs(t *testing.T) {
	var many []string
	for i := range maxIDs + 1 {
		many = append(many, fmt.Sprintf("T%04d", 1000+i))
	}
	for sentence, c := range map[string]struct {
		parts []string
		want  []string
		wrong string
	}{
		"nothing is no id":                    {nil, []string{}, ""},
		"blanks are no id":                    {[]string{" , ;\n"}, []string{}, ""},
		"the document's list":                 {[]string{"T1070, T1005"}, []string{"T1070", "T1005"}, ""},
		"the document's other list":           {[]string{" T1005, T1004"}, []string{"T1005", "T1004"}, ""},
		"a JSON array as text":                {[]string{`["T1070", " T1059.001 "]`}, []string{"T1070", "T1059.001"}, ""},
		"a sub-technique":                     {[]string{"T1059.001"}, []string{"T1059.001"}, ""},
		"a list that was decoded already":     {[]string{"T1070", "T1005,T1003"}, []string{"T1070", "T1005", "T1003"}, ""},
		"small letters and doubles":           {[]string{"t1070 T1070"}, []string{"T1070"}, ""},
		"an id of another version of ATT&CK":  {[]string{"T9876.543"}, []string{"T9876.543"}, ""},
		"a tactic is no technique":            {[]string{"TA0005"}, nil, `"TA0005" is no technique id such as T1059 or T1059.001`},
		"too few digits":                      {[]string{"T1070,T105"}, nil, `"T105" is no technique id such as T1059 or T1059.001`},
		"a sub-technique of two digits":       {[]string{"T1059.01"}, nil, `"T1059.01" is no technique id such as T1059 or T1059.001`},
		"digits of another script":            {[]string{"T١٠٥٩"}, nil, `"T١٠٥٩" is no technique id such as T1059 or T1059.001`},
		"an array of numbers":                 {[]string{`[1070]`}, nil, `"[1070]" is no JSON array of technique ids`},
		"what is wrong is shown, but not all": {[]string{strings.Repeat("x", 100)}, nil, `"` + strings.Repeat("x", 40) + `..." is no technique id such as T1059 or T1059.001`},
		"more ids than any rule has":          {many, nil, "more than 200 technique ids"},
		"a text that is longer than any list": {[]string{strings.Repeat("T1070,", 4000)}, nil, "technique ids are limited to 16384 bytes"},
	} {
		t.Run(sentence, func(t *testing.T) {
			got, err := ParseIDs(c.parts...)
			if err != nil && err.Error() != c.wrong || err == nil && c.wrong != "" {
				t.Fatalf("the error is %v, want %q", err, c.wrong)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParseIDs(f *testing.F) {
	for _, seed := range []string{"T1070, T1005", `["T1059.001"]`, "[", `["\u00541070"]`, "T1059.", ".", "t1;t2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ids, err := ParseIDs(text)
		if err != nil {
			return
		}
		again, err := ParseIDs(strings.Join(ids, ", "))
		if err != nil {
			t.Fatalf("what was read from %q is not read again: %v", text, err)
		}
		if diff := cmp.Diff(ids, again); diff != "" {
			t.Error(diff)
		}
	})
}

func TestFromTags(t *testing.T) {
	ids, tactics := FromTags([]string{
		"attack.t1059.001", "attack.execution", "attack.defense_evasion", "attack.defense-evasion", "attack.T1070", "attack.t1070",
		"attack.g0016", "attack.s0002", "cve.2021-44228", "detection.emerging-threats", "attack.", "t1005",
	})
	if diff := cmp.Diff([]string{"T1059.001", "T1070"}, ids); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"execution", "defense-evasion"}, tactics); diff != "" {
		t.Error(diff)
	}
}
