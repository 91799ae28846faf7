package sigma

import "muster/server/osquery"

// osqueryProduct is the product of rules that are about a table of osquery itself.
const osqueryProduct = "osquery"

// targetsOf returns what a rule with that log source is about.
func (m *Mapping) targetsOf(l LogSource) []*target {
	if t := tableTarget(l); t != nil {
		return []*target{t}
	}
	var all []*target
	for _, t := range m.targets {
		if t.holds(l) {
			all = append(all, t)
		}
	}
	return all
}

// tableTarget is the target of the log source {product: osquery, service: TABLE}, or
// nil: the rows of that table on every platform that has it, in which each field is
// the column of that name. Rows of a table of states are the target's when they came
// (or were there at first), not when they went.
//
// Which columns a row has depends on the query that reported it, so any field will do.
func tableTarget(l LogSource) *target {
	if l.Product != osqueryProduct || l.Category != "" {
		return nil
	}
	table, known := osquery.Find(l.Service)
	if !known {
		return nil
	}
	t := &target{For: []LogSource{l}, Tables: []string{table.Name}, Rest: &column{Column: "{field}"}}
	for _, platform := range table.Platforms {
		if platform == "linux" || platform == "darwin" || platform == "windows" {
			t.Platforms = append(t.Platforms, platform)
		}
	}
	t.leaveOutGone()
	return t
}
