package alerts

import (
	"encoding/json"
	"strconv"
	"strings"

	"muster/server/database"
	"muster/server/fault"
)

// records hands any number of rows to a statement as one argument, so that a
// statement is one text and one trip however many there are: a JSON list of
// lists, whose elements are the columns in order.
type records [][]any

// recordsFrom is the table f of records for a FROM: columns are name and type of
// each, such as "host_id bigint"; n is the row's place. It stands for one argument.
func (s *Store) recordsFrom(columns ...string) string {
	var list strings.Builder
	for i, column := range columns {
		name, kind, _ := strings.Cut(column, " ")
		at := strconv.Itoa(i)
		if s.db.Engine() == database.Postgres {
			list.WriteString("(e.v ->> " + at + ")::" + kind + " AS " + name + ", ")
		} else {
			list.WriteString("e.value ->> " + at + " AS " + name + ", ")
		}
	}
	if s.db.Engine() == database.Postgres {
		return "(SELECT " + list.String() + "e.n FROM jsonb_array_elements(?::text::jsonb) WITH ORDINALITY AS e (v, n)) AS f"
	}
	return "(SELECT " + list.String() + "e.key AS n FROM json_each(?) AS e) AS f"
}

// arg is the argument.
func (r records) arg() (string, error) {
	text, err := json.Marshal([][]any(r))
	if err != nil {
		return "", fault.Wrap(err, fault.Internal, "The alerts cannot be stored")
	}
	return string(text), nil
}

// columnNames lists the names of columns without their types.
func columnNames(columns []string) string {
	names := make([]string, len(columns))
	for i, column := range columns {
		names[i], _, _ = strings.Cut(column, " ")
	}
	return strings.Join(names, ", ")
}
