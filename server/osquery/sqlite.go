package osquery

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/mattn/go-sqlite3"

	"muster/server/fault"
)

// SQLite answers queries as the agents of one platform would: it holds that
// platform's tables and no others, and osquery's functions. The tables are empty;
// each query is given the rows of the host that it is asked of. Many simulated
// hosts share one: it is safe for concurrent use and keeps a few databases.
type SQLite struct {
	databases *pool
}

// Fill returns the rows of a table of one host: column to value, "" for absent.
// It is called once per table that a query reads, holding a database: it must not
// query the same SQLite.
type Fill func(table string) []map[string]string

// Result is what a query answered. Values are texts as agents send them: "" for NULL.
type Result struct {
	Columns []string
	Rows    [][]string
}

// OpenSQLite makes the database of a platform (windows, linux, darwin, freebsd).
// Faults: Invalid for another one.
func OpenSQLite(platform string) (*SQLite, error) {
	tables := TablesOf(platform)
	if len(tables) == 0 {
		return nil, fault.New(fault.Invalid, "osquery has no tables on %s", platform)
	}
	return &SQLite{databases: newPool(func() []Table { return tables })}, nil
}

// Close frees the databases.
func (s *SQLite) Close() error { return s.databases.close() }

// TablesUsed returns the tables that the first statement of a text reads, by
// osquery's name (never an alias), sorted. The error is SQLite's, word for word
// what an agent would report.
func (s *SQLite) TablesUsed(ctx context.Context, sql string) ([]string, error) {
	lent, err := s.databases.take(ctx)
	if err != nil {
		return nil, err
	}
	defer s.databases.put(lent)
	conn, statement, err := lent.prepare(sql)
	if err != nil {
		return nil, err
	}
	defer func() { _ = statement.Close() }()
	return conn.tablesUsed(), nil
}

func (c *connection) tablesUsed() []string {
	names := make([]string, 0, len(c.used))
	for name := range c.used {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Query runs the first statement of a text over the rows that fill returns. The
// error is SQLite's, word for word what an agent would report, or ctx's. A query
// that calls sleep(n) takes that much longer, without holding a database.
func (s *SQLite) Query(ctx context.Context, sql string, fill Fill) (Result, error) {
	lent, err := s.databases.take(ctx)
	if err != nil {
		return Result{}, err
	}
	result, sleeping, err := lent.query(ctx, sql, fill)
	s.databases.put(lent)
	if sleeping > 0 {
		timer := time.NewTimer(sleeping)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return Result{}, ctx.Err()
		}
	}
	return result, err
}

func (p *pair) query(ctx context.Context, sql string, fill Fill) (Result, time.Duration, error) {
	conn, statement, err := p.prepare(sql)
	if err != nil {
		return Result{}, 0, err
	}
	defer func() { _ = statement.Close() }()
	conn.sleeping = 0
	clean, err := conn.fill(conn.tablesUsed(), fill)
	defer clean()
	if err != nil {
		return Result{}, 0, err
	}
	result, err := read(ctx, statement)
	return result, conn.sleeping, err
}

// fill inserts rows in a transaction that clean takes back.
func (c *connection) fill(tables []string, fill Fill) (clean func(), err error) {
	if fill == nil || len(tables) == 0 {
		return func() {}, nil
	}
	c.open = true
	defer func() { c.open = false }()
	if _, err := c.Exec("BEGIN", nil); err != nil {
		return func() {}, err
	}
	clean = func() {
		c.open = true
		_, _ = c.Exec("ROLLBACK", nil)
		c.open = false
	}
	for _, name := range tables {
		if err := c.insert(name, fill(name)); err != nil {
			return clean, err
		}
	}
	return clean, nil
}

func (c *connection) insert(name string, rows []map[string]string) error {
	if len(rows) == 0 {
		return nil
	}
	table, _ := Find(name)
	var columns []Column
	places := ""
	for _, column := range table.Columns {
		if c.hidden || !column.Hidden {
			columns = append(columns, column)
			places += ",?"
		}
	}
	statement, err := c.Prepare("INSERT INTO " + quote(name) + " VALUES (" + places[1:] + ")")
	if err != nil {
		return err
	}
	defer func() { _ = statement.Close() }()
	values := make([]driver.Value, len(columns))
	for _, row := range rows {
		for i, column := range columns {
			values[i] = nil
			if value, ok := row[column.Name]; ok {
				values[i] = value // the column's affinity makes it a number where it is one
			}
		}
		if _, err := statement.Exec(values); err != nil { //nolint:staticcheck // no context: it cannot block
			return err
		}
	}
	return nil
}

func read(ctx context.Context, statement driver.Stmt) (Result, error) {
	rows, err := statement.(driver.StmtQueryContext).QueryContext(ctx, nil)
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = rows.Close() }()
	result := Result{Columns: rows.Columns()}
	values := make([]driver.Value, len(result.Columns))
	for {
		err := rows.Next(values)
		if errors.Is(err, io.EOF) {
			return result, nil
		}
		if err != nil {
			return Result{}, interrupted(ctx, err)
		}
		row := make([]string, len(values))
		for i, value := range values {
			row[i], _ = text(value)
		}
		result.Rows = append(result.Rows, row)
	}
}

// interrupted says that ctx ended where SQLite says that it was interrupted.
func interrupted(ctx context.Context, err error) error {
	var lite sqlite3.Error
	if errors.As(err, &lite) && lite.Code == sqlite3.ErrInterrupt && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
