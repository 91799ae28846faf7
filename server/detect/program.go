package detect

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"muster/server/matcher"
)

// program is all active rules, compiled.
type program struct {
	matcher  *matcher.Program
	variants []variant
	of       []*loaded        // of which rule each variant is; the variants of a rule stand together
	problems map[int64]string // rules that could not be compiled
}

// compile takes the rules that can be evaluated, in the order of their ids. One that
// cannot be compiled costs no other.
func compile(rules map[int64]*loaded) *program {
	p := &program{problems: map[int64]string{}}
	p.take(rules)
	var err error
	if p.matcher, err = compileAll(p.variants); err == nil {
		return p
	}
	for _, l := range rules {
		if _, err := compileAll(l.variants); err != nil {
			p.problems[l.ID] = fmt.Sprintf("The rule cannot be compiled: %s", err)
		}
	}
	p.take(rules)
	if p.matcher, err = compileAll(p.variants); err != nil { // not the fault of one rule
		p.matcher = matcher.Compile(nil)
		for _, l := range p.of {
			p.problems[l.ID] = fmt.Sprintf("All rules together cannot be compiled: %s", err)
		}
	}
	return p
}

// take lists the variants of the rules without a problem.
func (p *program) take(rules map[int64]*loaded) {
	p.variants, p.of = nil, nil
	for _, l := range slices.SortedFunc(maps.Values(rules), func(a, b *loaded) int { return cmp.Compare(a.ID, b.ID) }) {
		if p.problems[l.ID] != "" {
			continue
		}
		for _, v := range l.variants {
			p.variants, p.of = append(p.variants, v), append(p.of, l)
		}
	}
}

func compileAll(variants []variant) (compiled *matcher.Program, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	rules := make([]matcher.Rule, len(variants))
	for i, v := range variants {
		rules[i] = matcher.Rule{Tree: v.tree, Tables: v.tables, Platforms: v.platforms}
	}
	return matcher.Compile(rules), nil
}

func (p *program) empty() bool { return p == nil || len(p.variants) == 0 }

// drain moves what the program counted to the counts of its rules.
func (p *program) drain() {
	if p == nil {
		return
	}
	p.matcher.Drain(func(variant int, c matcher.Counts) {
		counts := p.of[variant].counts
		counts.evaluated.Add(int64(c.Evaluated)) //nolint:gosec // as many rows as there ever will be
		counts.failed.Add(int64(c.Failed))       //nolint:gosec // the same
		counts.nanoseconds.Add(int64(c.Time))
	})
}

// family is the platform in the words of rules: whatever is no other is a Linux.
func family(platform string) string {
	switch platform {
	case "windows", "darwin", "freebsd":
		return platform
	}
	return "linux"
}
