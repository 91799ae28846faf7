package sigma

import "testing"

func TestTheWorkOfATextIsBounded(t *testing.T) {
	m, err := ParseMapping([]byte("targets: [{for: [{category: test}], tables: [all], fields: {A: a}}]"))
	if err != nil {
		t.Fatal(err)
	}
	const head = "title: x\nlogsource: {category: test}\ndetection: {condition: s, s: "
	for name, c := range map[string]struct {
		rule  string
		least int
	}{
		"values":  {head + "{A|windash: '-a -b -c -d -e'}}", 3125},
		"aliases": {head + "{A: x}}\na: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]", 1000},
	} {
		work := 0
		if r := translate(document{1, []byte(c.rule)}, m, &work); r.Outcome != Translated || work < c.least {
			t.Errorf("%s: %s, work %d", name, r.Reason, work)
		}
	}
	spent := maxWork + 1
	if r := translate(document{9, []byte(head + "{A: x}}")}, m, &spent); r.Outcome != Failed || r.Line != 9 {
		t.Errorf("%s, line %d: %s", r.Outcome, r.Line, r.Reason)
	}
}
