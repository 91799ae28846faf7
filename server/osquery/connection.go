package osquery

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"
)

// sqliteRecursive is the authorizer's action of a recursive query, which the
// driver does not name.
const sqliteRecursive = 33

// connection is one in-memory SQLite with tables and functions of osquery. It
// serves one goroutine at a time.
type connection struct {
	*sqlite3.SQLiteConn
	hidden bool // the tables have their hidden columns

	open     bool            // our own statements: everything is allowed
	used     map[string]bool // tables that the statement being prepared reads
	refused  string          // what the authorizer denied last
	sleeping time.Duration   // what the running statement asked to sleep
}

// connect makes a database of the given tables, empty.
func connect(tables []Table, hidden bool) (*connection, error) {
	c := &connection{hidden: hidden, open: true, used: map[string]bool{}}
	driver := &sqlite3.SQLiteDriver{ConnectHook: func(conn *sqlite3.SQLiteConn) error {
		conn.RegisterAuthorizer(c.authorize)
		return registerFunctions(conn, func(d time.Duration) { c.sleeping += d })
	}}
	opened, err := driver.Open(":memory:")
	if err != nil {
		return nil, fmt.Errorf("open an in-memory SQLite: %w", err)
	}
	c.SQLiteConn = opened.(*sqlite3.SQLiteConn)
	for _, table := range tables {
		if _, err := c.Exec(definition(table, hidden), nil); err != nil {
			_ = c.Close()
			return nil, fmt.Errorf("create %s: %w", table.Name, err)
		}
	}
	c.limit()
	c.open = false
	return c, nil
}

// definition is the SQL that creates a table and its aliases. SQLite knows hidden
// columns of virtual tables only: with hidden false they are left out, as * does,
// and with hidden true they are there to be named.
func definition(table Table, hidden bool) string {
	var columns []string
	for _, column := range table.Columns {
		if hidden || !column.Hidden {
			columns = append(columns, quote(column.Name)+" "+column.Type)
		}
	}
	text := "CREATE TABLE " + quote(table.Name) + " (" + strings.Join(columns, ", ") + ");"
	for _, alias := range table.Aliases {
		text += "CREATE VIEW " + quote(alias) + " AS SELECT * FROM " + quote(table.Name) + ";"
	}
	return text
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// limit bounds what hostile SQL can cost. What agents bound too (depth, columns,
// compound selects, tables of a join) stays at SQLite's defaults.
func (c *connection) limit() {
	c.SetLimit(sqlite3.SQLITE_LIMIT_LENGTH, 64<<20)
	c.SetLimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, MaxLength+1)
	c.SetLimit(sqlite3.SQLITE_LIMIT_VDBE_OP, 1<<20)
	c.SetLimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
	c.SetLimit(sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 1)
	c.SetLimit(sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0)
}

const onlySelect = "only SELECT is allowed"

// withheld are SQLite's functions that reach outside the query.
var withheld = map[string]bool{"load_extension": true, "fts3_tokenizer": true}

// authorize is asked by SQLite for everything that a statement would do.
func (c *connection) authorize(action int, first, second, _ string) int {
	if c.open {
		return sqlite3.SQLITE_OK
	}
	switch action {
	case sqlite3.SQLITE_SELECT, sqliteRecursive:
		return sqlite3.SQLITE_OK
	case sqlite3.SQLITE_READ:
		if !strings.HasPrefix(strings.ToLower(first), "pragma_") {
			if table, ok := Find(first); ok {
				c.used[table.Name] = true
			}
			return sqlite3.SQLITE_OK
		}
		c.refused = first
	case sqlite3.SQLITE_FUNCTION:
		if !withheld[strings.ToLower(second)] {
			return sqlite3.SQLITE_OK
		}
		c.refused = second
	default:
		c.refused = onlySelect
	}
	return sqlite3.SQLITE_DENY
}

var errParameter = errors.New("a parameter such as ? has no value in a live query")

// prepare compiles the first statement of a text and runs nothing. The tables it
// reads are in c.used afterwards.
func (c *connection) prepare(sql string) (driver.Stmt, error) {
	clear(c.used)
	c.refused = ""
	statement, err := c.Prepare(sql)
	if err != nil {
		return nil, err
	}
	if statement.NumInput() > 0 {
		err = errParameter
	} else if !statement.(*sqlite3.SQLiteStmt).Readonly() {
		err = errors.New(onlySelect)
	}
	if err != nil {
		_ = statement.Close()
		return nil, err
	}
	c.useJoined(sql)
	return statement, nil
}

// useJoined adds the tables that the authorizer is not told of: those of which a
// statement reads nothing but the columns of USING or of a natural join. It may
// add one that is only an alias's or a column's name.
func (c *connection) useJoined(sql string) {
	words := map[string]bool{}
	for _, token := range lex(sql) {
		if token.kind == endToken {
			break
		}
		if token.kind == wordToken {
			words[token.name()] = true
		}
	}
	if !words["using"] && !words["natural"] {
		return
	}
	for word := range words {
		if table, known := Find(word); known {
			c.used[table.Name] = true
		}
	}
}

// valid reports what is wrong with a statement, if anything.
func (c *connection) valid(sql string) error {
	statement, err := c.prepare(sql)
	if err != nil {
		return err
	}
	return statement.Close()
}

// pair is a database as agents have it: shown without the hidden columns, as *
// sees tables, and whole with them, for statements that name one.
type pair struct{ shown, whole *connection }

func connectPair(tables []Table) (*pair, error) {
	shown, err := connect(tables, false)
	if err != nil {
		return nil, err
	}
	whole, err := connect(tables, true)
	if err != nil {
		_ = shown.Close()
		return nil, err
	}
	return &pair{shown: shown, whole: whole}, nil
}

// prepare compiles sql where it is valid. The error is that of the whole database.
func (p *pair) prepare(sql string) (*connection, driver.Stmt, error) {
	if statement, err := p.shown.prepare(sql); err == nil {
		return p.shown, statement, nil
	}
	statement, err := p.whole.prepare(sql)
	return p.whole, statement, err
}

func (p *pair) close() error { return errors.Join(p.shown.Close(), p.whole.Close()) }
