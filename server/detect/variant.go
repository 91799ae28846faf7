package detect

import (
	"muster/server/condition"
)

// variant is a rule as it is evaluated on some tables: one that came as Sigma may
// name different columns on each.
type variant struct {
	tree              *condition.Tree
	tables, platforms []string // none: any
}

// readable fills in what follows from a rule's text: what it looks at, its
// conditions when it came as Sigma, and its problem when it cannot be evaluated.
func (s *Store) readable(r *Rule) []variant {
	if r.Source != "" {
		return s.readSigma(r)
	}
	tree, err := parseConditions(r.Conditions)
	if err != nil {
		r.Problem = err.Error()
		return nil
	}
	return []variant{{tree: tree}}
}
