package agenttest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"muster/server/osquery"
)

// databases are shared by all agents of a platform: each query fills only the
// tables it reads and takes the rows back, so that thousands of agents are cheap.
var databases = map[Platform]func() (*osquery.SQLite, error){
	Linux:   openOnce(Linux),
	Darwin:  openOnce(Darwin),
	Windows: openOnce(Windows),
}

func openOnce(platform Platform) func() (*osquery.SQLite, error) {
	return sync.OnceValues(func() (*osquery.SQLite, error) { return osquery.OpenSQLite(string(platform)) })
}

// look is one question to the host.
type look struct {
	sql       string
	scheduled string    // result name of a scheduled query
	at        time.Time // zero: now
	stage     *stage    // what tables show in place of what they have; nil: nothing
}

// found is what SQL yielded.
type found struct {
	columns []string
	kinds   []byte
	rows    [][]string
	evented bool // reads an event table
}

// query runs SQL over this host's rows. The error is SQLite's own.
func (a *Agent) query(ctx context.Context, l look) (*found, error) {
	open := databases[a.machine.platform]
	if open == nil {
		return nil, fmt.Errorf("no database for %s", a.machine.platform)
	}
	database, err := open()
	if err != nil {
		return nil, err
	}
	if l.at.IsZero() {
		l.at = a.now()
	}
	v := &view{agent: a, machine: a.machine, look: l, now: l.at, boot: a.born.Add(-a.machine.bootedBefore)}
	var tables []osquery.Table
	result, err := database.Query(ctx, l.sql, func(name string) []map[string]string {
		if table, ok := osquery.Find(name); ok {
			tables = append(tables, table)
		}
		return v.rows(name)
	})
	if err != nil {
		return nil, err
	}
	f := &found{columns: result.Columns, rows: result.Rows}
	for _, table := range tables {
		f.evented = f.evented || table.Evented
	}
	f.kinds = columnKinds(f, tables)
	return f, nil
}

// columnKinds tells numbers from texts: by the column of that name, and for
// expressions by their values.
func columnKinds(f *found, tables []osquery.Table) []byte {
	kinds := make([]byte, len(f.columns))
	for i, name := range f.columns {
		kinds[i] = declaredKind(name, tables)
		if kinds[i] == 0 {
			kinds[i] = valueKind(f.rows, i)
		}
	}
	return kinds
}

func declaredKind(name string, tables []osquery.Table) byte {
	for _, table := range tables {
		for _, column := range table.Columns {
			if column.Name != name {
				continue
			}
			switch column.Type {
			case "TEXT":
				return kindText
			case "DOUBLE":
				return kindDouble
			default:
				return kindInteger
			}
		}
	}
	return 0
}

func valueKind(rows [][]string, column int) byte {
	kind := byte(kindInteger)
	if len(rows) == 0 {
		return kindText
	}
	for _, r := range rows {
		if _, err := strconv.ParseInt(r[column], 10, 64); err == nil {
			continue
		}
		if _, err := strconv.ParseFloat(r[column], 64); err != nil || strings.ContainsAny(r[column], "xXpPnN") {
			return kindText
		}
		kind = kindDouble
	}
	return kind
}

// pack turns the answer into rows to keep, with each text through change.
func (f *found) pack(change func(string) string) []row {
	rows := make([]row, 0, len(f.rows))
	cells := make([]cell, len(f.columns))
	for _, values := range f.rows {
		for i, value := range values {
			if change != nil {
				value = change(value)
			}
			cells[i] = cell{f.columns[i], value, f.kinds[i]}
		}
		rows = append(rows, packRow(cells))
	}
	return rows
}

// json writes the rows as a live answer has them: strings, in SELECT order. Of
// columns with the same name the last counts, at the place of the first.
func (f *found) json() []byte {
	if f == nil || len(f.rows) == 0 {
		return []byte("[]")
	}
	var names [][]byte
	var from []int
	at := map[string]int{}
	for i, column := range f.columns {
		if place, ok := at[column]; ok {
			from[place] = i
			continue
		}
		at[column] = len(from)
		names, from = append(names, append(appendString(nil, column), ':')), append(from, i)
	}
	b := []byte{'['}
	for _, values := range f.rows {
		for i, name := range names {
			if i == 0 {
				b = append(b, '{')
			} else {
				b = append(b, ',')
			}
			b = appendString(append(b, name...), values[from[i]])
		}
		b = append(b, '}', ',')
	}
	b[len(b)-1] = ']'
	return b
}

// Query answers SQL as a live query on this host would be answered: the columns
// in order and the rows, all values texts. The error is SQLite's.
func (a *Agent) Query(ctx context.Context, sql string) (columns []string, rows [][]string, err error) {
	ctx, leave, err := a.enter(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	f, err := a.query(ctx, look{sql: sql})
	if err != nil {
		return nil, nil, err
	}
	return f.columns, f.rows, nil
}
