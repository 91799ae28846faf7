package schedule

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"muster/server/fault"
	"muster/server/osquery"
)

// strictSQL refuses what osquery would not run, a table that it does not have too.
// Faults: Unprocessable, saying where; Busy.
func strictSQL(ctx context.Context, sql string) error {
	finding, err := osquery.Examine(ctx, sql)
	if err != nil || finding == nil {
		return err
	}
	return fault.New(fault.Unprocessable, "Invalid osquery query: %q: %s", shorten(sql), finding)
}

// checkSQL refuses a pack with SQL that is none. Names that osquery does not have
// are only warned of: packs are older than the tables, or meant for agents with
// extensions, and other hosts may run them. Faults: Unprocessable, saying where; Busy.
func checkSQL(ctx context.Context, where string, p Pack) (warnings []string, err error) {
	for _, name := range slices.Sorted(maps.Keys(p.Queries)) {
		finding, err := osquery.Examine(ctx, p.Queries[name].SQL)
		switch {
		case err != nil:
			return nil, err
		case finding == nil:
		case finding.UnknownName:
			warnings = append(warnings, fmt.Sprintf("%squery %q: %s", where, name, finding))
		default:
			return nil, unprocessable(fmt.Errorf("%squery %q: %s", where, name, finding))
		}
	}
	return warnings, nil
}

func shorten(text string) string {
	if runes := []rune(text); len(runes) > 200 {
		return string(runes[:200]) + "..."
	}
	return text
}
