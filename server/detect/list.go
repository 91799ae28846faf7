package detect

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"muster/server/database"
)

// Filter chooses rules. Zero values do not restrict.
type Filter struct {
	// Search is looked for, in any case, in name, description, severity, status,
	// type and technique ids.
	Search string
	// First orders rules by these numbers, the highest first, before their names:
	// id of a rule -> how many open alerts it has.
	First map[int64]int
	// Start and Limit cut out a page; 0 is no limit.
	Start, Limit int
}

// List returns the rules that match, by name, with the number that matches and the
// number of all. Faults: those of the database.
func (s *Store) List(ctx context.Context, f Filter) (rules []Rule, count, total int, err error) {
	var rows []struct {
		ID                                        int64
		Name, Description, Severity, Status, Type string
		TechniqueIDs                              string `gorm:"column:technique_ids"`
	}
	err = s.db.Read(ctx).Raw("SELECT id, name, description, severity, status, type, technique_ids FROM rules").Scan(&rows).Error
	if err != nil {
		return nil, 0, 0, database.Fault(err)
	}
	type found struct {
		id   int64
		name string
	}
	var matching []found
	for _, r := range rows {
		if contains(f.Search, r.Name, r.Description, r.Severity, r.Status, r.Type, strings.Join(texts(r.TechniqueIDs), ", ")) {
			matching = append(matching, found{r.ID, r.Name})
		}
	}
	slices.SortFunc(matching, func(a, b found) int {
		return cmp.Or(cmp.Compare(f.First[b.id], f.First[a.id]), strings.Compare(a.name, b.name))
	})
	ids := []int64{}
	for _, m := range page(matching, f.Start, f.Limit) {
		ids = append(ids, m.id)
	}
	if rules, err = readRules(ctx, s.db, ids); err != nil {
		return nil, 0, 0, err
	}
	for i := range rules {
		s.describe(&rules[i])
	}
	return rules, len(matching), len(rows), nil
}

// contains reports whether one of the texts holds the search, in any case.
func contains(search string, in ...string) bool {
	search = strings.ToLower(strings.TrimSpace(search))
	return slices.ContainsFunc(in, func(text string) bool { return strings.Contains(strings.ToLower(text), search) })
}

func page[T any](all []T, start, limit int) []T {
	all = all[min(max(start, 0), len(all)):]
	if limit > 0 {
		all = all[:min(limit, len(all))]
	}
	return all
}
