package detect

import (
	"muster/server/condition"
)

// variant is a rule as it is evaluated on some tables: one that came as Sigma may
// name different columns on each.
type variant struct {
	tree              *condition.Tree
	tables, platforms []string // none: any
	// happened leaves out rows that are gone: Sigma rules are about what is there
	// or what was done, not about its end.
	happened bool
}

// readable fills in what follows from a rule's text: what it looks at, its
// conditions when it came as Sigma, and its problem when it cannot be evaluated.
func (s *Store) readable(r *Rule) []variant {
	tree, err := parseConditions(r.Conditions)
	if err != nil {
		r.Problem = err.Error()
		return nil
	}
	return []variant{{tree: tree}}
}
