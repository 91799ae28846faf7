// Package attack knows the techniques and tactics of MITRE ATT&CK: their names,
// which tactics a technique serves and how people write their ids.
//
// It writes no table and knows nothing of rules. The data is that of ATT&CK
// Enterprise 18.1; techniques.tsv has MITRE's notice.
package attack

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

// Technique is a technique, or a sub-technique such as T1059.001.
type Technique struct {
	ID, Name  string
	Tactics   []string // short names such as lateral-movement
	Platforms []string // as MITRE writes them: Windows, macOS, Linux, ESXi...
}

// URL is the technique's page at MITRE.
func (t Technique) URL() string {
	return "https://attack.mitre.org/techniques/" + strings.ReplaceAll(t.ID, ".", "/")
}

// Tactic is what somebody is after.
type Tactic struct {
	Short, ID, Name string // credential-access, TA0006, Credential Access
}

//go:embed techniques.tsv
var data string

// matrix is the data in memory.
type matrix struct {
	tactics    []Tactic
	techniques []Technique // by id
}

var load = sync.OnceValue(func() matrix {
	var m matrix
	for line := range strings.Lines(data) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		switch {
		case strings.HasPrefix(line, "#"):
		case fields[0] == "tactic":
			m.tactics = append(m.tactics, Tactic{Short: fields[1], ID: fields[2], Name: fields[3]})
		default:
			m.techniques = append(m.techniques, Technique{
				ID: fields[0], Name: fields[1], Tactics: strings.Split(fields[2], ","), Platforms: strings.Split(fields[3], ","),
			})
		}
	}
	slices.SortFunc(m.techniques, func(a, b Technique) int { return strings.Compare(a.ID, b.ID) })
	return m
})

// All returns every technique in the order of the ids. The caller must not change it.
func All() []Technique { return load().techniques }

// AllTactics returns the tactics in the order of ATT&CK's matrix, those before an
// intrusion last. The caller must not change it.
func AllTactics() []Tactic { return load().tactics }

// Find returns the technique with that id as MITRE writes it, T1059 or T1059.001.
// Techniques that MITRE has withdrawn, and those of later versions, are not found.
func Find(id string) (Technique, bool) {
	techniques := load().techniques
	i, found := slices.BinarySearchFunc(techniques, id, func(t Technique, id string) int { return strings.Compare(t.ID, id) })
	if !found {
		return Technique{}, false
	}
	return techniques[i], true
}

// Parent is the technique of a sub-technique: T1059 for T1059.001. A technique is
// its own parent.
func Parent(id string) string {
	parent, _, _ := strings.Cut(id, ".")
	return parent
}

// Tactics returns the short names of the tactics of each id, one after the other:
// a tactic that two ids serve stands there twice. Unknown ids have none. It is
// never nil.
func Tactics(ids []string) []string {
	tactics := []string{}
	for _, id := range ids {
		if t, known := Find(id); known {
			tactics = append(tactics, t.Tactics...)
		}
	}
	return tactics
}

// Describe says in a line for each id what it is, each after a line feed; unknown
// ids are left out.
func Describe(ids []string) string {
	var text strings.Builder
	for _, id := range ids {
		if t, known := Find(id); known {
			text.WriteString("\n" + t.ID + " " + t.Name + " (" + strings.Join(t.Tactics, ", ") + "): " + t.URL())
		}
	}
	return text.String()
}
