package sigma_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"muster/server/attack"
)

// listFrom is the line of rules/README.md after which everything is generated.
const listFrom = "<!-- From here on, written by go test ./server/sigma -run TestListOfShippedRules -update -->\n"

func TestListOfShippedRules(t *testing.T) {
	file := filepath.Join("..", "..", "rules", "README.md")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, list, found := strings.Cut(string(text), listFrom)
	if !found {
		t.Fatalf("%s has no line %s", file, listFrom)
	}
	want := listOfRules(shippedRules(t))
	if *update {
		if err := os.WriteFile(file, []byte(head+listFrom+want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := gocmp.Diff(want, list); diff != "" {
		t.Errorf("%s\nwrite it anew with -update", diff)
	}
}

// listOfRules is the list in Markdown.
func listOfRules(all []*shipped) string {
	var text strings.Builder
	fmt.Fprintf(&text, "\n%d rules. By tactic, where one may count for several:\n\n| tactic | linux | macos | windows |\n|---|---|---|---|\n", len(all))
	for _, tactic := range attack.AllTactics() {
		count := map[string]int{}
		for _, s := range all {
			if slices.Contains(s.Result.Rule.Tactics, tactic.Short) {
				count[s.Platform]++
			}
		}
		if len(count) > 0 {
			fmt.Fprintf(&text, "| %s | %d | %d | %d |\n", tactic.Name, count["linux"], count["macos"], count["windows"])
		}
	}
	for _, platform := range []string{"linux", "macos", "windows"} {
		fmt.Fprintf(&text, "\n## %s\n\n| technique | rule | level | tables |\n|---|---|---|---|\n", platform)
		for _, s := range byTechnique(all, platform) {
			fmt.Fprintf(&text, "| %s | [%s](%s) | %s | %s |\n", techniquesOf(s), s.Result.Rule.Title, s.file(), s.Result.Rule.Level, tablesOf(s))
		}
	}
	return text.String()
}

func byTechnique(all []*shipped, platform string) []*shipped {
	var some []*shipped
	for _, s := range all {
		if s.Platform == platform {
			some = append(some, s)
		}
	}
	slices.SortStableFunc(some, func(a, b *shipped) int {
		return cmp.Compare(a.Result.Rule.Techniques[0], b.Result.Rule.Techniques[0])
	})
	return some
}

// techniquesOf names the first technique and gives the ids of the others.
func techniquesOf(s *shipped) string {
	var words []string
	for i, id := range s.Result.Rule.Techniques {
		technique, _ := attack.Find(id)
		link := "[" + id + "](" + technique.URL() + ")"
		if i == 0 {
			link += " " + technique.Name
		}
		words = append(words, link)
	}
	return strings.Join(words, ", ")
}

func tablesOf(s *shipped) string {
	var tables []string
	for _, v := range s.Result.Rule.Variants {
		for _, table := range v.Tables {
			if !slices.Contains(tables, table) {
				tables = append(tables, table)
			}
		}
	}
	return strings.Join(tables, ", ")
}
