package osquery

import (
	"regexp"
	"strings"
)

var plainName = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// reserved are the names of columns that SQLite takes for words of its own; the test
// finds those that are missing.
var reserved = map[string]bool{"set": true}

// DDL is the statement that would create the table in SQLite, with every column
// that can be named, on one line and without a semicolon.
func (t Table) DDL() string {
	columns := make([]string, len(t.Columns))
	for i, column := range t.Columns {
		columns[i] = bare(column.Name) + " " + column.Type
	}
	return "CREATE TABLE " + bare(t.Name) + " (" + strings.Join(columns, ", ") + ")"
}

// bare is a name without quotes where it needs none.
func bare(name string) string {
	if plainName.MatchString(name) && !reserved[name] {
		return name
	}
	return quote(name)
}
