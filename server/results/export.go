package results

import (
	"iter"

	"github.com/valyala/fastjson"

	"muster/server/fault"
)

// maxColumns bounds the columns of a table.
const maxColumns = 10_000

// Table is rows laid out under the names of their columns, for a file.
type Table struct {
	// Header has every column that any row has, in the order in which they came.
	Header []string
	// Rows has a cell for each name of the header: strings as they are, numbers and
	// booleans as they were written, what is nested as JSON; what a row lacks is
	// empty, like null.
	Rows iter.Seq2[[]string, error]
	// Count is how many rows there were when the header was made.
	Count int64
}

// Layout makes a table of rows. It goes through them twice: at once, for the names
// of the columns, and when Table.Rows is gone through. So rows has to give the
// same rows each time, as EachRow does; a name that turns up the second time only
// is left out. It keeps one row at a time. Faults: those that rows gives, and
// Unprocessable for more than 10,000 columns.
func Layout(rows iter.Seq2[Row, error]) (Table, error) {
	t := Table{Header: []string{}}
	place := map[string]int{}
	var parser fastjson.Parser
	for row, err := range rows {
		if err != nil {
			return Table{}, err
		}
		t.Count++
		fields := object(&parser, asText(row.Columns))
		if fields == nil {
			continue
		}
		fields.Visit(func(key []byte, _ *fastjson.Value) {
			if _, known := place[string(key)]; !known && len(place) <= maxColumns {
				place[string(key)] = len(place)
				t.Header = append(t.Header, string(key))
			}
		})
		if len(place) > maxColumns {
			return Table{}, fault.New(fault.Unprocessable, "The rows have more than %d columns together", maxColumns)
		}
	}
	t.Rows = cells(rows, place)
	return t, nil
}

// cells are the rows under the names that have a place. The slice is used again
// for the next row.
func cells(rows iter.Seq2[Row, error], place map[string]int) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		var parser fastjson.Parser
		line := make([]string, len(place))
		for row, err := range rows {
			if err != nil {
				yield(nil, err)
				return
			}
			clear(line)
			if fields := object(&parser, asText(row.Columns)); fields != nil {
				fields.Visit(func(key []byte, value *fastjson.Value) {
					if at, known := place[string(key)]; known {
						line[at] = cell(value)
					}
				})
			}
			if !yield(line, nil) {
				return
			}
		}
	}
}

// object parses an object; nil for anything else. It is good until the parser's
// next use.
func object(parser *fastjson.Parser, text string) *fastjson.Object {
	value, err := parser.Parse(text)
	if err != nil {
		return nil
	}
	fields, err := value.Object()
	if err != nil {
		return nil
	}
	return fields
}

// cell is a value as a file shows it. The text is a copy.
func cell(value *fastjson.Value) string {
	switch value.Type() {
	case fastjson.TypeNull:
		return ""
	case fastjson.TypeString:
		return string(value.GetStringBytes())
	}
	return string(value.MarshalTo(nil))
}
