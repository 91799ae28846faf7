package schedule

import (
	"slices"
	"strconv"

	"muster/server/fault"
)

// The failures of lookups, in the words of the original API (esp-api 1.10, 1.11).
// Doors may say it otherwise.
var (
	errNoQuery error = fault.New(fault.NotFound, "Query with this id does not exist")
	errNoPack  error = fault.New(fault.NotFound, "Pack info with this pack id does not exist")
)

// findQuery finds a query by id, else by name. Faults: NotFound, Conflict when
// several have the name.
func (l *library) findQuery(idOrName string) (*queryRow, error) {
	if id, err := strconv.ParseInt(idOrName, 10, 64); err == nil && l.query[id] != nil {
		return l.query[id], nil
	}
	var found *queryRow
	for _, row := range l.queries {
		if row.Name != idOrName {
			continue
		}
		if found != nil {
			return nil, fault.New(fault.Conflict, "Several queries have the name %s: use the id", idOrName)
		}
		found = row
	}
	if found == nil {
		return nil, errNoQuery
	}
	return found, nil
}

// findPack finds a pack by id, else by name. Faults: NotFound.
func (l *library) findPack(idOrName string) (*packRow, error) {
	if id, err := strconv.ParseInt(idOrName, 10, 64); err == nil && l.pack[id] != nil {
		return l.pack[id], nil
	}
	if row := l.packNamed(idOrName); row != nil {
		return row, nil
	}
	return nil, errNoPack
}

func (l *library) packNamed(name string) *packRow {
	at := slices.IndexFunc(l.packs, func(row *packRow) bool { return row.Name == name })
	if at < 0 {
		return nil
	}
	return l.packs[at]
}

func (l *library) nameTaken(name string) bool {
	return slices.ContainsFunc(l.queries, func(row *queryRow) bool { return row.Name == name })
}
