package attack

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFind(t *testing.T) {
	want := Technique{
		ID: "T1003.007", Name: "Proc Filesystem", Tactics: []string{"credential-access"}, Platforms: []string{"Linux"},
	}
	got, known := Find("T1003.007")
	if !known {
		t.Fatal("T1003.007 is unknown")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.URL() != "https://attack.mitre.org/techniques/T1003/007" {
		t.Errorf("its page is %s", got.URL())
	}
	for _, id := range []string{"", "T1004", "T9999", "t1003", "T1003.7", "tactic", "# T"} {
		if found, known := Find(id); known {
			t.Errorf("%q was found: %v", id, found)
		}
	}
}

func TestDataIsWhole(t *testing.T) {
	if len(All()) != 691 || len(AllTactics()) != 14 {
		t.Errorf("%d techniques and %d tactics, want 691 and 14", len(All()), len(AllTactics()))
	}
	short := map[string]bool{}
	for _, tactic := range AllTactics() {
		short[tactic.Short] = true
	}
	for i, technique := range All() {
		if !wellFormed(technique.ID) || technique.Name == "" || len(technique.Platforms) == 0 {
			t.Errorf("technique %d is %v", i, technique)
		}
		for _, tactic := range technique.Tactics {
			if !short[tactic] {
				t.Errorf("%s serves %q, which is no tactic", technique.ID, tactic)
			}
		}
		if _, known := Find(Parent(technique.ID)); !known {
			t.Errorf("%s has no parent", technique.ID)
		}
	}
	if !strings.Contains(data, "reproduced and distributed with the permission of The MITRE Corporation") {
		t.Error("MITRE's notice is missing")
	}
}

func TestTacticsAndDescription(t *testing.T) {
	for sentence, c := range map[string]struct {
		ids         []string
		tactics     []string
		description string
	}{
		"the document's example: one is known, one was withdrawn": {
			[]string{"T1005", "T1004"}, []string{"collection"},
			"\nT1005 Data from Local System (collection): https://attack.mitre.org/techniques/T1005",
		},
		"a tactic of two techniques is kept twice": {
			[]string{"T1005", "T1560.001"}, []string{"collection", "collection"},
			"\nT1005 Data from Local System (collection): https://attack.mitre.org/techniques/T1005" +
				"\nT1560.001 Archive via Utility (collection): https://attack.mitre.org/techniques/T1560/001",
		},
		"a technique with several tactics has them all": {
			[]string{"T1543.002"}, []string{"persistence", "privilege-escalation"},
			"\nT1543.002 Systemd Service (persistence, privilege-escalation): https://attack.mitre.org/techniques/T1543/002",
		},
		"unknown ids give nothing": {[]string{"T9999"}, []string{}, ""},
		"no ids give nothing":      {nil, []string{}, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			if diff := cmp.Diff(c.tactics, Tactics(c.ids)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.description, Describe(c.ids)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParent(t *testing.T) {
	for id, want := range map[string]string{"T1059.001": "T1059", "T1059": "T1059", "": ""} {
		if got := Parent(id); got != want {
			t.Errorf("parent of %q is %q, want %q", id, got, want)
		}
	}
}
