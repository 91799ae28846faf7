package detect

import (
	"cmp"
	"maps"
	"slices"
)

// program is all active rules, compiled.
type program struct {
	variants []variant
	of       []*loaded // of which rule each variant is; the variants of a rule stand together
	aside    int64     // marks.aside when it was compiled
}

// compile takes the rules that can be evaluated, in the order of their ids.
func compile(rules map[int64]*loaded, aside int64) *program {
	p := &program{aside: aside}
	for _, l := range slices.SortedFunc(maps.Values(rules), func(a, b *loaded) int { return cmp.Compare(a.ID, b.ID) }) {
		if l.setAside() {
			continue
		}
		for _, v := range l.variants {
			p.variants, p.of = append(p.variants, v), append(p.of, l)
		}
	}
	return p
}

func (p *program) empty() bool { return p == nil || len(p.variants) == 0 }

func (p *program) match(e Event, found func(variant int)) {
	for i := range p.variants {
		if v := &p.variants[i]; v.concerns(e) && v.tree.Match(e.Row) {
			found(i)
		}
	}
}

// concerns reports whether the variant is about the event's tables and platform.
func (v *variant) concerns(e Event) bool {
	if len(v.platforms) > 0 && !slices.Contains(v.platforms, e.Platform) {
		return false
	}
	return len(v.tables) == 0 || slices.ContainsFunc(e.Tables, func(table string) bool { return slices.Contains(v.tables, table) })
}

// family is the platform in the words of rules: whatever is no other is a Linux.
func family(platform string) string {
	switch platform {
	case "windows", "darwin", "freebsd":
		return platform
	}
	return "linux"
}
